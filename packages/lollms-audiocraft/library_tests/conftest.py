"""Checkpoints in audiocraft's own layout, for the tests that run where Meta's library is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from audiocraft_checkpoint import make_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MusicGen of random weights, whose window is 20 s of 10 frames a second."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of two channels."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "stereo", channels=2)
