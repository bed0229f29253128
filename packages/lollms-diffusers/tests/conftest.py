"""Tiny models, each made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from diffusers_models import MAKERS
from kept import made_by


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model, by its kind."""
    folder = tmp_path_factory.mktemp("diffusers_models")

    def made(kind: str) -> Path:
        path = folder / kind
        return path if path.is_dir() else made_by(MAKERS[kind], path)

    return made
