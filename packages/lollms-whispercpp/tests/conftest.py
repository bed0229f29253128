"""The real program, real weights in its format, and real speech."""

from __future__ import annotations

from pathlib import Path

import pytest
import whisper_cpp_program
import whisper_weights
from harvard import spoken
from kept import copy_of
from whisper_cpp_program import quantized, whisper_cli
from whisper_weights import make_ggml, packaged


@pytest.fixture(scope="session")
def program() -> Path:
    return whisper_cli()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.en as it is and in two smaller forms."""

    def make(folder: Path) -> None:
        model = make_ggml(folder / "ggml-tiny.en.bin")
        for kind in ("q8_0", "q5_1"):
            quantized(model, kind, folder / f"ggml-tiny.en-{kind}.bin")

    folder = tmp_path_factory.mktemp("models")
    makers = (Path(whisper_weights.__file__), Path(whisper_cpp_program.__file__))
    return copy_of("ggml-tiny.en", folder, make, of=(*makers, packaged() / "model.bin"))


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences."""
    text = "The birch canoe slid on the smooth planks. Rice is often served in round bowls."
    return spoken(text).save(tmp_path_factory.mktemp("speech") / "speech.wav")
