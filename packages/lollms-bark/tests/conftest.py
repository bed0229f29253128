"""The tiny checkpoint that the tests of this package share."""

from __future__ import annotations

from pathlib import Path

import pytest
from bark_model import make_bark
from kept import made_by


@pytest.fixture(scope="session")
def tiny_bark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Bark of random weights, with all 130 presets."""
    return made_by(make_bark, tmp_path_factory.mktemp("bark") / "tiny")
