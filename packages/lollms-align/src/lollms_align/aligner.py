"""Forced alignment of English speech with PocketSphinx and the acoustic model that its wheel brings."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from lollms_modalities import UnsupportedError, Word, current_call, decode_audio, split_words

from lollms_align.graph import Graph, Heard
from lollms_align.letters import guessed, possessive
from lollms_align.numbers import Words
from lollms_align.spoken import ways_to_say

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from lollms_modalities import Audio
    from pocketsphinx import Decoder

_RATE = 16000
_FRAMES = 100  # a second
_WINDOW = 15.0  # seconds that are looked at together: the work grows with the square of that
_BEAMS = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60}
_SURE = 1.0  # seconds at the end of a window in which what was heard may be the beginning of something else
_SILENT = 0.001  # of full volume
_FASTEST = 10  # words a second
_FEWEST = 40  # words to look ahead
_MOST_ADDED = 20_000  # words that the dictionary learns before it is made anew
# Where nobody says what language a text is: how many words the dictionary may lack, and how many are such as these.
_STRANGE, _COMMON, _ENOUGH = 0.4, 0.1, 8
_SMALL_WORDS = frozenset(
    "the of and to in is it you that he was for are with as his they be at have this from had by not but what all "
    "were we when your can there an which she do how their if will up about out then them her would like him has my "
    "i".split()
)


class EnglishAligner:
    """Finds when each word of an English text is said.

    The text is looked for in windows of 15 s, so that an hour takes sixty times as long as a minute. Numbers, marks and
    abbreviations may be said in several ways; a word that the dictionary lacks is pronounced by its letters. A sentence
    that is not said is found out: its words have no length and the probability 0. What was guessed and what was not
    heard stands in the provenance of the call, as ``extra["alignment"]``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: Decoder | None = None
        self._added = 0

    def languages(self) -> tuple[str, ...]:
        """English."""
        return ("en",)

    def align(self, audio: Audio, text: str, language: str | None) -> tuple[Word, ...]:
        """The words of ``text`` with their times in ``audio``; joined, their texts are the text.

        Raises:
            UnsupportedError: another language than English, or a text that does not look like English.
        """
        if language is not None and language.replace("_", "-").partition("-")[0].lower() != "en":
            raise UnsupportedError(
                f"lollms-align finds the words of English speech, not of {language!r}.",
                hint="Use an engine that tells the times of its words itself.",
            )
        tokens = split_words(text)
        if not tokens:
            return ()
        samples = decode_audio(audio, _RATE)
        while not self._lock.acquire(timeout=0.1):
            current_call().check()
        try:
            return self._align(samples, tokens, language, audio.duration)
        finally:
            self._lock.release()

    def _align(
        self, samples: npt.NDArray[np.float32], tokens: list[str], language: str | None, duration: float
    ) -> tuple[Word, ...]:
        decoder = self._decoder()
        ways = [ways_to_say(token, lambda word: decoder.lookup_word(word) is not None) for token in tokens]
        guesses = self._learn(decoder, ways)
        if language is None and not _looks_english(tokens, guesses):
            raise UnsupportedError(
                f"The text that begins with {tokens[0].strip()[:40]!r} does not look like English.",
                hint="Give language='en' if it is English nevertheless.",
            )
        spans = _Search(decoder, samples, tokens, ways).spans()
        words = _with_times(tokens, spans, duration)
        missed = [
            token.strip() for token, span in zip(tokens, spans, strict=True) if span is None or span[0] == span[1]
        ]
        told: dict[str, list[str]] = {}
        if guesses:
            told["guessed"] = guesses
        if missed:
            told["not_heard"] = missed
        if told:
            current_call().record(extra={"alignment": told})
        return words

    def _decoder(self) -> Decoder:
        from pocketsphinx import Decoder

        if self._made is None or self._added > _MOST_ADDED:
            # Beams wider than for recognition: the words are known, and a guess may be far from what is heard.
            self._made = Decoder(lm=None, samprate=float(_RATE), loglevel="FATAL", **_BEAMS)
            self._added = 0
        return self._made

    def _learn(self, decoder: Decoder, ways: list[list[Words]]) -> list[str]:
        """Add what the dictionary lacks; which words those are. What has no letters that can be said is left out."""
        guesses: list[str] = []
        for n, each in enumerate(ways):
            kept = []
            for words in each:
                said = []
                for word in words:
                    if decoder.lookup_word(word) is None:
                        phones = _pronounced(decoder, word)
                        if not phones:
                            continue
                        decoder.add_word(word, phones, False)
                        self._added += 1
                        guesses.append(word)
                    said.append(word)
                if said not in kept:
                    kept.append(said)
            ways[n] = kept if any(kept) else [[]]
        return list(dict.fromkeys(guesses))


def _pronounced(decoder: Decoder, word: str) -> str:
    base, mark, _ = word.rpartition("'s") if word.endswith("'s") else (word, "", "")
    known = decoder.lookup_word(base) if mark else None
    phones = known or guessed(base)
    return possessive(phones) if mark and phones else phones


