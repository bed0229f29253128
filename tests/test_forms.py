"""What of our bindings' settings and options names something of the machine: a server must refuse it from elsewhere.

All bindings are looked at, those on torch too, whose classes can be imported without it.
"""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities.settings.forms import schema_of

ROOT = Path(__file__).parents[1]

# The kinds that are not plain, of each setting and option by its name. Where one name means two things, by its binding.
KINDS = {
    "api_key": "secret",
    "audio": "media",
    "continue_from": "media",
    "cutter": "path",
    "default_speaker_wav": "path",
    "default_voice_model_path": "path",
    "enhance:model": "path",
    "enhance_path": "path",
    "enlarger": "path",
    "ffmpeg_path": "program",
    "hf_token": "secret",
    "host_address": "address",
    "image": "media",
    "image_hosts": "address",
    "kokoro_path": "path",
    "lollms_paths": "path",
    "loras": "path",
    "mask": "media",
    "model_id_or_path": "path",
    "model_name": "path",
    "model_path": "path",
    "models_path": "path",
    "models_search_path": "path",
    "moonshine_path": "path",
    "piper:default_voice": "path",
    "piper_tts:default_voice": "path",
    "piper_voices_dir": "path",
    "release_url": "address",
    "service_key": "secret",
    "user_password": "secret",
    "voices_path": "path",
    "voices_url": "address",
    "whispercpp_exe_path": "program",
    "xtts:default_voice": "path",
    "xtts:voice": "media",
    # Names for a service, which opens nothing here.
    "dalle:model_name": "plain",
    "openai:model_name": "plain",
    "lollms:model_name": "plain",
}
# What looks as if it named a file, a program or an address, and is none.
HARMLESS = {
    "lollms:model": "a name for the server",
    "lollms:fn": "a name for the server, without a slash",
    "lollms:user_name": "who logs in",
    "local_files_only": "yes or no",
    "max_loaded_voices": "a number",
    "pipeline_class_name": "looked up among diffusers' classes",
    "scheduler_name": "looked up among diffusers' classes",
    "whispercpp:use_gpu": "yes or no",
}
_LOOKS = re.compile(
    r"path|dir|folder|file|exe|program|command|url|uri|host|address|server|endpoint|model|lora|wav|checkpoint|token|key|"
    r"password|secret|env|(^|_)fn($|_)|_name$"
)


def bindings() -> list[tuple[str, str, type[Any]]]:
    found = []
    for project in sorted([*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]):
        groups = tomllib.loads(project.read_text("utf-8"))["project"].get("entry-points", {})
        for group, entries in groups.items():
            if group.startswith("lollms_client.") and group.endswith("_bindings"):
                for name, target in entries.items():
                    sys.path.insert(0, str(project.parent / "src"))
                    try:
                        module, _, attribute = target.partition(":")
                        found.append((name, group[14:17], getattr(importlib.import_module(module), attribute)))
                    finally:
                        sys.path.pop(0)
    return found


def fields(cls: Any) -> dict[str, tuple[dict[str, Any], Any]]:
    """Each setting and option: its part of the schema, and its pydantic field."""
    found = {}
    for model in (cls.settings_class(), cls.options_class(), *(v.options for v in cls.verbs().values() if v.options)):
        for name, described in schema_of(model)["properties"].items():
            found[name] = (described, model.model_fields[name])
    return found


@pytest.fixture(scope="module")
def all_bindings() -> Iterator[list[tuple[str, str, type[Any]]]]:
    before = set(sys.modules)
    found = bindings()
    assert len(found) > 20
    yield found
    # They came from the sources, those too that are not installed: other tests are to find what is.
    for name in sys.modules.keys() - before:
        if name.startswith("lollms_") and not name.startswith("lollms_modalities"):
            del sys.modules[name]


def test_each_kind_is_what_the_table_says(all_bindings: Any) -> None:
    wrong = []
    for binding, modality, cls in all_bindings:
        for name, (described, _) in fields(cls).items():
            expected = KINDS.get(f"{binding}:{name}") or KINDS.get(name, "plain")
            if name == "model" and f"{binding}:{name}" in HARMLESS:
                expected = "plain"
            if described["lollms"]["kind"] != expected:
                wrong.append((binding, modality, name, described["lollms"]["kind"], expected))
    assert not wrong


def test_whatever_looks_like_one_is_in_the_tables(all_bindings: Any) -> None:
    untold = set()
    for binding, _, cls in all_bindings:
        for name, (described, field) in fields(cls).items():
            text = "path" in str(described) or "Path" in str(field.annotation) or "format" in described
            closed = "enum" in described or described.get("type") in ("boolean", "integer", "number")
            told = {name, f"{binding}:{name}"} & (KINDS.keys() | HARMLESS.keys())
            if (_LOOKS.search(name) or text) and not closed and not told:
                untold.add(f"{binding}:{name}")
    assert not untold


def test_the_tables_hold_nothing_else(all_bindings: Any) -> None:
    known = {spelled for b, _, cls in all_bindings for name in fields(cls) for spelled in (name, f"{b}:{name}")}
    assert not {*KINDS, *HARMLESS} - known


def test_values_are_listed_by_methods_that_are_there(all_bindings: Any) -> None:
    for binding, modality, cls in all_bindings:
        for name, (described, _) in fields(cls).items():
            if lists := described["lollms"].get("choices_from"):
                assert callable(getattr(cls, lists, None)), (binding, modality, name, lists)
