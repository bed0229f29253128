"""The rows of our bindings' settings and options: what a form shows, and what a server must refuse from elsewhere.

All bindings are looked at, those on torch too, whose classes can be imported without it. ``python tests/test_forms.py``
writes the table of all settings anew, where one was changed on purpose.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities.settings.forms import rows_of, schema_of

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("support") / "settings_rows.txt"

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


# What a verb does to media. Whoever writes another verb says here of what kind it is.
VERBS = {
    "generate_audio": "generates", "generate_audios": "generates", "stream_audio": "generates",
    "generate_image": "generates", "generate_images": "generates", "generate_music": "generates",
    "generate_video": "generates", "edit_images": "edits", "upscale_image": "edits", "remove_background": "edits",
    "transcribe_audio": "transcribes", "stream_transcript": "transcribes", "transcribe_live": "transcribes",
}  # fmt: skip


def test_each_verb_is_of_the_kind_that_its_name_says(all_bindings: Any) -> None:
    told = {(name, verb.kind) for _, _, cls in all_bindings for name, verb in cls.verbs().items()}
    assert told == set(VERBS.items())
    for binding, modality, cls in all_bindings:
        shown = {name: verb["kind"] for name, verb in cls.describe()["verbs"].items()}
        assert shown == {name: verb.kind for name, verb in cls.verbs().items()}, (binding, modality)


# -- what a row says is what its setting does ----------------------------------------------------------------------------

# Numbers without an upper limit, and why.
OPEN = {
    "connect_timeout": "whoever waits for ever may", "request_timeout": "the same", "keep_alive": "the same",
    "default_temperature": "the engine's affair",
}  # fmt: skip


def settings_rows(all_bindings: Any) -> Iterator[tuple[tuple[str, str, str], type[Any], dict[str, Any]]]:
    """Each setting of each binding: its names, the model of the settings, its row."""
    for binding, modality, cls in all_bindings:
        model = cls.settings_class()
        for row in rows_of(model, {}):
            yield (binding, modality, row["name"]), model, row


def taken(model: type[Any], name: str, value: Any) -> list[Any]:
    """What becomes of a value in settings: nothing where it is refused."""
    try:
        return [getattr(model(**{name: value}), name)]
    except ValueError:
        return []


def test_every_setting_is_in_the_table_as_it_is(all_bindings: Any) -> None:
    """A default, a limit or a name is a promise: it is changed on purpose, and in the changelog."""
    assert TABLE.read_text("utf-8").splitlines() == table(all_bindings)


def table(all_bindings: Any) -> list[str]:
    lines = []
    for (binding, modality, name), _, row in settings_rows(all_bindings):
        told = {
            key: value
            for key, value in row.items()
            if key not in ("name", "value", "description") and value is not False
        }
        if name == "n_threads" and "default" in told and told["default"] is not None:
            told["default"] = "as many as there are processors"
        lines.append(f"{binding} {modality} {name} {json.dumps(told, sort_keys=True)}")
    return lines


def test_each_has_a_description(all_bindings: Any) -> None:
    assert [names for names, _, row in settings_rows(all_bindings) if not row["description"].strip()] == []


def test_each_default_is_taken_and_a_null_where_there_may_be_one(all_bindings: Any) -> None:
    wrong = []
    for names, model, row in settings_rows(all_bindings):
        default, null = row["default"], taken(model, names[2], None)
        if not row.get("is_secret") and not taken(model, names[2], default):
            wrong.append((names, "its default is refused", default))
        if default is None and not row["nullable"]:
            wrong.append((names, "its default is null, and it may not be"))
        # Where there can be none, a null stands for the default, as in 1.x.
        if row["nullable"] != (null == [None]):
            wrong.append((names, "nullable", row["nullable"], null))
        if row["nullable"] and row["type"] == "str" and taken(model, names[2], "") not in ([None], []):
            wrong.append((names, "an empty field is no null", taken(model, names[2], "")))
    assert wrong == []


def test_each_limit_is_where_the_row_says(all_bindings: Any) -> None:
    wrong = []
    for names, model, row in settings_rows(all_bindings):
        if row["type"] not in ("int", "float"):
            continue
        name, step = names[2], 1 if row["type"] == "int" else 1e-3
        if "min" not in row or ("max" not in row and name not in OPEN):
            wrong.append((names, "has no limit"))
        for limit, sign in (("min", -1), ("max", 1)):
            if limit not in row:
                continue
            at = row[limit]
            beyond = at + sign * max(step, 2 if name == "seed" else 0)  # of a seed -1 means none
            if bool(taken(model, name, at)) == bool(row.get(f"{limit}_excluded")):
                wrong.append((names, limit, at))
            if taken(model, name, beyond):
                wrong.append((names, "beyond its limit", beyond))
        wrong += [(names, odd) for odd in (math.nan, "x", [1], {}) if taken(model, name, odd)]
        if row["type"] == "int":
            wrong += [(names, odd) for odd in (math.inf, 1.5, 10**400) if taken(model, name, odd)]
    assert wrong == []


def test_a_whole_number_of_an_option_has_an_end(all_bindings: Any) -> None:
    open_ended = []
    for binding, modality, cls in all_bindings:
        models = [cls.options_class(), *(verb.options for verb in cls.verbs().values() if verb.options)]
        for row in (row for model in models for row in rows_of(model, {})):
            if row["type"] == "int" and not {"min", "max"} <= row.keys():
                open_ended.append((binding, modality, row["name"]))
    assert open_ended == []


def test_of_several_values_those_are_taken_that_the_row_has(all_bindings: Any) -> None:
    wrong = []
    for names, model, row in settings_rows(all_bindings):
        name = names[2]
        if "options" in row:
            wrong += [(names, value) for value in row["options"] if taken(model, name, value) != [value]]
            wrong += [(names, odd) for odd in ("no such", [1], {}) if taken(model, name, odd)]
        if "pattern" in row:
            wrong += [(names, odd) for odd in ("no such\0", "..") if taken(model, name, odd)]
        if row["type"] == "bool":
            wrong += [(names, odd) for odd in ("maybe", 2, [True]) if taken(model, name, odd)]
        if row["type"] in ("list", "dict"):
            wrong += [(names, odd) for odd in (5, "x", True) if taken(model, name, odd)]
    assert wrong == []


def test_a_default_of_an_option_is_limited_as_the_option_is(all_bindings: Any) -> None:
    """And it holds from the next call on, without another model."""
    alike = ("type", "min", "max", "min_excluded", "max_excluded", "options", "pattern", "choices_from")
    wrong, count = [], 0
    for binding, modality, cls in all_bindings:
        options = {row["name"]: row for row in rows_of(cls.options_class(), {})}
        for row in rows_of(cls.settings_class(), {}):
            option = options.get(row["name"].removeprefix("default_"))
            if option is None or not row["name"].startswith("default_"):
                continue
            count += 1
            wrong += [
                (binding, modality, row["name"], key, row.get(key), option.get(key))
                for key in alike
                # Of a list that the engine has, a call is told what is not in it.
                if row.get(key) != option.get(key) and not (key == "pattern" and "choices_from" in row)
            ]
            if row["reload"]:
                wrong.append((binding, modality, row["name"], "reload"))
    assert wrong == []
    assert count > 20


def test_what_the_model_is_made_with_is_loaded_anew(all_bindings: Any) -> None:
    """Where the engine runs, in which numbers, who is asked and with which key: none of that is looked at in a call."""
    always = re.compile(r"device|dtype|compute_type|.*offload|enable_|models?_path|host_address|.*(_key|_token|password)$|"
                        r"(request|connect)_timeout|verify_ssl|local_files_only|protocol|architecture|engine|use_cuda")  # fmt: skip
    never = re.compile(r"default_|keep_alive|seed|guidance_scale|num_inference_steps|output_format|batch_size")
    wrong = [names for names, _, row in settings_rows(all_bindings) if always.match(names[2]) and not row["reload"]]
    wrong += [names for names, _, row in settings_rows(all_bindings) if never.match(names[2]) and row["reload"]]
    assert wrong == []


if __name__ == "__main__":
    TABLE.write_text("\n".join(table(bindings())) + "\n", "utf-8")