class _Search:
    """Goes through a recording with a text, a window at a time."""

    def __init__(
        self, decoder: Decoder, samples: npt.NDArray[np.float32], tokens: Sequence[str], ways: list[list[Words]]
    ) -> None:
        self._decoder = decoder
        self._samples = samples
        self._ways = ways
        self._begins = [0, *(n + 1 for n, token in enumerate(tokens) if _ends_sentence(token, tokens[n + 1 : n + 2]))]

    def spans(self) -> list[tuple[float, float] | None]:
        """From when to when each word is said, in seconds; None for what is not heard."""
        found: list[tuple[float, float] | None] = []
        at, seconds = 0, len(self._samples)
        while len(found) < len(self._ways) and at < seconds:
            current_call().check()
            size = round(_WINDOW * _RATE)
            last = at + size >= seconds
            first = len(found)
            ahead = len(self._ways) if last else first + max(_FEWEST, round(_WINDOW * _FASTEST))
            spans = self._window(first, min(ahead, len(self._ways)), at, min(at + size, seconds), whole=last)
            if not spans and last:
                spans = self._window(first, min(ahead, len(self._ways)), at, seconds, whole=False)
            if last:
                found += spans
                break
            kept = _sure(spans, (at + size) / _RATE - _SURE)
            found += kept
            end = next((span[1] for span in reversed(kept) if span is not None), None)
            at = at + size // 2 if end is None else max(at + _RATE // 10, round(end * _RATE))
        return found + [None] * (len(self._ways) - len(found))

    def _window(self, first: int, end: int, start: int, stop: int, *, whole: bool) -> list[tuple[float, float] | None]:
        bounds = [first, *(n for n in (*self._begins, len(self._ways)) if first < n <= end)]
        graph = Graph(self._ways[first:end], [(a - first, b - first) for a, b in pairwise(bounds)])
        heard = self._heard(graph, self._samples[start:stop], whole=whole)
        offset = start / _RATE
        spans: list[tuple[float, float] | None] = []
        for part in graph.taken(heard):
            if part is None:
                spans.append(None)
                continue
            begin, behind = part
            ends = offset + (heard[behind - 1].last + 1) / _FRAMES if behind else offset
            spans.append((offset + heard[begin].first / _FRAMES if behind > begin else ends, ends))
        return spans

    def _heard(self, graph: Graph, samples: npt.NDArray[np.float32], *, whole: bool) -> list[Heard]:
        if abs(samples).max(initial=0) < _SILENT:
            return []
        decoder = self._decoder
        last, arcs = graph.arcs(whole=whole)
        decoder.add_fsg("text", decoder.create_fsg("text", 0, last, arcs))
        decoder.activate_search("text")
        decoder.start_utt()
        decoder.process_raw((samples * 32767).astype("<i2").tobytes(), full_utt=True)
        # A window ends in the middle of a word, which the decoder only tolerates while more may come.
        heard = [] if whole else _told(decoder)
        decoder.end_utt()
        return _told(decoder) if whole else heard


def _told(decoder: Decoder) -> list[Heard]:
    if decoder.hyp() is None:
        return []
    # Fillers, such as <sil> and [NOISE], are no words; a word's second pronunciation is word(2).
    found = [s for s in decoder.seg() if s.word[0] not in "<[(+"]
    return [Heard(s.word.partition("(")[0], s.start_frame, s.end_frame) for s in found]


def _looks_english(tokens: Sequence[str], guesses: Sequence[str]) -> bool:
    # The dictionary has many names, and with them words of other languages.
    small = sum(token.strip(" \t\n.,;:!?\"'").lower() in _SMALL_WORDS for token in tokens)
    return len(guesses) <= _STRANGE * len(tokens) and (len(tokens) < _ENOUGH or small >= _COMMON * len(tokens))


def _ends_sentence(token: str, follows: Sequence[str]) -> bool:
    bare = token.strip().rstrip("\"'”’»)]")
    return bool(follows) and (bare.endswith((".", "!", "?", "…")) or "\n\n" in follows[0])


def _sure(spans: list[tuple[float, float] | None], until: float) -> list[tuple[float, float] | None]:
    """What was heard before a time: behind it a word may be the beginning of another."""
    kept = list(spans)
    while kept and (kept[-1] is None or kept[-1][1] > until):
        kept.pop()
    return kept


def _with_times(tokens: list[str], spans: list[tuple[float, float] | None], duration: float) -> tuple[Word, ...]:
    made: list[Word] = []
    end = 0.0
    for token, span in zip(tokens, spans, strict=True):
        if span is None:
            made.append(Word(token, end, end, 0.0))
            continue
        start = min(max(span[0], end), duration)
        end = min(max(span[1], start), duration)
        made.append(Word(token, start, end))
    return tuple(made)
