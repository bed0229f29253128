"""XTTS keeps the contract, on a tiny checkpoint of the real library."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_modalities.testing import TTSBindingSuite
from lollms_xtts import XTTSBinding


@pytest.fixture(autouse=True, scope="class")
def _model(request: pytest.FixtureRequest, xtts_folder: Path) -> None:
    request.cls.settings = {**request.cls.settings, "model_name": str(xtts_folder)}


PIECE = "one two three four five " * 9  # as long as one may be: the tiny model takes one time for any


class TestXTTS(TTSBindingSuite):
    binding = XTTSBinding
    words = PIECE
    settings = {"n_threads": 1}
    growth = 80e6  # of torch's allocator


class TestXTTSInChunks(TTSBindingSuite):
    """The same with sound that comes while its sentence is still made."""

    binding = XTTSBinding
    words = PIECE
    settings = {"n_threads": 1, "default_stream_chunk_size": 3}
    growth = 80e6
    calls = 9
