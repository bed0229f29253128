"""Live transcription: of the sample's sound, given bit by bit."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any, ClassVar

from lollms_modalities.media.chunk import AudioChunk
from lollms_modalities.media.sound import decode_frames
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.suite import Suite

_CHUNK = 0.05  # seconds
_MANY = 100  # times that the sample is given, where the end is not waited for


class _MineError(Exception):
    """What the caller's own source raises."""


class LiveTests(Suite):
    """``transcribe_live``, which every transcription binding has.

    Attributes:
        speech: whether the sample is speech, or whatever the binding's own ``transcribe_live`` hears.
        live_within: seconds in which what is waited for comes.
        live_error: how much of the words, of all that are said, may differ between live text and the whole transcript.
    """

    speech: ClassVar[bool] = True
    live_error: ClassVar[float] = 0.34
    live_within: ClassVar[float] = 60.0

    def frames(self) -> list[AudioChunk]:
        """The sample's sound as a microphone gives it."""
        samples, rate = decode_frames(self.arguments()["audio_path"])
        step = int(rate * _CHUNK)
        return [AudioChunk.from_samples(samples[n : n + step], rate) for n in range(0, len(samples), step)]

    def live(self, binding: Any, frames: Any, **more: Any) -> Any:
        """Begin a live transcription with the sample's options."""
        return binding.transcribe_live(frames, **self._options(), **more)

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in self.arguments().items() if name != "audio_path"}

    @crosses
    @applies(lambda suite: suite.speech)
    def test_live_text_comes_before_its_end_and_is_the_whole(self, bound: Any, result: Any) -> None:
        """Leave ``transcribe_live`` to the core; or give segments as they are known, the last of each id ``final``."""
        came, waited = threading.Event(), list[bool]()

        def frames() -> Iterator[AudioChunk]:
            *before, last = self.frames()
            yield from before
            waited.append(came.wait(self.live_within))  # a source that stalls shows what was heard, too
            yield last

        segments = []
        stream = self.live(bound, frames())
        for segment in stream:
            segments.append(segment)
            came.set()
        contract(waited == [True] and segments, "The first live segment comes before the last frame is given.", "live")
        self.check_live(segments, result)
        contract(stream.provenance is not None, "A live stream that has ended has its provenance.", "live")

    def check_live(self, segments: list[Any], result: Any) -> None:
        """Fail unless these are what every live transcription gives; ``result`` is what was said."""
        by_id: dict[Any, list[Any]] = {}
        for segment in segments:
            by_id.setdefault(segment.id, []).append(segment)
        contract(None not in by_id, "Each live segment has an id.", "live", by_id.keys())
        for same in by_id.values():
            contract(
                [s.final for s in same] == [False] * (len(same) - 1) + [True],
                "Of the live segments that have one id the last is final, and only that.",
                "live",
                same,
            )
        finals = [s for s in segments if s.final]
        contract(
            all(0 <= s.start <= s.end for s in segments) and all(a.start <= b.start for a, b in pairwise(finals)),
            "The times of final segments are in order.",
            "live",
            finals,
        )
        live = _words(" ".join(s.text for s in finals))
        error = word_error(_words(result), live)
        contract(
            error <= self.live_error,
            f"The final segments say what the whole transcript says, but for {self.live_error:.0%} of its words.",
            "live",
            (f"{error:.0%}", " ".join(live), str(result)),
        )

    @applies(lambda suite: suite.speech)
    def test_live_text_of_an_asynchronous_source(self, bound: Any, result: Any) -> None:
        """Iterate over ``frames`` as it is given to the verb, which is a plain iterator whatever the caller gave."""
        import asyncio

        async def frames() -> AsyncIterator[AudioChunk]:
            for chunk in self.frames():
                await asyncio.sleep(0)
                yield chunk

        async def main() -> list[Any]:
            return [segment async for segment in bound.atranscribe_live(frames(), **self._options())]

        self.check_live(asyncio.run(main()), result)

    @crosses
    @applies(lambda suite: suite.speech)
    def test_live_text_that_is_closed_early_frees_everything(self, bound: Any) -> None:
        """Free what the engine holds in a ``finally`` of ``transcribe_live``."""
        closed = threading.Event()

        def frames() -> Iterator[AudioChunk]:
            try:
                for _ in range(_MANY):
                    yield from self.frames()
            finally:
                closed.set()

        with self.live(bound, frames()) as stream:
            next(stream)
        contract(closed.wait(self.live_within), "A live stream that is closed closes its source.", "live")
        self.check(self.call(bound, timeout=self.live_within))
        contract(list(stream) == [], "A live stream that was closed gives nothing more.", "live")

    @crosses
    def test_an_exception_from_the_source_arrives_unchanged(self, bound: Any) -> None:
        """Let what ``frames`` raises through."""
        mine = _MineError("mine")

        def frames() -> Iterator[AudioChunk]:
            yield from self.frames()[:10]
            raise mine

        sentence = "An exception from the source of sound ends the live stream and arrives unchanged."
        with raises(_MineError, sentence, "live") as caught:
            list(self.live(bound, frames()))
        contract(caught[0] is mine, sentence, "live", caught[0])
        self.check(self.call(bound))

    def test_live_text_of_nothing(self, bound: Any) -> None:
        """Give no segment where ``frames`` ends at once."""
        contract(list(self.live(bound, [])) == [], "Where no sound comes there is no text.", "live")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", re.sub(r"[’']", "", text.lower()))


def word_error(said: list[str], heard: list[str]) -> float:
    """Words that were replaced, dropped or put in, by those that were said (Levenshtein's distance)."""
    row = list(range(len(heard) + 1))
    for n, word in enumerate(said, 1):
        before, row[0] = row[0], n
        for m, other in enumerate(heard, 1):
            before, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, before + (word != other))
    return row[-1] / max(1, len(said))
