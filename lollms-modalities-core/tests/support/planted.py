"""Bindings with one fault each, for the proof that the conformance suite bites. Each is a clean example, spoilt."""

from __future__ import annotations

import io
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lollms_examples.stt import LoudnessSTTBinding
from lollms_examples.tti import BlocksTTIBinding
from lollms_examples.ttm import ChordTTMBinding
from lollms_examples.tts import PITCHES, RATE, ToneTTSBinding
from lollms_examples.ttv import BallTTVBinding
from lollms_modalities import (
    Audio,
    AudioChunk,
    CallOptions,
    Diarize,
    Image,
    MediaInput,
    Segment,
    Speed,
    Transcript,
    Video,
    VoiceNotFoundError,
    current_call,
    read_media,
    report_progress,
    setting,
)
from pydantic import SecretStr

_KEPT: list[Any] = []


_asked: ContextVar[tuple[str, float, float]] = ContextVar("_asked")


def tone(text: str) -> Audio:
    """A tone for each word, in the voice and with the speed that the call asks for."""
    voice, speed, loudness = _asked.get()
    tones = []
    for word in text.split():
        seconds = np.arange(round(0.05 * RATE * (1 + len(word)) / speed)) / RATE
        tones.append(np.sin(2 * np.pi * PITCHES[voice] * (1 + len(word) / 12) * seconds))
    return Audio.from_samples(loudness * np.concatenate(tones), RATE)


class Whole(ToneTTSBinding):
    """Gives the whole in one piece, with progress; a base of faults."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if voice not in PITCHES:
            raise VoiceNotFoundError(f"There is no voice {voice!r:.60}.")
        _asked.set((voice, kwargs["speed"], self.settings.loudness))
        report_progress(0, 1)
        made = self.work(text)
        report_progress(1, 1)
        return made

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        report_progress(0, 2)
        chunk = AudioChunk.from_audio(self.generate_audio(text, voice, **kwargs), text)
        half = len(chunk.pcm) // 4 * 2
        yield AudioChunk(chunk.pcm[:half], chunk.sample_rate)
        yield AudioChunk(chunk.pcm[half:], chunk.sample_rate)

    capabilities = type(ToneTTSBinding.capabilities)()

    def work(self, text: str) -> Audio:
        return tone(text)


class LiesAboutItsRate(Whole):
    """Says 22,050 Hz and writes 24,000."""

    def work(self, text: str) -> Audio:
        made = Audio.from_samples(0.3 * np.sin(np.arange(24000) / 9), 24000)
        return Audio(made, sample_rate=22050, channels=1, duration=made.duration)


class IsSilent(Whole):
    """Gives zeros for samples."""

    def work(self, text: str) -> Audio:
        return Audio.from_pcm(bytes(8000), RATE)


class GivesMp3(Whole):
    """Gives MP3 though nobody asked for it."""

    def work(self, text: str) -> Audio:
        return tone(text).convert("mp3")


class IgnoresCancel(Whole):
    """Works on, whatever it is told."""

    def work(self, text: str) -> Audio:
        if len(text) > 200:
            time.sleep(1.5)
        return tone(text)


class SwallowsUnknownOptions(Whole):
    """Drops what it does not know."""


_checked = SwallowsUnknownOptions.generate_audio
_KNOWN = ("speed", "progress", "cancel", "timeout", "output_path", "output_format")


def _lenient(self: Any, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
    return _checked(self, text, voice, **{k: v for k, v in kwargs.items() if k in _KNOWN})


_lenient.__lollms_raw__ = _checked.__lollms_raw__  # type: ignore[attr-defined]
SwallowsUnknownOptions.generate_audio = _lenient  # type: ignore[method-assign]


class Prints(Whole):
    """Prints from Python."""

    def work(self, text: str) -> Audio:
        print("speaking...")
        return tone(text)


class PrintsFromC(Whole):
    """Writes to the descriptor of standard error."""

    def work(self, text: str) -> Audio:
        os.write(2, b"speaking...\n")
        return tone(text)


class LeaksTemporaryFiles(Whole):
    """Leaves a file for each call."""

    def work(self, text: str) -> Audio:
        handle, _ = tempfile.mkstemp()
        os.close(handle)
        return tone(text)


class LeaksDescriptors(Whole):
    """Leaves a file open for each call."""

    def work(self, text: str) -> Audio:
        os.open(os.devnull, os.O_RDONLY)
        return tone(text)


class LeaksMemory(Whole):
    """Keeps everything for ever."""

    def work(self, text: str) -> Audio:
        _KEPT.append(os.urandom(4_000_000))
        return tone(text)


class LeaksThreads(Whole):
    """Leaves a thread for each call."""

    def work(self, text: str) -> Audio:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return tone(text)


class ProgressRunsBackwards(Whole):
    """Reports 3, then 2."""

    def work(self, text: str) -> Audio:
        for done in (1, 3, 2, 4):
            report_progress(done, 4, stage="work")
        return tone(text)


class ProgressStopsShort(Whole):
    """Reports 3 of 4, and no more."""

    def work(self, text: str) -> Audio:
        report_progress(3, 4, stage="work")
        return tone(text)


class TellsNoProgress(ToneTTSBinding):
    """Says nothing until it is done."""

    capabilities = Whole.capabilities

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if voice not in PITCHES:
            raise VoiceNotFoundError(f"There is no voice {voice!r:.60}.")
        _asked.set((voice, kwargs["speed"], self.settings.loudness))
        return tone(text)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        chunk = AudioChunk.from_audio(self.generate_audio(text, voice, **kwargs), text)
        yield AudioChunk(chunk.pcm[:2], chunk.sample_rate)
        yield AudioChunk(chunk.pcm[2:], chunk.sample_rate)


class HasSecret(Whole):
    """Has a key; a base of faults."""

    class Settings(ToneTTSBinding.Settings):
        api_key: SecretStr | None = setting(None, description="Key of a service.")

    settings: Settings

    def key(self) -> str:
        return self.settings.api_key.get_secret_value() if self.settings.api_key else ""


class ShowsItsSecret(HasSecret):
    """Keeps the secret in its repr."""

    def __repr__(self) -> str:
        return f"<ShowsItsSecret {self.key()}>"


class TellsItsSecret(HasSecret):
    """Writes the secret into provenance."""

    def work(self, text: str) -> Audio:
        current_call().record(extra={"authorization": f"Bearer {self.key()}"})
        return tone(text)


class LogsItsSecret(HasSecret):
    """Writes the secret to the log."""

    def work(self, text: str) -> Audio:
        import logging

        logging.getLogger(__name__).debug("calling with key %s", self.key())
        return tone(text)


class TakesTheMaskForASecret(HasSecret):
    """A masked secret that comes back becomes a part of the secret."""

    def set_settings(self, settings: Any, **kwargs: Any) -> bool:
        rows = dict(settings) if isinstance(settings, Mapping) else {r["name"]: r["value"] for r in settings}
        if rows.get("api_key"):
            rows["api_key"] = SecretStr(f"Bearer {rows['api_key']}")
        return super().set_settings(rows, **kwargs)


class ChangesHalf(Whole):
    """Changes settings one by one."""

    def set_settings(self, settings: Any, **kwargs: Any) -> bool:
        rows = dict(settings) if isinstance(settings, Mapping) else {r["name"]: r["value"] for r in settings}
        return all([super(ChangesHalf, self).set_settings({name: value}) for name, value in rows.items()])


class BlocksTheLoop(Whole):
    """Its twin does the work on the event loop."""

    async def agenerate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        time.sleep(1.5)  # longer than a busy machine holds up a loop
        return self.generate_audio(text, voice, **kwargs)


class OpensVoicesAnywhere(Whole):
    """Takes a voice's name for a path."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if voice not in PITCHES:
            try:
                Path("voices", str(voice)).read_bytes()
            except (OSError, ValueError) as exc:
                raise VoiceNotFoundError(f"There is no voice {voice!r:.60}.") from exc
            raise VoiceNotFoundError(f"{voice!r:.60} is no voice.")
        return super().generate_audio(text, voice, **kwargs)


