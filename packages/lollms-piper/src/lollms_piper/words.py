"""When each word of a text is said, from how long the voice speaks each phoneme."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from lollms_modalities import Word, split_words
from lollms_modalities.kit import word_spans

if TYPE_CHECKING:
    from piper import AudioChunk, PiperVoice

_WITH_PHONEMES = re.compile(r"\s*(?:\[\[.*?\]\]|\S)+")
_BOS, _EOS, _PAD = "^", "$", "_"


class PieceWords:
    """The words of one piece of text, told sentence by sentence as they are spoken.

    Args:
        engine: the voice.
        piece: the text as it was given.
        prepare: makes of a text what Piper is to read.
        phonemes: whether what stands in double brackets are phonemes.
    """

    def __init__(self, engine: PiperVoice, piece: str, prepare: Callable[[str], str], *, phonemes: bool) -> None:
        self._engine = engine
        tokens = _WITH_PHONEMES.findall(piece) if phonemes else split_words(piece)
        self._sentences = [s for s in engine.phonemize(prepare(piece)) if s]
        alone = [engine.phonemize(prepare(token)) for token in tokens]
        self._spans = word_spans(tokens, alone, self._sentences)

    def of_sentence(self, number: int, spoken: AudioChunk) -> tuple[Word, ...]:
        """The words that begin in a sentence, with times from its beginning.

        Args:
            number: of the sentence, from 0.
            spoken: what Piper has made of it, with how many samples each of its phonemes' ids lasts.
        """
        samples = [] if spoken.phoneme_id_samples is None else spoken.phoneme_id_samples.tolist()
        begins = self._begins(self._sentences[number], samples)
        last = len(begins) - 2

        def seconds(at: int) -> float:
            return begins[at] / spoken.sample_rate

        return tuple(
            Word(span.text, seconds(span.first), seconds(min(span.last, last) + 1))
            for span in self._spans
            if span.sentence == number
        )

    def _begins(self, sentence: Sequence[str], samples: Sequence[int]) -> list[int]:
        """The sample that each phoneme begins with, and the one after the last. One that the voice lacks has none."""
        ids = self._engine.config.phoneme_id_map
        before = [0, *accumulate(samples)]
        pad = len(ids[_PAD])
        at = len(ids[_BOS]) + pad
        places = [at]
        for phoneme in sentence:
            at += len(ids[phoneme]) + pad if phoneme in ids else 0
            places.append(at)
        return [before[min(place, len(before) - 1)] for place in places]
