"""The times of a transcript: seconds from the beginning of the recording, wherever its windows were cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

from lollms_modalities import media
from lollms_modalities.media.samples import resample
from lollms_modalities.testing.contract import applies, contract, works
from lollms_modalities.testing.raw import engines_segments
from lollms_modalities.testing.suite import Suite
from lollms_modalities.testing.transcripts import joined, one_channel

_LATE = 0.1  # seconds past the end that rounding makes
_LOOSE = 0.35  # seconds by which words and segments may overlap, as engines have it
_GUESS = 1.0  # seconds by which an engine may be wrong about where speech is
_LOUD = 0.02  # of full scale


class Sounding(NamedTuple):
    """Where a recording is loud, and its length; seconds."""

    begin: float
    end: float
    duration: float


class Heard(NamedTuple):
    """A recording, the segments as the engine gave them, and the transcript."""

    where: Sounding
    segments: tuple[Any, ...]
    result: Any


def sounding(recording: Any) -> Sounding:
    """Where the first and the last loud sample of a recording are."""
    audio = media.Audio(media.read_media(recording))
    loud = np.flatnonzero(np.abs(one_channel(audio)) > _LOUD)
    if not len(loud):
        return Sounding(0.0, audio.duration, audio.duration)
    return Sounding(loud[0] / audio.sample_rate, loud[-1] / audio.sample_rate, audio.duration)


class TimesTests(Suite):
    """For bindings that declare the times of segments or of words."""

    @pytest.fixture
    def heard(self, bound: Any) -> list[Heard]:
        """A short recording, one with silence at its end, and a long one; heard once for all tests of a suite."""
        cls = type(self)
        if "_heard" not in vars(cls):
            sample = self.arguments()["audio_path"]
            cls._heard = [self._hear(bound, recording) for recording in (sample, joined(sample, 0.37))]
            words = {"timestamps": "word"} if self._has_words() else {}
            cls._heard.append(self._hear(bound, self.long()["audio_path"], **words))
        return cls._heard

    @classmethod
    def _has_words(cls) -> bool:
        return "word" in cls.capabilities().timestamps and "timestamps" in cls.option_names()

    _heard: ClassVar[list[Heard]]

    def _hear(self, bound: Any, recording: Any, **more: Any) -> Heard:
        with engines_segments() as given, works("A recording is heard, whatever its length.", "times"):
            result = self.call(bound, audio_path=recording, **more)
        return Heard(sounding(recording), tuple(given) or result.segments, result)

    @applies(lambda suite: suite.capabilities().timestamps)
    def test_times_lie_in_the_recording(self, heard: list[Heard]) -> None:
        """Give seconds, not milliseconds or frames, and end where the recording does: engines hear past it."""
        for where, segments, result in heard:
            for part in (*segments, *(word for segment in segments for word in segment.words)):
                contract(
                    -_LATE <= part.start <= part.end <= where.duration + _LATE,
                    "Times are seconds from 0 to the length of the recording.",
                    "times",
                    (part, where.duration),
                )
            contract(
                result.duration is None or abs(result.duration - where.duration) <= _LATE,
                "The duration of a transcript is that of the recording, in seconds.",
                "times",
                (result.duration, where.duration),
            )

    @applies(lambda suite: suite.capabilities().timestamps)
    def test_times_are_where_the_speech_is(self, heard: list[Heard]) -> None:
        """Add to each window's times where the window begins, the same for begin and end, and give every window."""
        for where, segments, result in heard:
            contract(segments, "A binding that declares times gives segments.", "times", result)
            begin, end = segments[0].start, max(s.end for s in segments)
            guess = max(_GUESS, 0.15 * min(where.duration, 10.0))
            contract(
                begin <= where.begin + guess and end >= where.end - guess,
                "From the first to the last segment is from the first to the last word that was said.",
                "times",
                (begin, end, where),
            )
            covered = sum(s.end - s.start for s in segments)
            contract(
                covered >= 0.4 * (where.end - where.begin),
                "Segments last as long as what is said in them.",
                "times",
                (covered, where),
            )

    @applies(lambda suite: suite.capabilities().timestamps)
    def test_times_go_forward(self, heard: list[Heard]) -> None:
        """Give segments in their order. Where the engine counts from each window's beginning, add where that is."""
        for _, segments, _ in heard:
            for before, after in pairwise(segments):
                contract(
                    before.start <= after.start and before.end <= after.end and after.start >= before.end - _LOOSE,
                    "Segments follow one another.",
                    "times",
                    (before, after),
                )

    @applies(lambda suite: suite.capabilities().timestamps)
    def test_silence_before_moves_the_times(self, bound: Any, result: Any) -> None:
        """Count from the beginning of the recording, not from the first word or the window."""
        quiet = 3.0
        moved = self.call(bound, audio_path=joined(quiet, self.arguments()["audio_path"]))
        end, later = (max((s.end for s in heard.segments), default=0.0) for heard in (result, moved))
        contract(
            abs(later - end - quiet) <= _GUESS,
            "With silence before it, the same speech is so much later.",
            "times",
            (end, later),
        )

    @applies(lambda suite: suite.capabilities().timestamps)
    def test_the_end_is_heard(self, bound: Any, result: Any) -> None:
        """Give what is left when the recording ends, however short: the last window is seldom full."""
        sample = self.arguments()["audio_path"]
        where = sounding(sample)
        twice = self.call(bound, audio_path=joined(sample, 0.5, sample))
        lower = twice.lower()
        missing = [word for word in getattr(self, "expected", ()) if lower.count(word.lower()) < 2]
        contract(not missing, "What is said twice is heard twice.", "times", (missing, twice))
        contract(
            max(s.end for s in twice.segments) >= where.duration + 0.5 + where.end - _GUESS,
            "What is said last is heard.",
            "times",
            (twice.segments[-1], where),
        )
        # Where an engine's segments reach to the very end of one recording, they do so in every one.
        if abs(result.segments[-1].end - where.duration) > 0.01 or result.segments[0].start > 0.01:
            return
        whole = joined(sample)
        gaps = []
        for less in (0.13, 0.22, 0.31):
            cut = media.Audio.from_samples(one_channel(whole)[: -round(less * whole.sample_rate)], whole.sample_rate)
            segments = self.call(bound, audio_path=cut).segments
            gaps.append(cut.duration - max((s.end for s in segments), default=0.0))
        contract(min(gaps) <= _LATE, "What is said last is heard, in a window that is not full, too.", "times", gaps)

    @applies(lambda suite: suite.capabilities().timestamps)
    def test_the_rate_of_the_recording_is_heeded(self, bound: Any, result: Any) -> None:
        """Read recordings with ``kit.decode_audio``, which gives one channel at the rate that the engine wants."""
        whole = joined(self.arguments()["audio_path"])
        end = max((s.end for s in result.segments), default=0.0)
        for rate, channels in ((48000, 2), (8000, 1)):
            samples = resample(one_channel(whole), whole.sample_rate, rate)
            both = np.stack([samples] * channels, axis=1) if channels > 1 else samples
            heard = self.call(bound, audio_path=media.Audio.from_samples(both, rate))
            later = max((s.end for s in heard.segments), default=0.0)
            contract(
                abs(later - end) <= 0.3 + 0.15 * whole.duration,
                "The same recording at another rate, or in stereo, has the same times.",
                "times",
                (rate, channels, end, later),
            )

    @applies(lambda suite: suite._has_words())
    def test_words_lie_in_their_segments(self, bound: Any, heard: list[Heard]) -> None:
        """Give with ``timestamps="word"`` each segment its own words, with times from the recording's beginning."""
        short = self._hear(bound, self.arguments()["audio_path"], timestamps="word")
        for where, segments, result in (short, heard[-1]):
            contract(
                result.words or not result.strip(), "With timestamps='word' a transcript has words.", "times", result
            )
            for segment in segments:
                self._check_words(segment, where.duration)
            told = [word for segment in segments for word in segment.words]
            contract(not told or any(word.end > word.start for word in told), "Words take time.", "times", told[:2])
            without = [s for s in segments if _letters(s.text) and not s.words]
            contract(
                len(without) <= len(segments) / 5,
                "With timestamps='word' a transcript has words to its end.",
                "times",
                without[:1],
            )

    def _check_words(self, segment: Any, duration: float) -> None:
        for word in segment.words:
            contract(
                segment.start - _LOOSE <= word.start <= word.end <= segment.end + _LOOSE
                and word.end <= duration + _LATE,
                "A word's times lie in its segment.",
                "times",
                (word, segment.start, segment.end),
            )
        for before, after in pairwise(segment.words):
            contract(
                before.start <= after.start, "The words of a segment follow one another.", "times", (before, after)
            )
        said, words = _letters(segment.text), _letters("".join(w.text for w in segment.words))
        contract(not words or words == said, "The words of a segment are its text.", "times", (said, words))


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