class LetsEverythingThrough(Whole):
    """An unknown voice is an AttributeError of its library, wrapped by nobody; the default speaks instead."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return super().generate_audio(text, voice if voice in PITCHES else "low", **kwargs)


class MixesThreads(Whole):
    """Says that it is concurrent, and keeps the text in itself."""

    concurrency = 8

    def work(self, text: str) -> Audio:
        self.text = text
        time.sleep(0.02)
        return tone(self.text)


class StreamsLess(Whole):
    """Its stream loses the end."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        yield from list(super().stream_audio(text, voice, **kwargs))[:-1]


class StreamsAtTheEnd(ToneTTSBinding):
    """Says that it streams, and gives everything when all is done."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        yield from list(super().stream_audio(text, voice, **kwargs))


class HasModel(Whole):
    """Has a model; a base of faults."""

    def load_model(self) -> str:
        return "model"


class LoadsToList(HasModel):
    """Loads its model to list its voices."""

    def list_voices(self, **kwargs: Any) -> list[str]:
        assert self.model
        return list(PITCHES)


class OutlivesItsClose(Whole):
    """Works after close()."""

    def close(self) -> None:
        return None


class KeepsItsModel(HasModel):
    """unload() does nothing."""

    def unload(self) -> None:
        return None


class ForgetsKeepAlive(HasModel):
    """Never unloads by itself."""

    def _reap_in(self, seconds: float) -> None:
        return None


class SupportsEverything(Whole):
    """supports() is true of anything."""

    def supports(self, name: str) -> bool:
        return True


class LeavesPartialFiles(Whole):
    """Writes to output_path as it goes."""

    def work(self, text: str) -> Audio:
        made, path = tone(text), current_call().output_path
        if path is not None:
            path.write_bytes(made[:100])
            report_progress(0.5, 1)
        return made


class TakesAnyOption(Whole):
    """Its option has no type."""

    class Options(CallOptions):
        speed: Any = 1.0


class TakesAnySetting(Whole):
    """Its setting has no type."""

    class Settings(ToneTTSBinding.Settings):
        default_voice: Any = setting("low", description="Voice to use when none is named.")


class ForgetsItsDefault(Whole):
    """A setting says what the default is, and is not heeded."""

    class Settings(ToneTTSBinding.Settings):
        default_speed: Speed = setting(2.0, description="Speed where none is given.")


def _without_default(self: Any, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
    return _defaulting(self, text, voice, **{"speed": 1.0, **kwargs})


_defaulting = ForgetsItsDefault.generate_audio
_without_default.__lollms_raw__ = _defaulting.__lollms_raw__  # type: ignore[attr-defined]
ForgetsItsDefault.generate_audio = _without_default  # type: ignore[method-assign]


class SaysNothingOfItself(Whole):
    """"""


class CallsHome(Whole):
    """Asks somebody on the network."""

    def work(self, text: str) -> Audio:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as home:
            home.connect(("192.0.2.1", 9))  # a documentation address; a datagram socket sends nothing to connect
        return tone(text)


class CutsLongTexts(Whole):
    """Fails on a text that is long."""

    def work(self, text: str) -> Audio:
        if len(text) > 300:
            raise RuntimeError("too many tokens")
        return tone(text)


class KnowsAsciiOnly(Whole):
    """Fails on other scripts."""

    def work(self, text: str) -> Audio:
        text.encode("ascii")
        return tone(text)


class IgnoresItsSeed(BlocksTTIBinding):
    """Draws anew each time."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        report_progress(1, 1)
        return Image.from_pixels(np.frombuffer(os.urandom(width * height * 3), np.uint8).reshape(height, width, 3))


