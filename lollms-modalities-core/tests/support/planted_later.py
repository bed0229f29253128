"""Planted faults that a first look at arguments, state and results does not show: they are in what comes later."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from lollms_examples.stt import RATE, LoudnessSTTBinding
from lollms_examples.tti import BlocksTTIBinding, EnlargeOptions
from lollms_examples.ttm import ChordTTMBinding
from lollms_examples.tts import PITCHES, ToneTTSBinding
from lollms_examples.tts import RATE as HERTZ
from lollms_examples.ttv import BallTTVBinding
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    Capabilities,
    Image,
    ImageInput,
    MediaInput,
    Segment,
    Transcript,
    Video,
    VoiceNotFoundError,
    Word,
    report_progress,
    setting,
    verb,
)
from lollms_modalities.kit import decode_audio
from planted_arguments import Drawn
from planted_process import Does
from planted_times import HasWords
from planted_verbs import Keeps

Chunks = Iterator[AudioChunk]
_KEPT: list[Any] = []


# -- arguments -------------------------------------------------------------------------------------------------------


class BySentence(ToneTTSBinding):
    """Speaks as it should, and knows where the first sentence ends; a base of faults."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        if voice not in PITCHES:
            raise VoiceNotFoundError(f"There is no voice {voice!r:.60}.")
        words, later = text.split(), False
        for done, word in enumerate(words):
            report_progress(done, len(words), unit="word")
            who, speed = self.asked(voice, kwargs["speed"]) if later else (voice, kwargs["speed"])
            seconds = np.arange(round(0.05 * HERTZ * (1 + len(word)) / speed)) / HERTZ
            tone = np.sin(2 * np.pi * PITCHES[who] * (1 + len(word) / 12) * seconds)
            times = (Word(word, 0.0, len(tone) / HERTZ),) if kwargs["timestamps"] == "word" else ()
            yield AudioChunk.from_samples(self.settings.loudness * tone, HERTZ, word, times)
            later = later or word.endswith((".", "!", "?"))
        report_progress(len(words), len(words), unit="word")

    def asked(self, voice: str, speed: float) -> tuple[str, float]:
        return voice, speed


class HeedsItsVoiceAtFirst(BySentence):
    """Speaks its first sentence in the voice that was asked for, and the rest in its own."""

    def asked(self, voice: str, speed: float) -> tuple[str, float]:
        return "low", speed


class HeedsItsSpeedAtFirst(BySentence):
    """Speaks its first sentence as fast as was asked for, and the rest at its own speed."""

    def asked(self, voice: str, speed: float) -> tuple[str, float]:
        return voice, 1.0


class NeverSlows(ToneTTSBinding):
    """Is as slow as it is, whatever it is asked for."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, voice, **{**kwargs, "speed": max(1.0, kwargs["speed"])})


class SpeaksItsFirstParagraph(ToneTTSBinding):
    """What comes after an empty line is not spoken."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text.strip().partition("\n\n")[0], voice, **kwargs)


class SpeaksFiveHundredCharacters(ToneTTSBinding):
    """What comes after five hundred characters is not spoken."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text[:500], voice, **kwargs)


class StopsAtAQuestion(ToneTTSBinding):
    """What comes after the first question is not spoken."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text.partition("?")[0], voice, **kwargs)


class ReadsBothEnds(Drawn):
    """Reads the beginning of a prompt, and its end."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(prompt[:24] + prompt[-24:], negative_prompt, width, height, **kwargs)


class TakesNoughtForNoSeed(Drawn):
    """Takes the seed 0 for none, and draws one."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        seed = kwargs["seed"] or int(np.random.default_rng().integers(1, 2**31))
        return super().draw(prompt, negative_prompt, width, height, **{**kwargs, "seed": seed})


class DrawsInEights(Drawn):
    """Draws sides that eight divides."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        return super().draw(prompt, negative_prompt, max(8, width // 8 * 8), max(8, height // 8 * 8), **kwargs)


class FilmsInEights(BallTTVBinding):
    """Films sides that eight divides."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        sides = {name: max(8, kwargs[name] // 8 * 8) for name in ("width", "height")}
        return super().generate_video(prompt, **{**kwargs, **sides})


