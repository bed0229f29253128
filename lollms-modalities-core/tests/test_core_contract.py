"""The documented signatures, and what importing costs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import lollms_modalities
import pytest
from lollms_modalities.contract.stt import LollmsSTTBinding
from lollms_modalities.contract.tti import LollmsTTIBinding
from lollms_modalities.contract.ttm import LollmsTTMBinding
from lollms_modalities.contract.tts import LollmsTTSBinding
from lollms_modalities.contract.ttv import LollmsTTVBinding

SIGNATURES = {
    LollmsTTSBinding.generate_audio: "(self, text, voice=None, **kwargs)",
    LollmsTTSBinding.list_voices: "(self, **kwargs)",
    LollmsTTSBinding.stream_audio: "(self, text, voice=None, **kwargs)",
    LollmsTTIBinding.generate_image: "(self, prompt, negative_prompt='', width=512, height=512, **kwargs)",
    LollmsTTIBinding.list_services: "(self, **kwargs)",
    LollmsSTTBinding.transcribe_audio: "(self, audio_path, model=None, **kwargs)",
    LollmsSTTBinding.list_models: "(self, **kwargs)",
    LollmsTTMBinding.generate_music: "(self, prompt, **kwargs)",
    LollmsTTMBinding.list_models: "(self, **kwargs)",
    LollmsTTVBinding.generate_video: "(self, prompt, **kwargs)",
    LollmsTTVBinding.list_models: "(self, **kwargs)",
    LollmsTTSBinding.get_settings: "(self, **kwargs)",
    LollmsTTSBinding.set_settings: "(self, settings, **kwargs)",
}


@pytest.mark.parametrize(("function", "wanted"), SIGNATURES.items(), ids=lambda v: getattr(v, "__qualname__", ""))
def test_documented_signatures(function: object, wanted: str) -> None:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    bare = signature.replace(
        parameters=[p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    assert str(bare) == wanted


ABSTRACT = {
    LollmsTTSBinding: {"generate_audio", "list_voices"},
    LollmsTTIBinding: {"generate_image", "list_services"},
    LollmsSTTBinding: {"transcribe_audio", "list_models"},
    LollmsTTMBinding: {"generate_music", "list_models"},
    LollmsTTVBinding: {"generate_video", "list_models"},
}


@pytest.mark.parametrize(("cls", "names"), ABSTRACT.items(), ids=lambda v: getattr(v, "__name__", ""))
def test_abstract_methods_and_twins(cls: type, names: set[str]) -> None:
    assert cls.__abstractmethods__ == names  # type: ignore[attr-defined]
    for name in names:
        if not name.startswith("list_"):
            assert inspect.iscoroutinefunction(getattr(cls, f"a{name}"))


@pytest.mark.parametrize("modality", ["tts", "tti", "stt", "ttm", "ttv"])
def test_managers_take_an_extra_folder_by_position_or_name(modality: str) -> None:
    manager = getattr(lollms_modalities, f"Lollms{modality.upper()}BindingManager")
    attribute = f"{modality}_bindings_dir"
    assert getattr(manager("/nowhere"), attribute) == "/nowhere"
    assert getattr(manager(**{attribute: "/nowhere"}), attribute) == "/nowhere"
    assert getattr(manager(), attribute) is None


@pytest.mark.parametrize("name", sorted(lollms_modalities.__all__))
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(lollms_modalities, name) is not None
    assert name in dir(lollms_modalities)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        _ = lollms_modalities.Nothing


def test_managers_and_listing_import_nothing_heavy() -> None:
    program = """
import sys
from lollms_modalities.finding.managers import LollmsTTSBindingManager
from lollms_modalities.contract import tti, stt, ttm, ttv
LollmsTTSBindingManager().get_available_bindings()
heavy = {"numpy", "pydantic", "pydantic_core", "pluggy", "torch", "av", "asyncio"} & sys.modules.keys()
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