class DrawsAnotherSize(BlocksTTIBinding):
    """Rounds the size."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return super().generate_image(prompt, negative_prompt, width + 8, height, **kwargs)


class DrawsJpeg(BlocksTTIBinding):
    """Gives JPEG though nobody asked for it."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return super().generate_image(prompt, negative_prompt, width, height, **kwargs).convert("jpeg")


class ReadsPathsOnly(LoudnessSTTBinding):
    """Opens what it is given as a path."""

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        with open(audio_path, "rb") as file:  # type: ignore[arg-type]
            data = file.read()
        yield from super().stream_transcript(data, model, **kwargs)


class HearsAnything(LoudnessSTTBinding):
    """Takes any bytes for samples."""

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        try:
            return super().transcribe_audio(audio_path, model, **kwargs)
        except ValueError:
            return Transcript("quiet" if len(read_media(audio_path)) < 100 else "loud")


class LosesASegment(LoudnessSTTBinding):
    """What its segments say is not all of what it heard."""

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        made = super().transcribe_audio(audio_path, model, **kwargs)
        return Transcript(made, segments=made.segments[:-1])


class ForgetsWhatItSaid(LoudnessSTTBinding):
    """Of what it says live nothing is final in the end."""

    def transcribe_live(self, frames: Any, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        for segment in super().transcribe_live(frames, model, **kwargs):
            yield replace(segment, final=False)


class SpeaksAtTheEnd(LoudnessSTTBinding):
    """Says nothing live before all of it has been given."""

    def transcribe_live(self, frames: Any, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        yield from super().transcribe_live(iter(list(frames)), model, **kwargs)


class HearsHalf(LoudnessSTTBinding):
    """Drops every other sentence of live speech."""

    def transcribe_live(self, frames: Any, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        for segment in super().transcribe_live(frames, model, **kwargs):
            if segment.id in ("0", "2"):
                yield segment


class NamesThemAnew(LoudnessSTTBinding):
    """Calls who speaks something else in each call."""

    class Options(LoudnessSTTBinding.Options):
        diarize: Diarize = False

    calls = 0

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        made = super().transcribe_audio(audio_path, model, **kwargs)
        if not kwargs["diarize"]:
            return made
        type(self).calls += 1
        return Transcript(made, segments=[replace(s, speaker=f"speaker_{self.calls}") for s in made.segments])


class ComposesNothing(ChordTTMBinding):
    """Gives nothing but silence."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        made = super().generate_music(prompt, **kwargs)
        return Audio.from_pcm(bytes(2 * round(made.duration * made.sample_rate)), made.sample_rate)


class FilmsInMpeg4(BallTTVBinding):
    """An MP4 that most browsers cannot play."""

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        import av

        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as container:
            stream = container.add_stream("mpeg4", rate=12)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for frame in self._frames(prompt, self.Options(**kwargs)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        return Video(buffer.getvalue())
