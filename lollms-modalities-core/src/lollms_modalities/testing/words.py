"""Times of spoken words, and the languages of speech and text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from lollms_modalities import media
from lollms_modalities.contract import spoken
from lollms_modalities.contract.providers import Provider
from lollms_modalities.errors import UnsupportedError
from lollms_modalities.media.words import split_words
from lollms_modalities.testing.contract import applies, contract, crosses
from lollms_modalities.testing.suite import Suite

_LATE = 0.02  # seconds that a word may end after the sound
_SAME = 0.005  # seconds between two tellings of one time
_SPOKEN = "One sentence, of a test.  And another: the last one!"


class SpokenWordTests(Suite):
    """For bindings of speech that declare ``timestamps=("word",)``: their engine knows when it says each word."""

    def spoken(self, bound: Any, text: str) -> Any:
        """Speak with times of words."""
        return self.call(bound, **{getattr(self, "content", "text"): text, "timestamps": "word"})

    @crosses
    @applies(lambda suite: "word" in suite.capabilities().timestamps)
    def test_spoken_words_are_the_text_in_order_within_the_sound(self, bound: Any) -> None:
        """Give each ``AudioChunk`` its ``words``: from the beginning of that part, in seconds, in their order."""
        result = self.spoken(bound, _SPOKEN)
        words = result.words
        contract(words, "With timestamps='word' speech has words.", "times")
        contract(
            "".join(word.text for word in words) == _SPOKEN,
            "Joined, the words of speech are the text as it was given.",
            "times",
            [word.text for word in words],
        )
        for word in words:
            contract(
                type(word) is media.Word and 0 <= word.start <= word.end <= result.duration + _LATE,
                "A spoken word lies within the sound.",
                "times",
                (word, result.duration),
            )
        for before, after in pairwise(words):
            contract(
                before.start <= after.start and before.end <= after.end,
                "Spoken words follow one another.",
                "times",
                (before, after),
            )
        contract(
            max(word.end for word in words) >= 0.5 * result.duration and len({word.start for word in words}) > 1,
            "Spoken words are spread over the sound.",
            "times",
            (words[0], words[-1], result.duration),
        )
        by = result.provenance.extra.get("words", {}).get("by")
        contract(by == "engine", "A binding that declares times of words has them of its engine.", "times", by)

    @crosses
    @applies(lambda suite: "word" in suite.capabilities().timestamps)
    def test_spoken_words_of_a_stream_are_those_of_the_whole(self, bound: Any) -> None:
        """Tell a word with the part in which it begins; ``Audio.from_chunks`` moves its times by the parts before."""
        given = {getattr(self, "content", "text"): _SPOKEN, "timestamps": "word"}
        chunks = list(bound.stream_audio(**self.arguments(**given)))
        for chunk in chunks:
            for word in chunk.words:
                contract(
                    0 <= word.start <= chunk.duration + _LATE,
                    "A word of a part begins in that part, and its times count from there.",
                    "times",
                    (word, chunk.duration),
                )
        joined, whole = media.Audio.from_chunks(chunks), self.spoken(bound, _SPOKEN)
        contract(
            [word.text for word in joined.words] == [word.text for word in whole.words],
            "The words of a stream are those of the whole.",
            "times",
            ([word.text for word in joined.words], [word.text for word in whole.words]),
        )
        if self.same(joined, whole):
            contract(
                all(abs(a.start - b.start) <= _SAME for a, b in zip(joined.words, whole.words, strict=True)),
                "The words of a stream have the times that they have in the whole.",
                "times",
            )

    @applies(lambda suite: "word" in suite.capabilities().timestamps)
    def test_words_that_nobody_asked_for_are_not_told(self, bound: Any, result: Any) -> None:
        """Work out the times of words with ``timestamps="word"`` only: they cost a caller who wants none."""
        contract(result.words == (), "Without timestamps='word' speech has no words.", "times", result.words[:3])


class _Evenly:
    """An aligner of any language: each word takes as long as every other. Whether it is right is not asked here."""

    def languages(self) -> tuple[str, ...]:
        return ()

    def align(self, audio: media.Audio, text: str, language: str | None) -> tuple[media.Word, ...]:
        words = split_words(text)
        each = audio.duration / max(1, len(words))
        return tuple(media.Word(word, n * each, (n + 1) * each) for n, word in enumerate(words))


_ALIGNER = Provider("aligner", _Evenly(), "", "lollms-testing", "")


@contextmanager
def _aligner() -> Iterator[None]:
    """In the place of whatever is installed, where the speech arrives."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spoken, "_installed", lambda language: _ALIGNER)
        yield


class AlignedWordTests(Suite):
    """For bindings of speech whose engine tells no times of words: a provider finds them in the sound."""

    @applies(lambda suite: "word" not in suite.capabilities().timestamps)
    def test_words_that_an_aligner_finds_are_the_text(self, bound: Any) -> None:
        """Leave ``timestamps`` to the core. An engine that tells times declares ``timestamps=("word",)``."""
        asked = {getattr(self, "content", "text"): _SPOKEN, "timestamps": "word"}
        with _aligner():
            made = self.call(bound, **asked)
            parts = list(bound.stream_audio(**self.arguments(**asked)))
        if "word" in bound.capabilities.timestamps:
            return  # of this model, of which the class knows nothing
        by = made.provenance.extra.get("words", {}).get("by")
        contract(by != "engine", "A binding whose engine tells times of words declares them.", "times", by)
        for words, whole in (
            (made.words, made),
            (media.Audio.from_chunks(parts).words, media.Audio.from_chunks(parts)),
        ):
            contract(
                "".join(word.text for word in words) == _SPOKEN,
                "Joined, the words that an aligner finds are the text as it was given; in a stream, too.",
                "times",
                [word.text for word in words],
            )
            contract(
                all(0 <= word.start <= word.end <= whole.duration + _LATE for word in words)
                and all(before.start <= after.start for before, after in pairwise(words)),
                "The words that an aligner finds follow one another within the sound.",
                "times",
                (words[:3], words[-1:], whole.duration),
            )


class LanguageTests(Suite):
    """For bindings of transcription that translate."""

    @applies(lambda suite: "translate" in suite.option_names())
    def test_a_translation_is_english_whatever_was_spoken(self, bound: Any, result: Any) -> None:
        """Give ``Transcript`` with ``translate=True`` the ``text_language`` "en"; ``language`` is the speech's."""
        contract(
            result.text_language == result.language,
            "Where nothing is translated the text is in the language of the speech.",
            "results",
            (result.language, result.text_language),
        )
        try:
            translated = self.call(bound, translate=True)
        except UnsupportedError:
            return
        contract(
            translated.text_language == "en",
            "The text of a translation is English.",
            "results",
            (translated.language, translated.text_language),
        )