# -- state -----------------------------------------------------------------------------------------------------------


class HasOneDefaultForAll(ToneTTSBinding):
    """The default voice of the last that was made is everybody's."""

    first: ClassVar[str] = "low"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        type(self).first = self.settings.default_voice

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        yield from super().stream_audio(text, self.first if voice == self.settings.default_voice else voice, **kwargs)


class NotesWhatItHeard(LoudnessSTTBinding):
    """A call writes into its settings."""

    class Settings(BindingSettings):
        heard: str = setting("", description="What was heard last.")

    settings: Settings

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        yield from super().stream_transcript(audio_path, model, **kwargs)
        object.__setattr__(self.settings, "heard", "something")


class _Styled(ToneTTSBinding):
    class Settings(BindingSettings):
        default_voice: str = setting("low", description="Voice to use when none is named.")
        loudness: float = setting(0.5, description="From 0 to 1.", ge=0, le=1)
        style: Literal["plain", "sung"] = setting("plain", description="How it speaks.")
        octave: int = setting(1, description="How much higher.", ge=1, le=4)
        muffled: bool = setting(False, description="Quieter.")

    settings: Settings  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.at_first = self.settings

    def kept(self, name: str) -> Any:
        """The setting as it was when this one was made, where it is the spoilt one."""
        return getattr(self.at_first if name == self.spoilt else self.settings, name)

    spoilt = ""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        for chunk in super().stream_audio(text, voice, **kwargs):
            samples = chunk.samples[:: self.kept("octave")] / (1 + self.kept("muffled")) / 32768
            sung = samples[::-1] if self.kept("style") == "sung" else samples
            yield replace(chunk, pcm=AudioChunk.from_samples(sung, chunk.sample_rate).pcm, words=())

    capabilities = Capabilities(streaming=True)


class KeepsItsStyle(_Styled):
    """Looks at a choice of its settings when it is made."""

    spoilt = "style"


class KeepsItsOctave(_Styled):
    """Looks at a number of its settings when it is made."""

    spoilt = "octave"


class StaysMuffled(_Styled):
    """Looks at a switch of its settings when it is made."""

    spoilt = "muffled"


class _Remembers(LoudnessSTTBinding):
    """Keeps what it has heard; a base of faults."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heard: dict[Any, list[Segment]] = {}

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        made = super().stream_transcript(audio_path, model, **kwargs)
        key = None if model not in (None, *self.list_models()) else self.key(audio_path)
        if key is None:
            yield from made
            return
        key = key, kwargs["threshold"]
        if key not in self.heard:
            self.heard[key] = list(made)
        else:
            report_progress(1, 1, unit="s")
        yield from self.heard[key]

    def key(self, audio_path: MediaInput) -> Any:
        """None where it is not kept."""


class CachesByPath(_Remembers):
    """Hears again what it has heard under a name, whatever lies there now."""

    def key(self, audio_path: MediaInput) -> Any:
        return audio_path if isinstance(audio_path, Path) else None


class CachesByDuration(_Remembers):
    """Hears again what it has heard of a recording that is as long."""

    capabilities = Capabilities(timestamps=("segment",))

    def key(self, audio_path: MediaInput) -> Any:
        return len(decode_audio(audio_path, RATE))


class MixesInstances(LoudnessSTTBinding):
    """Two of them have one place for the recording."""

    recording: ClassVar[Any] = None

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        MixesInstances.recording = audio_path
        time.sleep(0.02)
        yield from super().stream_transcript(MixesInstances.recording, model, **kwargs)


class KeepsALittle(ToneTTSBinding):
    """Keeps what it has spoken, for ever."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        for chunk in super().stream_audio(text, voice, **kwargs):
            _KEPT.append(bytearray(chunk.pcm))
            yield chunk


# -- times -----------------------------------------------------------------------------------------------------------


