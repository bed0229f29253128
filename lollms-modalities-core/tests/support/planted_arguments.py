"""Planted faults: what a caller asks for is not what is done, or something is left of it."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import av
import numpy as np
from lollms_examples.tti import BlocksTTIBinding
from lollms_examples.ttm import ChordTTMBinding
from lollms_examples.tts import PITCHES, ToneTTSBinding
from lollms_examples.ttv import BallTTVBinding
from lollms_modalities import Audio, AudioChunk, Image, Video, current_call, report_progress
from lollms_modalities.kit import sentences

Chunks = Iterator[AudioChunk]


class IgnoresItsVoice(ToneTTSBinding):
    """Knows which voices there are, and speaks with the first."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, "low" if voice in PITCHES else voice, **kwargs)


class IgnoresItsSpeed(ToneTTSBinding):
    """Always as fast."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": 1.0})


class SlowsDown(ToneTTSBinding):
    """Takes the speed for a length."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": 1 / kwargs["speed"]})


class SpeaksThreeSentences(ToneTTSBinding):
    """What comes after the third sentence is not spoken."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(" ".join(list(sentences(text))[:3]), voice, **kwargs)


class SpeaksItsFirstLine(ToneTTSBinding):
    """What comes after the first line is not spoken."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text.strip().partition("\n")[0], voice, **kwargs)


class SpeaksTwoHundredCharacters(ToneTTSBinding):
    """What comes after two hundred characters is not spoken."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text[:200], voice, **kwargs)


class SpeaksEverySecondSentence(ToneTTSBinding):
    """Loses every second sentence."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(" ".join(list(sentences(text))[::2]), voice, **kwargs)


class TellsOtherTexts(ToneTTSBinding):
    """Each part says that it is the part before it."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        before = ""
        for chunk in super().stream_audio(text, voice, **kwargs):
            yield replace(chunk, text=before)
            before = chunk.text


class HasOtherPlaces(BlocksTTIBinding):
    """Has the height before the width."""

    def generate_image(  # type: ignore[override]
        self, prompt: str, negative_prompt: str = "", height: int = 512, width: int = 512, **kwargs: Any
    ) -> Image:
        return super().generate_image(prompt, negative_prompt, width, height, **kwargs)


class Drawn(BlocksTTIBinding):
    """Draws as it should; a base of faults."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return self.draw(prompt, negative_prompt, width, height, **kwargs)

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().generate_image(prompt, negative_prompt, width, height, **kwargs)


class SwapsWidthAndHeight(Drawn):
    """Takes the one for the other."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(prompt, negative_prompt, height, width, **kwargs)


class IgnoresItsPrompt(Drawn):
    """Always draws the same."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw("a picture", negative_prompt, width, height, **kwargs)


class TakesTheNegativeForThePrompt(Drawn):
    """Takes the one for the other, which is mostly empty."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(negative_prompt, "", width, height, **kwargs)


class ReadsFortyCharacters(Drawn):
    """Reads the beginning of a prompt."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(prompt[:40], negative_prompt, width, height, **kwargs)


class ReadsTheEnd(Drawn):
    """Reads the end of a prompt."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(prompt[-20:], negative_prompt, width, height, **kwargs)


class FixesItsSeed(Drawn):
    """Has a seed, and takes another one."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(prompt, negative_prompt, width, height, **{**kwargs, "seed": 42})


class CachesWithoutItsSeed(Drawn):
    """Gives again what it has drawn of a prompt, whatever the seed."""

    def load_model(self) -> dict[Any, Image]:
        return {}

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        key = prompt, negative_prompt, width, height
        if key not in self.model:
            self.model[key] = super().draw(prompt, negative_prompt, width, height, **kwargs)
        report_progress(1, 1)
        return Image(self.model[key])


class IgnoresItsDuration(ChordTTMBinding):
    """Always as long."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        return super().generate_music(prompt, **{**kwargs, "duration": 1.0})


class PlaysTwiceAsLong(ChordTTMBinding):
    """Takes one rate for another."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        return super().generate_music(prompt, **{**kwargs, "duration": 2 * kwargs["duration"]})


class IgnoresItsWords(ChordTTMBinding):
    """Always plays on the same root."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        return super().generate_music("music", **kwargs)


class FilmsTwelveFrames(BallTTVBinding):
    """Always as many frames."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        return super().generate_video(prompt, **{**kwargs, "num_frames": 12})


