"""Planted faults: voices that are kept, streams of bytes, images that are changed, music that goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from lollms_examples.tti import BlocksTTIBinding, EnlargeOptions
from lollms_examples.ttm import ChordTTMBinding
from lollms_examples.tts import ToneTTSBinding
from lollms_modalities import (
    Audio,
    AudioChunk,
    Capabilities,
    Consent,
    Image,
    ImageInput,
    MediaInput,
    VoiceNotFoundError,
    check_media,
    option,
    read_media,
    record_clone,
    setting,
    verb,
    voice_row,
)
from lollms_modalities.kit import VoiceStore
from pydantic import WrapValidator

# A text may be a name.
_Voice = Annotated[MediaInput, WrapValidator(lambda given, check: given if isinstance(given, str) else check(given))]


class Keeps(ToneTTSBinding):
    """Takes recordings for voices, and keeps them, as it should; a base of faults."""

    capabilities = Capabilities(streaming=True, cloning=True, keeps_voices=True)

    class Settings(ToneTTSBinding.Settings):
        voices_path: Path = setting(Path(os.environ.get("LOLLMS_PLANTED", "."), "voices"), description="Folder.")

    class Options(ToneTTSBinding.Options):
        voice: _Voice | None = option(None, description="A recording, or the name of a voice.")
        consent: Consent = None

    settings: Settings

    @property
    def store(self) -> VoiceStore:
        return VoiceStore(self.settings.voices_path / type(self).__name__)

    def stream_audio(self, text: str, voice: MediaInput | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        given = {name: value for name, value in kwargs.items() if name not in ("voice", "consent")}
        known = voice
        if not isinstance(voice, str):
            self.note(kwargs["consent"])
            known = "low"
        elif (kept := self.store.find(voice)) is not None:
            self.note(kwargs["consent"] or kept.consent)
            known = "high"
        elif voice not in super().list_voices():
            if "/" in voice or "\\" in voice or "\0" in voice:
                raise VoiceNotFoundError(f"There is no voice {voice!r:.60}.")
            check_media(voice, role="audio")
            known = "low"
        plain = ToneTTSBinding.stream_audio.__lollms_raw__  # type: ignore[attr-defined]
        yield from self.heard(plain(Tones(self.settings.loudness), text, known, **given))

    def heard(self, chunks: Iterator[AudioChunk]) -> Iterator[AudioChunk]:
        return chunks

    def note(self, consent: str | None) -> None:
        record_clone(consent)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return [*super().list_voices(), *self.store.names()]

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        kept = {voice.name: voice.recording for voice in self.store.voices()}
        return [voice_row(name, sample=kept.get(name), default=name == "low") for name in self.list_voices()]

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        self.store.add(name, recording, consent, taken=super().list_voices())

    def drop_voice(self, name: str) -> None:
        self.store.remove(name)


class Tones(ToneTTSBinding):
    """Another one, so that its verbs may be called raw."""

    def __init__(self, loudness: float) -> None:
        super().__init__(loudness=loudness)


class ForgetsConsent(Keeps):
    """Says that it clones, and not who agreed."""

    def note(self, consent: str | None) -> None:
        record_clone(None)


class HidesThatItClones(Keeps):
    """Says nothing of the recording that it speaks after."""

    def note(self, consent: str | None) -> None:
        pass


class WritesOverVoices(Keeps):
    """Takes a name that is taken."""

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        if self.store.find(name) is not None:
            self.store.remove(name)
        super().keep_voice(name, recording, consent)


class KeepsWithoutConsent(Keeps):
    """Makes up who agreed."""

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        super().keep_voice(name, recording, consent or "somebody")


class ForgetsToForget(Keeps):
    """Keeps what was removed."""

    def drop_voice(self, name: str) -> None:
        if self.store.find(name) is None:
            self.store.remove(name)


class DescribesOthers(ToneTTSBinding):
    """Knows one voice of two."""

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        return [voice_row("low", default=True)]


class SpellsLanguagesOddly(ToneTTSBinding):
    """Writes en_US for en-US."""

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        return [voice_row(name, language="en_US") for name in self.list_voices()]


class PretendsToKeep(ToneTTSBinding):
    """Takes a recording and keeps none."""

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        pass


class EncodesLess(ToneTTSBinding):
    """Swallows what its stream ends with, where it is encoded."""

    def stream_encoded(self, text: str, voice: str | None = None, output_format: str = "mp3", **kwargs: Any) -> Any:
        stream = super().stream_encoded(text, voice, output_format, **kwargs)
        stream._finish = lambda: setattr(stream, "_done", True)
        feed, count = stream._advance, iter(range(10**9))
        stream._advance = lambda consumer: feed(consumer) if next(count) % 4 < 3 else next(stream._waiting, None)
        return stream


class EncodesAnything(ToneTTSBinding):
    """Takes an unknown format for WAV."""

    def stream_encoded(self, text: str, voice: str | None = None, output_format: str = "mp3", **kwargs: Any) -> Any:
        known = output_format in ("mp3", "wav", "pcm", "flac", "ogg", "opus", "aac")
        return super().stream_encoded(text, voice, output_format if known else "wav", **kwargs)


class EnlargesOneSide(BlocksTTIBinding):
    """Makes an image wider."""

    @verb("Image", content="image", options=EnlargeOptions)
    def upscale_image(self, image: ImageInput, scale: float | None = None, **kwargs: Any) -> Image:
        picture = Image(read_media(image)).to_pil()
        return Image.from_pil(picture.resize((picture.width * 2, picture.height)))


class CutsNothingOut(BlocksTTIBinding):
    """Leaves the background where it is."""

    @verb("Image", content="image")
    def remove_background(self, image: ImageInput, **kwargs: Any) -> Image:
        return Image.from_pil(Image(read_media(image)).to_pil().convert("RGB"))


class BeginsAnew(ChordTTMBinding):
    """Hears nothing of the music that it is to go on from."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        return super().generate_music(prompt, **{**kwargs, "audio": None, "start": None, "end": None})


class SingsNothing(ChordTTMBinding):
    """Takes words to be sung, and does not look at them."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        return super().generate_music(prompt, **{**kwargs, "lyrics": None})


class SingsOneWord(ChordTTMBinding):
    """Sings whether there are words, and not which."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        return super().generate_music(prompt, **{**kwargs, "lyrics": "la" if kwargs["lyrics"] else None})


class PaintsAllAnew(ChordTTMBinding):
    """Changes what it was to leave."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        made = super().generate_music(prompt, **kwargs)
        if kwargs["start"] is None:
            return made
        return Audio.from_samples(np.roll(made.to_numpy()[:, 0], 37), made.sample_rate)


class PaintsNothing(ChordTTMBinding):
    """Gives back the music of which it was to change a part."""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        made = super().generate_music(prompt, **kwargs)
        return made if kwargs["start"] is None else Audio(read_media(kwargs["audio"]))
