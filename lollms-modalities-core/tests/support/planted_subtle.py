"""Planted faults of the finer sort: what a look at the sample alone does not show."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lollms_examples.stt import LoudnessSTTBinding
from lollms_examples.tti import BlocksTTIBinding
from lollms_examples.ttm import ChordTTMBinding
from lollms_examples.tts import PITCHES, ToneTTSBinding
from lollms_examples.ttv import BallTTVBinding
from lollms_modalities import (
    Audio,
    AudioChunk,
    CallOptions,
    Count,
    Image,
    MediaInput,
    NumInferenceSteps,
    Seed,
    Segment,
    Transcript,
    Video,
    Word,
    verb,
    voice_row,
)
from lollms_modalities.kit import sentences
from planted_arguments import Drawn
from planted_process import Does
from planted_times import STEP, HasWords, Heard

Chunks = Iterator[AudioChunk]

# -- arguments -------------------------------------------------------------------------------------------------------


class IgnoresItsNegativePrompt(Drawn):
    """Shows what was not to be shown."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(prompt, "", width, height, **kwargs)


class Whole(ToneTTSBinding):
    """Speaks the whole as it should; a base of faults."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(ToneTTSBinding.stream_audio.__lollms_raw__(self, text, voice, **kwargs))  # type: ignore[attr-defined]


class StreamsInItsFirstVoice(Whole):
    """Another voice is heard in the whole only."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, "low" if voice in PITCHES else voice, **kwargs)


class StreamsAtOneSpeed(Whole):
    """Another speed is heard in the whole only."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": 1.0})


class LosesWhatHasNoEnd(ToneTTSBinding):
    """What comes after the last full stop is not spoken."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        ended = [sentence for sentence in sentences(text) if sentence.rstrip().endswith((".", "!", "?"))]
        yield from super().stream_audio(" ".join(ended) or text, voice, **kwargs)


class _Several(CallOptions):
    n: Count = 1
    num_inference_steps: NumInferenceSteps = 8
    seed: Seed = None


class DrawsOneManyTimes(BlocksTTIBinding):
    """Several images are one, each time."""

    @verb("Image", options=_Several)
    def generate_images(self, prompt: str, negative_prompt: str = "", **kwargs: Any) -> list[Image]:
        """Several images."""
        count = kwargs.pop("n")
        return [self.generate_image(prompt, negative_prompt, 64, 64, **kwargs)] * count


class DrawsFewer(BlocksTTIBinding):
    """Several images are two."""

    @verb("Image", options=_Several)
    def generate_images(self, prompt: str, negative_prompt: str = "", **kwargs: Any) -> list[Image]:
        """Several images."""
        count, seed = kwargs.pop("n"), kwargs.pop("seed")
        return [
            self.generate_image(prompt, negative_prompt, 64, 64, **kwargs, seed=seed + k) for k in range(min(2, count))
        ]


class ChangesAsItLikes(BlocksTTIBinding):
    """Changes an image, and not as it was told."""

    def edit_images(self, images: list[Path | bytes], prompt: str, *args: Any, **kwargs: Any) -> list[Image]:
        made: list[Image] = super().edit_images(images, "something", *args, **kwargs)
        return made


class ChangesAnotherImage(BlocksTTIBinding):
    """Draws anew, whatever image was given."""

    def edit_images(self, images: list[Path | bytes], prompt: str, *args: Any, **kwargs: Any) -> list[Image]:
        grey = bytes(Image.from_pixels(np.full((64, 64, 3), 128, np.uint8)))
        made: list[Image] = super().edit_images([grey], prompt, *args, **kwargs)
        return made


class FilmsTheSame(BallTTVBinding):
    """Always films the same."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        return super().generate_video("a ball", **kwargs)


class PlaysWithItsOwnSeed(ChordTTMBinding):
    """Takes a seed, and another one."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        return super().generate_music(prompt, **{**kwargs, "seed": 1})


# -- state -----------------------------------------------------------------------------------------------------------


class KeepsItsSpeedWhenStopped(ToneTTSBinding):
    """Puts its speed back where a call comes to its end."""

    pace = 1.0

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        before, self.pace = self.pace, self.pace * kwargs["speed"]
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": self.pace})
        self.pace = before


class KeepsItsVoiceWhenClosed(ToneTTSBinding):
    """Puts its voice back where a call comes to its end, also a bad one."""

    using: str | None = None

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        before, self.using = self.using, self.using or voice
        try:
            yield from super().stream_audio(text, self.using, **kwargs)
        except Exception:
            self.using = before
            raise
        self.using = before