class FilmsOneFrameLess(BallTTVBinding):
    """Loses the last frame."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        return super().generate_video(prompt, **{**kwargs, "num_frames": max(1, kwargs["num_frames"] - 1)})


class IgnoresItsRate(BallTTVBinding):
    """Always as many frames a second."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        return super().generate_video(prompt, **{**kwargs, "fps": 12})


class FilmsAcross(BallTTVBinding):
    """Takes the width for the height."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        return super().generate_video(prompt, **{**kwargs, "width": kwargs["height"], "height": kwargs["width"]})


# -- stale and shared state ------------------------------------------------------------------------------------------


class Cached(ToneTTSBinding):
    """Keeps what it has spoken; a base of faults."""

    capabilities = type(ToneTTSBinding.capabilities)()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spoken: dict[Any, list[AudioChunk]] = {}

    def key(self, text: str, voice: str | None, speed: float) -> Any:
        return text, voice, speed, self.settings.loudness

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        key = self.key(text, voice, kwargs["speed"])
        if key not in self.spoken:
            self.spoken[key] = list(super().stream_audio(text, voice, **kwargs))
        report_progress(1, 2)
        yield from self.spoken[key]
        report_progress(2, 2)


class CachesByItsBeginning(Cached):
    """Looks at the first thirty characters."""

    def key(self, text: str, voice: str | None, speed: float) -> Any:
        return text[:30], voice, speed, self.settings.loudness


class CachesWithoutOptions(Cached):
    """Does not look at the speed."""

    def key(self, text: str, voice: str | None, speed: float) -> Any:
        return text, voice, self.settings.loudness


class CachesWithoutItsVoice(Cached):
    """Does not look at the voice."""

    def key(self, text: str, voice: str | None, speed: float) -> Any:
        return text, voice in PITCHES, speed, self.settings.loudness


class CachesWithoutSettings(Cached):
    """Does not look at the loudness."""

    def key(self, text: str, voice: str | None, speed: float) -> Any:
        return text, voice, speed


class ReadsItsSettingsOnce(ToneTTSBinding):
    """Looks at a setting when the model is loaded, which is not loaded again."""

    def load_model(self) -> float:
        return self.settings.loudness

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        loudness = self.model / self.settings.loudness
        for chunk in super().stream_audio(text, voice, **kwargs):
            pcm = AudioChunk.from_samples(chunk.samples / 32768 * loudness, chunk.sample_rate).pcm
            yield replace(chunk, pcm=pcm)


class KeepsItsFirstDefault(ToneTTSBinding):
    """Looks at the default voice when it is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.first = self.settings.default_voice

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, self.first if voice == self.settings.default_voice else voice, **kwargs)


class ChangesItsSettings(ToneTTSBinding):
    """The voice of a call becomes the default."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, voice, **kwargs)
        object.__setattr__(self.settings, "default_voice", voice)


class KeepsItsSpeed(ToneTTSBinding):
    """A speed that was asked for once stays."""

    speed = 1.0

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        if kwargs["speed"] != 1.0:
            self.speed = kwargs["speed"]
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": self.speed})


class Buffered(ToneTTSBinding):
    """Collects its parts in itself; a base of faults."""

    capabilities = type(ToneTTSBinding.capabilities)()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parts: list[AudioChunk] = []


class KeepsWhatWasCancelled(Buffered):
    """What a call had done before it was cancelled is heard in the next."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        for chunk in super().stream_audio(text, voice, **kwargs):
            self.parts.append(chunk)
        yield from self.parts
        self.parts.clear()


class KeepsWhatWasClosed(Buffered):
    """What of a stream was not read is heard in the next."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        self.parts += list(super().stream_audio(text, voice, **kwargs))
        while self.parts:
            yield self.parts.pop(0)


class StaysCancelled(ToneTTSBinding):
    """A flag that stops it is never taken down."""

    stopped = False

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        current_call().on_cancel(lambda: setattr(self, "stopped", True))
        for number, chunk in enumerate(super().stream_audio(text, voice, **kwargs)):
            if self.stopped and number:
                return
            yield chunk


class KeepsWhatWasRefused(ToneTTSBinding):
    """A voice that there is not changes the next call's."""

    last = 1.0

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        if voice not in PITCHES:
            self.last = 1.5
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": kwargs["speed"] * self.last})


class SharesItsVoice(ToneTTSBinding):
    """The last speed that anybody asked for is everybody's default."""

    pace: ClassVar[list[float]] = [1.0]

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        self.pace[0] = max(self.pace[0], kwargs["speed"])
        mine, self.own = self.pace[0] if getattr(self, "own", None) is not None else kwargs["speed"], True
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": mine})


_ENGINE: dict[str, bool] = {}


class UnloadsForAll(ToneTTSBinding):
    """One engine for all, which the first that unloads takes away."""

    def load_model(self) -> str:
        _ENGINE["here"] = True
        return "engine"

    def free_model(self, model: str) -> None:
        _ENGINE.clear()

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        assert self.model
        if not _ENGINE:
            raise RuntimeError("the engine is gone")
        yield from super().stream_audio(text, voice, **kwargs)


# -- looks, sounds, numbers ------------------------------------------------------------------------------------------


class Wraps(ToneTTSBinding):
    """Too loud for 16 bits, and not clipped."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        for chunk in super().stream_audio(text, voice, **kwargs):
            loud = (chunk.samples / 32768 / self.settings.loudness * 40000).astype(np.int64)
            yield replace(chunk, pcm=loud.astype(np.int16).tobytes())


class Whispers(ToneTTSBinding):
    """Divides by 32,768 twice."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        for chunk in super().stream_audio(text, voice, **kwargs):
            quiet = np.sign(chunk.samples).astype(np.int16)
            yield replace(chunk, pcm=quiet.tobytes())


class DrawsBlack(Drawn):
    """Nothing to be seen."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        made = super().draw(prompt, negative_prompt, width, height, **kwargs)
        return Image.from_pixels(np.zeros_like(np.asarray(made.to_pil())))


class DrawsFractions(Drawn):
    """Casts pixels from 0 to 1."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        made = super().draw(prompt, negative_prompt, width, height, **kwargs)
        return Image.from_pixels((np.asarray(made.to_pil()) / 200).astype(np.uint8))


class FilmsAStill(BallTTVBinding):
    """Every frame is the last one: the engine writes into one array."""

    def _frames(self, prompt: str, options: Any) -> Iterator[Any]:
        frames = list(super()._frames(prompt, options))
        yield from [frames[-1]] * len(frames)


class FilmsInTheDark(BallTTVBinding):
    """Nothing to be seen."""

    def _frames(self, prompt: str, options: Any) -> Iterator[Any]:
        for frame in super()._frames(prompt, options):
            yield np.zeros_like(frame)


class ListsNumpysVoices(ToneTTSBinding):
    """Its voices are of numpy's type."""

    def list_voices(self, **kwargs: Any) -> list[str]:
        return list(np.array(list(PITCHES)))


class ReportsNumpysNumbers(ToneTTSBinding):
    """Reports a number of numpy's."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        report_progress(np.float64(0), 1, stage="begin")
        report_progress(np.float64(1), 1, stage="begin")
        yield from super().stream_audio(text, voice, **kwargs)


class ChangesWithChance(ToneTTSBinding):
    """Draws from the generator of the process, which it seeds."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        random.seed(7)
        speed = kwargs["speed"] * (1 + random.random() / 100)
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": speed})


class FilmsHalfTheSound(BallTTVBinding):
    """The sound of its film ends half way."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        frames, fps = list(self._frames(prompt, self.Options(**kwargs))), kwargs["fps"]
        hum = Audio.from_samples(np.sin(np.arange(24000 * len(frames) // fps) / 20), 48000)
        film, half = Video.from_frames(frames, fps), Video.from_frames(frames[: len(frames) // 2], fps, audio=hum)
        made = io.BytesIO()
        with (
            av.open(io.BytesIO(film)) as pictures,
            av.open(io.BytesIO(half)) as sound,
            av.open(made, "w", format="mp4") as container,
        ):
            sources = (pictures.streams.video[0], sound.streams.audio[0])
            for source, track in [(source, container.add_stream_from_template(source)) for source in sources]:
                for packet in source.container.demux(source):
                    if packet.dts is not None:
                        packet.stream = track
                        container.mux(packet)
        return Video(made.getvalue())
