"""The tiny checkpoints, each built once."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(autouse=True, scope="session")
def _voices_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Voices are kept in a folder of the tests, not in that of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield
