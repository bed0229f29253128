"""Long texts are cut in time that grows with them, and the work stops with the call."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lollms_modalities import Audio, CallCancelled, CancelToken, LollmsTTSBinding
from lollms_modalities.kit.splitting import pieces, sentences


@pytest.mark.parametrize(
    "part",
    ["A. B. C. D. E. ", "Mr. ", "word ", "x", "One. ", "\n", " \n", '" ', '."', "。", "a, ", "A.   ", "... ", ".\n\n", "\u3000"],
)  # fmt: skip
def test_time_grows_with_the_text_and_not_with_its_square(part: str) -> None:
    text = part * (100_000 // len(part))
    began = time.process_time()
    cut = list(pieces(text, 200))
    assert time.process_time() - began < 10, "a tenth of that is expected; by the square it would be many minutes"
    assert "".join("".join(cut).split()) == "".join(text.split())


def test_abbreviations_at_the_ends_of_what_is_looked_at() -> None:
    assert list(sentences("MrProf. Hi. ThisProf. Yes")) == ["MrProf.", "Hi.", "ThisProf.", "Yes"]
    assert list(sentences("Mr. Hi. The Prof.   Yes. Prof.")) == ["Mr. Hi.", "The Prof.   Yes.", "Prof."]
    assert list(sentences("Hello. Mr. X said. E.g. Y")) == ["Hello.", "Mr. X said.", "E.g.", "Y"]


@pytest.mark.parametrize("text", ["Mr. " * 1000, "One. " * 1000, "word " * 1000])
def test_cutting_stops_with_the_call(text: str) -> None:
    token = CancelToken()
    measured: list[int] = []

    def measure(piece: str) -> int:
        token.cancel()
        measured.append(len(piece))
        return len(piece)

    class Cuts(LollmsTTSBinding):
        def list_voices(self, **kwargs: Any) -> list[str]:
            return []

        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            for _ in pieces(text, 20, measure):
                pass
            raise AssertionError("it went on")

    with pytest.raises(CallCancelled):
        Cuts().generate_audio(text, cancel=token)
    assert len(measured) == 1


def test_a_text_that_is_one_sentence_is_read_no_further_than_the_call_lasts() -> None:
    token = CancelToken()

    class Cuts(LollmsTTSBinding):
        def list_voices(self, **kwargs: Any) -> list[str]:
            return []

        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            token.cancel()
            next(sentences(text))
            raise AssertionError("it went on")

    with pytest.raises(CallCancelled):
        Cuts().generate_audio("Mr. " * 1000, cancel=token)