class _Engine:
    """What a model is, that can be seen to be gone."""


class KeepsItsModelBeside(ToneTTSBinding):
    """Keeps a second reference to its model, which nobody frees."""

    beside: Any = None

    def load_model(self) -> _Engine:
        self.beside = self.beside or _Engine()
        return self.beside  # type: ignore[no-any-return]

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        assert self.model
        yield from super().stream_audio(text, voice, **kwargs)


# -- looks, sounds, numbers ------------------------------------------------------------------------------------------


class EndsInSilence(ToneTTSBinding):
    """Fills less of its buffer than it has."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        filled = 0
        for chunk in super().stream_audio(text, voice, **kwargs):
            filled += len(chunk.pcm)
            yield chunk
        yield AudioChunk(bytes(2 * filled), chunk.sample_rate)


class PlaysOnOneSide(ChordTTMBinding):
    """Of two channels one is silent."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        made = super().generate_music(prompt, **kwargs)
        one = made.to_numpy().reshape(len(made.to_numpy()), -1)[:, 0]
        return Audio.from_samples(np.stack([one, np.zeros_like(one)], axis=1), made.sample_rate)


class DescribesInNumpy(ToneTTSBinding):
    """Its rows of voices hold what is numpy's."""

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        return [voice_row(name, language=np.str_("en")) for name in self.list_voices()]


# -- times -----------------------------------------------------------------------------------------------------------


class TellsWordsOfALaterWindow(HasWords):
    """From the tenth second on, words count from where their segment begins."""

    def words(self, segment: Segment) -> tuple[Word, ...]:
        less = segment.start if segment.start >= 10 else 0.0
        return (Word(segment.text, segment.start - less, segment.end - less),)


class LosesLaterWords(HasWords):
    """From the tenth second on there are no words."""

    def words(self, segment: Segment) -> tuple[Word, ...]:
        return super().words(segment) if segment.start < 10 else ()


class Drifts(Heard):
    """Takes 16,000 samples for 17,500, and so less time for it the later it is."""

    def told(self, segment: Segment) -> Iterator[Segment]:
        yield replace(segment, start=segment.start * 16 / 17.5, end=segment.end * 16 / 17.5)


class IsOneWindowEarly(Heard):
    """Forgets two windows of each ten seconds."""

    def told(self, segment: Segment) -> Iterator[Segment]:
        late = 2 * STEP * int(segment.start // 10)
        yield replace(segment, start=segment.start - late, end=segment.end - late)


# -- the process -----------------------------------------------------------------------------------------------------


class RedirectsItsOutput(Does):
    """Nobody's output is seen any more, where Python does not see it."""

    def besides(self, text: str) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)


class LeavesATimer(Does):
    """An alarm for its engine, which is not taken back."""

    def besides(self, text: str) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_VIRTUAL, 3600)


class StartsProcessesItsWay(Does):
    """How processes are started is for everybody."""

    def besides(self, text: str) -> None:
        multiprocessing.set_start_method("spawn", force=True)


class SilencesOthers(Does):
    """Other libraries' messages are too many for it."""

    def besides(self, text: str) -> None:
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class PrintsNumbersItsWay(Does):
    """How numpy shows numbers is for everybody."""

    def besides(self, text: str) -> None:
        np.set_printoptions(precision=3)


class SeedsRandomOnLoading(ToneTTSBinding):
    """Seeds the generator of the process when it is loaded."""

    def load_model(self) -> str:
        random.seed(0)
        return "model"


class SharesAFileElsewhere(Does):
    """The same file for all, in a folder of its own."""

    def besides(self, text: str) -> None:
        folder = Path(os.environ.get("LOLLMS_PLANTED", tempfile.gettempdir()), "its-own")
        folder.mkdir(exist_ok=True)
        (folder / "out.wav").write_text(text)


class ChangesBytes(LoudnessSTTBinding):
    """Makes the bytes louder that it was given, where they lie."""


def _in_place(self: Any, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
    if isinstance(audio_path, bytearray):
        heard: Transcript = _hearing(self, bytes(audio_path), model, **kwargs)
        audio_path[44:] = bytes(len(audio_path) - 44)
        return heard
    heard = _hearing(self, audio_path, model, **kwargs)
    return heard


_hearing = ChangesBytes.transcribe_audio
_in_place.__lollms_raw__ = _hearing.__lollms_raw__  # type: ignore[attr-defined]
ChangesBytes.transcribe_audio = _in_place  # type: ignore[method-assign,assignment]
