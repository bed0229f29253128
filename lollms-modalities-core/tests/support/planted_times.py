"""Planted faults: the times of a transcript, and what becomes of the recording that was given."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lollms_examples.stt import RATE, WINDOW, LoudnessSTTBinding
from lollms_modalities import (
    Audio,
    CallOptions,
    Capabilities,
    MediaInput,
    Segment,
    Timestamps,
    Word,
    option,
    read_media,
)
from lollms_modalities.kit import decode_audio

Segments = Iterator[Segment]
STEP = WINDOW / RATE  # seconds


class Heard(LoudnessSTTBinding):
    """Hears as it should; a base of faults."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        for segment in super().stream_transcript(audio_path, model, **kwargs):
            yield from self.told(segment)

    def told(self, segment: Segment) -> Segments:
        yield segment


class HearsPastTheEnd(Heard):
    """Every window is full, to it."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, end=segment.start + STEP)


class IsOneWindowLate(Heard):
    """Counts windows from one."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=segment.start + STEP, end=segment.end + STEP)


class BeginsWhereItEnds(Heard):
    """Counts where windows begin from one."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=segment.end)


class IsASecondEarly(Heard):
    """Takes off what another model has before its first word."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=max(0.0, segment.start - 1.5), end=max(0.0, segment.end - 1.5))


class TellsMilliseconds(Heard):
    """Tells times in thousandths."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=segment.start * 1000, end=segment.end * 1000)


class TellsThousands(Heard):
    """Divides by a thousand what was seconds already."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=segment.start / 1000, end=segment.end / 1000)


class BeginsAgain(Heard):
    """Counts from the beginning of each ten seconds."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=segment.start % 10, end=segment.start % 10 + (segment.end - segment.start))


class BeginsAgainWithSpeech(Heard):
    """Counts from the first word."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        begin: float | None = None
        for segment in super().stream_transcript(audio_path, model, **kwargs):
            if begin is None and segment.text == "loud":
                begin = segment.start
            if begin is not None:
                yield replace(segment, start=segment.start - begin, end=segment.end - begin)


class TellsSegmentsTwice(Heard):
    """Tells each segment with the one before it."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=max(0.0, segment.start - 1.0))


class LosesTheEnd(LoudnessSTTBinding):
    """A window that is not full is not heard."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        samples = decode_audio(audio_path, RATE)
        whole = len(samples) // WINDOW * WINDOW
        yield from super().stream_transcript(Audio.from_samples(samples[:whole], RATE), model, **kwargs)


class LosesItsLastSegments(Heard):
    """Stops two seconds before the end."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        heard = list(super().stream_transcript(audio_path, model, **kwargs))
        yield from heard[:-4] or heard[:1]


class HearsThreeSeconds(Heard):
    """Hears the beginning."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        yield from list(super().stream_transcript(audio_path, model, **kwargs))[:6]


class IgnoresTheRate(LoudnessSTTBinding):
    """Takes samples as they come."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        decode_audio(audio_path, RATE)  # what is no sound is refused
        audio = Audio(read_media(audio_path))
        samples = audio.to_numpy()
        one = samples if samples.ndim == 1 else samples.mean(axis=1)
        yield from super().stream_transcript(Audio.from_samples(one, RATE), model, **kwargs)


class TakesStereoForLonger(LoudnessSTTBinding):
    """Takes two channels for one."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        decode_audio(audio_path, RATE)
        audio = Audio(read_media(audio_path))
        flat = audio.to_numpy().reshape(-1)
        yield from super().stream_transcript(Audio.from_samples(flat, audio.sample_rate), model, **kwargs)


class MixesRecordings(LoudnessSTTBinding):
    """Says that it is concurrent, and keeps the recording in itself."""

    concurrency = 8

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        self.recording = audio_path
        time.sleep(0.02)
        yield from super().stream_transcript(self.recording, model, **kwargs)


class HearsTheFirstAgain(LoudnessSTTBinding):
    """Keeps the first recording that it was given."""

    first: Any = None

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        decode_audio(audio_path, RATE)
        if model in (None, "loudness") and self.first is None:
            self.first = read_media(audio_path)
        yield from super().stream_transcript(self.first, model, **kwargs)


class HasWords(LoudnessSTTBinding):
    """Tells words; a base of faults."""

    capabilities = Capabilities(streaming=True, timestamps=("segment", "word"))

    class Options(CallOptions):
        threshold: float = option(0.05, description="Above this it is loud; full scale is 1.", gt=0, le=1)
        timestamps: Timestamps = "segment"

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        for segment in super().stream_transcript(audio_path, model, **kwargs):
            yield replace(segment, words=self.words(segment)) if kwargs["timestamps"] == "word" else segment

    def words(self, segment: Segment) -> tuple[Word, ...]:
        return (Word(segment.text, segment.start, segment.end),)


class TellsWordsOfItsWindow(HasWords):
    """Words count from where their segment begins."""

    def words(self, segment: Segment) -> tuple[Word, ...]:
        return (Word(segment.text, 0.0, segment.end - segment.start),)


class TellsNoWords(HasWords):
    """Says that it tells words."""

    def words(self, segment: Segment) -> tuple[Word, ...]:
        return ()


class TellsOtherWords(HasWords):
    """The words of a segment are not what it says."""

    def words(self, segment: Segment) -> tuple[Word, ...]:
        return (Word("something", segment.start, segment.end),)


class TellsNumpysTimes(Heard):
    """Its times are numpy's."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, start=np.float64(segment.start), end=np.float64(segment.end))


class TellsNumpysChances(Heard):
    """How sure it is, in a type of numpy's."""

    def told(self, segment: Segment) -> Segments:
        yield replace(segment, probability=np.float64(0.9))


# -- what is given ---------------------------------------------------------------------------------------------------


class ChangesTheFile(LoudnessSTTBinding):
    """Makes the recording louder, where it lies."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        yield from super().stream_transcript(audio_path, model, **kwargs)
        if isinstance(audio_path, Path):
            audio_path.write_bytes(Audio.from_samples(decode_audio(audio_path, RATE) / 2, RATE))


class WritesBeside(LoudnessSTTBinding):
    """Leaves what it heard beside the recording."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        yield from super().stream_transcript(audio_path, model, **kwargs)
        if isinstance(audio_path, Path):
            audio_path.with_suffix(".json").write_text("heard")


class TakesAwayNotes(LoudnessSTTBinding):
    """Takes a file beside the recording for its own, and tidies up."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        yield from super().stream_transcript(audio_path, model, **kwargs)
        if isinstance(audio_path, Path):
            audio_path.with_suffix(".txt").unlink(missing_ok=True)


class AsksAShell(LoudnessSTTBinding):
    """Names the recording in a command line."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        if isinstance(audio_path, Path):
            os.system(f'true "{audio_path}" 2>/dev/null')
        yield from super().stream_transcript(audio_path, model, **kwargs)


class TakesANameForAnOption(LoudnessSTTBinding):
    """Names the recording where a program may take it for an option."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Segments:
        if isinstance(audio_path, Path):
            subprocess.run(["ls", str(audio_path)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        yield from super().stream_transcript(audio_path, model, **kwargs)
