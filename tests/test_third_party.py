"""The small third-party binding that mypy checks also works."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def third_party() -> ModuleType:
    path = Path(__file__).parent / "typing" / "third_party.py"
    spec = importlib.util.spec_from_file_location("third_party", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_beeps(third_party: ModuleType) -> None:
    with third_party.BeepTTSBinding(pitch=0.1) as beep:
        audio = beep.generate_audio("two words", speed=2)
        assert audio.duration == 0.1
        assert [chunk.text for chunk in beep.stream_audio("two words")] == ["two", "words"]
        made = audio.provenance
        assert (made.options["voice"], made.engine) == ("low", "numpy")
        assert made.seed is not None


def test_it_draws(third_party: ModuleType) -> None:
    dot = third_party.DotTTIBinding()
    assert (dot.generate_image("x", width=8, height=4).width, dot.generate_image("x").height) == (8, 512)
    assert len(dot.generate_images("x", n=3)) == 3
