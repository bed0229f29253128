"""The tiny checkpoints that the tests of this package share."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept import made_by
from musicgen_model import make_musicgen


@pytest.fixture(scope="session")
def tiny_musicgen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MusicGen of random weights, whose window is 2 s."""
    return made_by(make_musicgen, tmp_path_factory.mktemp("musicgen") / "tiny")


@pytest.fixture(scope="session")
def tiny_stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of two channels."""
    return made_by(make_musicgen, tmp_path_factory.mktemp("musicgen") / "stereo", channels=2)
