"""The tiny checkpoints, each built once."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept import made_by
from xtts_model import make_xtts_model


@pytest.fixture(scope="session")
def xtts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that makes a quarter of a second of sound for each sentence."""
    return made_by(make_xtts_model, tmp_path_factory.mktemp("xtts"), tokens=5)


@pytest.fixture(scope="session")
def slow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that goes on for half a minute with each sentence."""
    return made_by(make_xtts_model, tmp_path_factory.mktemp("slow"), tokens=600)