class TellsWordsWithoutLength(HasWords):
    """Each word begins and ends where its segment begins."""

    def words(self, segment: Segment) -> tuple[Word, ...]:
        return (Word(segment.text, segment.start, segment.start),)


# -- what is given ---------------------------------------------------------------------------------------------------


class WritesBesideVoices(Keeps):
    """Leaves what it knows of a voice beside its recording."""

    def stream_audio(self, text: str, voice: MediaInput | None = None, **kwargs: Any) -> Chunks:
        if isinstance(voice, Path):
            voice.with_suffix(".npz").write_bytes(b"what it knows")
        yield from super().stream_audio(text, voice, **kwargs)


class EnlargesInPlace(BlocksTTIBinding):
    """Enlarges the picture that it was given, where it lies."""

    @verb("Image", content="image", options=EnlargeOptions)
    def upscale_image(self, image: ImageInput, scale: float | None = None, **kwargs: Any) -> Image:
        """The image, larger."""
        made = super().upscale_image(image, scale, **kwargs)
        if isinstance(image, Path):
            image.write_bytes(made)
        return made


class PlaysOnInPlace(ChordTTMBinding):
    """Puts what it has made where the music was that it went on from."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        made = super().generate_music(prompt, **kwargs)
        if isinstance(kwargs["audio"], Path):
            kwargs["audio"].write_bytes(made)
        return made


# -- the process -----------------------------------------------------------------------------------------------------


class ExitsOnControlC(ToneTTSBinding):
    """Ctrl-C is the end of the process."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        chunks = super().stream_audio(text, voice, **kwargs)
        try:
            yield from chunks
        except KeyboardInterrupt:
            sys.exit(130)


class ExitsOnAnUnknownVoice(ToneTTSBinding):
    """An unknown voice is the end of the process."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        if voice not in self.list_voices():
            sys.exit("no such voice")
        yield from super().stream_audio(text, voice, **kwargs)


class OpensAnyPicture(Does):
    """How large a picture may be is for everybody."""

    def besides(self, text: str) -> None:
        import PIL.Image

        PIL.Image.MAX_IMAGE_PIXELS = None


class TrustsAnybody(Does):
    """Nobody's certificates are looked at any more."""

    def besides(self, text: str) -> None:
        import ssl

        ssl._create_default_https_context = ssl._create_unverified_context


# -- looks, sounds ---------------------------------------------------------------------------------------------------


class Clicks(ToneTTSBinding):
    """Nothing is heard but a click."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Chunks:
        for chunk in super().stream_audio(text, voice, **kwargs):
            samples = np.zeros(len(chunk.samples), np.int16)
            samples[-1] = chunk.samples.max(initial=9000)
            yield replace(chunk, pcm=samples.tobytes())


class DrawsTransparent(Drawn):
    """All of it is transparent."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        picture = super().draw(prompt, negative_prompt, width, height, **kwargs).to_pil().convert("RGBA")
        picture.putalpha(0)
        return Image.from_pil(picture)


class DrawsOnePoint(Drawn):
    """Black but for one point."""

    def draw(self, prompt: str, negative_prompt: str, width: int, height: int, **kwargs: Any) -> Image:
        pixels = np.array(super().draw(prompt, negative_prompt, width, height, **kwargs).to_pil())
        pixels[1:], pixels[0, 1:] = 0, 0
        return Image.from_pixels(pixels)


class FilmsAStillAfterItsFirst(BallTTVBinding):
    """Every frame but the first is the last one."""

    def _frames(self, prompt: str, options: Any) -> Iterator[Any]:
        frames = list(super()._frames(prompt, options))
        yield from [*frames[:1], *[frames[-1]] * (len(frames) - 1)]


class TellsNumpysLanguage(LoudnessSTTBinding):
    """The language is numpy's text."""

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        made = super().transcribe_audio(audio_path, model, **kwargs)
        return Transcript(str(made), segments=made.segments, language=np.str_("en"))


class DescribesNothing(ToneTTSBinding):
    """Gives nothing where rows are wanted."""

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        return None  # type: ignore[return-value]
