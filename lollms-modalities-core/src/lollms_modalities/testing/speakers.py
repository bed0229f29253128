"""Who says what, where an installed provider or the engine itself tells it."""

from __future__ import annotations

from typing import Any

from lollms_modalities.contract.providers import has_provider
from lollms_modalities.testing.contract import applies, contract, crosses
from lollms_modalities.testing.suite import Suite


def _can_be_told(suite: type[Suite]) -> bool:
    return has_provider("diarizer") or "diarize" in suite.binding.options_class().model_fields


class SpeakerTests(Suite):
    """For ``diarize=True``, which every binding that transcribes takes."""

    @crosses
    @applies(_can_be_told)
    def test_speakers_are_the_same_each_time(self, bound: Any) -> None:
        """Give a recording's speakers the same names in each call; or leave `diarize` to the core."""
        by_words = "timestamps" in self.binding.options_class().model_fields
        asked = {"timestamps": "word"} if by_words and "word" in bound.capabilities.timestamps else {}
        first, again = (self.call(bound, diarize=True, **asked) for _ in range(2))
        told = [
            [(s.speaker, s.text, tuple(w.speaker for w in s.words)) for s in made.segments] for made in (first, again)
        ]
        contract(told[0] == told[1], "The same recording has the same speakers each time.", "speakers", told)
        found = first.provenance.extra.get("speakers", {}).get("found")
        contract(
            found == [] or all(segment.speaker for segment in first.segments),
            "Each segment has its speaker, unless nobody is heard.",
            "speakers",
            told[0],
        )
        contract(
            all(word.speaker == segment.speaker for segment in first.segments for word in segment.words),
            "A segment has one speaker, who says each of its words.",
            "speakers",
            told[0],
        )
