"""The two Bark bindings: speech, and sound effects. Both on one model hold one copy of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    Capabilities,
    LollmsBinding,
    LollmsError,
    LollmsTTMBinding,
    LollmsTTSBinding,
    OptionError,
    Seed,
    SharedModel,
    Temperature,
    VoiceNotFoundError,
    current_call,
    option,
    report_progress,
    setting,
    verb,
    voice_row,
)
from lollms_modalities.kit import pieces
from lollms_modalities.kit.hub import explain_loading, fetched_model, find_model
from lollms_modalities.kit.torch import (
    Device,
    Precision,
    pick_device,
    pick_dtype,
    seeded_steps,
    translate_error,
    use_threads,
)

from lollms_bark import models
from lollms_bark.engine import Attention, Bark, How, Sound, Temperatures, check_offload, load_bark, pick_attention
from lollms_bark.voices import LANGUAGES, PATTERN, check_voice, language_of, list_presets

_MODEL = "Name of a repository, of a folder in models_path, or path of a folder."
_DEVICE = "Where it runs: auto, cpu, cuda, cuda:1, mps."
_HALF_THE_CORES = max(1, (os.cpu_count() or 2) // 2)  # as many as work without sharing one


class _SpeechSettings(BindingSettings):
    """What the TTS binding's settings begin with."""

    model_name: str = setting("suno/bark-small", description=_MODEL, reload=True, env="HF_TOKEN")
    default_voice: str | None = setting(
        "v2/en_speaker_6", description="Voice preset to use when none is named.", pattern=PATTERN
    )
    device: Device = setting("auto", description=_DEVICE, reload=True)


class _EffectSettings(BindingSettings):
    """What the TTM binding's settings begin with."""

    model_name: str = setting("suno/bark-small", description=_MODEL, reload=True, env="HF_TOKEN")
    device: Device = setting("auto", description=_DEVICE, reload=True)
    default_voice_preset: str | None = setting(
        None,
        description="Voice preset to use when none is named.",
        pattern=PATTERN,
        choices_from="list_voice_presets",
    )


class _EngineSettings(BindingSettings):
    """What both have after that."""

    dtype: Precision = setting("auto", description="Precision; half on a GPU unless told otherwise.", reload=True)
    attention: Attention = setting(
        "auto", description="Flash attention is used where it is installed, on an NVIDIA GPU.", reload=True
    )
    cpu_offload: bool = setting(
        False, description="Keep on the GPU only the part of the model at work (needs accelerate).", reload=True
    )
    n_threads: int = setting(_HALF_THE_CORES, description="Threads of torch, in the whole process.", ge=1, le=256)
    models_path: Path | None = setting(None, description="Folder of models.", shared=True, reload=True)
    local_files_only: bool = setting(False, description="Never fetch a model.", reload=True)
    default_batch_size: int = setting(16, description="Sentences made together, after the first.", ge=1, le=256)


class _Options(CallOptions):
    """Of both."""

    temperature: Temperature | None = option(
        None, description="Randomness of all three stages, 0 for none; the model's own when empty."
    )
    semantic_temperature: Temperature | None = option(None, description="That of what is said, and how.")
    coarse_temperature: Temperature | None = option(None, description="That of the sound, by and large.")
    fine_temperature: Temperature | None = option(None, description="That of the sound's details.")
    min_eos_p: float | None = option(
        None, description="How likely the end must be to end there; less makes the sound shorter.", gt=0, le=1
    )
    batch_size: int = option(16, description="Sentences made together, after the first.", ge=1, le=256)
    seed: Seed = None

    def temperatures(self) -> Temperatures:
        """Of each stage."""
        stages = (self.semantic_temperature, self.coarse_temperature, self.fine_temperature)
        return Temperatures(*(self.temperature if stage is None else stage for stage in stages))


class _BarkBinding(LollmsBinding):
    """What both have: the model, and sound from pieces of text."""

    engine = "transformers"

    def load_model(self) -> SharedModel[Bark]:
        settings: Any = self.settings
        folders = [] if settings.models_path is None else [settings.models_path]
        found = find_model(settings.model_name, folders=folders, marks=models.MARKS, what="Bark model")
        local_only = settings.local_files_only
        with explain_loading(found, "Bark model", local_files_only=local_only):
            found = fetched_model(found, local_files_only=local_only)
            device = pick_device(settings.device)
            if settings.cpu_offload:
                check_offload(device)
            dtype = pick_dtype(settings.dtype, device)
            how = How(device, dtype, pick_attention(settings.attention, device, dtype), settings.cpu_offload)
            key = ("bark", found.resolve() if isinstance(found, Path) else found, how)
            return SharedModel(key=key, load=lambda: load_bark(found, how, local_only), free=Bark.free)

    def translate_error(self, error: Exception) -> LollmsError | None:
        return translate_error(error)

    def list_models(self, **kwargs: Any) -> list[str]:
        """The Bark models in ``models_path``, and the two that Suno publishes."""
        return models.list_models(self.settings.models_path)  # type: ignore[attr-defined]

    def _chunks(
        self, texts: list[str], voice: str | None, options: _Options, silence: float, *, whole: bool
    ) -> Iterator[AudioChunk]:
        """Sound of each text, with that many seconds of silence between two; ``whole`` as in ``_sounds``."""
        bark: Bark = self.model
        use_threads(self.settings.n_threads)  # type: ignore[attr-defined]
        pause = self._pause(bark, silence)
        batches = self._batches(bark, texts, voice, options, whole)
        heard = False
        for batch in seeded_steps(batches, options.seed or 0, bark.device):
            for text, sound in (part for sounds in batch for part in sounds):
                if heard and pause.pcm:
                    yield pause
                heard = True
                yield AudioChunk.from_samples(sound.samples, bark.sample_rate, text)

    def _pause(self, bark: Bark, silence: float) -> AudioChunk:
        return AudioChunk(bytes(2 * round(silence * bark.sample_rate)), bark.sample_rate)

    def _batches(
        self, bark: Bark, texts: list[str], voice: str | None, options: _Options, whole: bool, *, first: bool = True
    ) -> Iterator[list[list[tuple[str, Sound]]]]:
        """The sounds of each text, so many texts together as ``batch_size`` says; ``first``: the first alone, so that
        a stream begins early.
        """
        done, total = 0, sum(map(len, texts))
        report_progress(0, total, unit="character")
        for start in (0, *range(1 if first else options.batch_size, len(texts), options.batch_size)):
            batch = texts[:1] if first and not start else texts[start : start + options.batch_size]
            size = sum(map(len, batch))

            def report(part: float, done: int = done, size: int = size) -> None:
                report_progress(done + int(part * size), total, unit="character")

            yield _sounds(bark, batch, voice, options, whole, report)
            done += size
        report_progress(total, total, unit="character")

    def _voice(self, name: str, voice: str | None) -> str | None:
        """The preset to use, of the argument of that name."""
        if voice is None:
            return None
        check_voice(voice)
        bark: Bark = self.model
        if bark.has_voice(voice):
            return voice
        lacks = f"The Bark model {self.settings.model_name!r} lacks the voice preset {voice!r}"  # type: ignore[attr-defined]
        call = current_call()
        if name not in call.defaulted:
            raise VoiceNotFoundError(f"{lacks}.", hint="Choose another, or a model that has it.", voice=voice)
        warnings.warn(f"{lacks}, which is the default; it is left out.", stacklevel=2)
        call.record(extra={"left_out": voice})
        return None


def _sounds(
    bark: Bark, texts: list[str], voice: str | None, options: _Options, whole: bool, report: Callable[[float], None]
) -> list[list[tuple[str, Sound]]]:
    """The sounds of each text, with what is said in them.

    ``whole`` does a text again, in halves, whose sound is as long as Bark can make it: its last words may be missing.
    """
    sounds = bark.generate(texts, voice, options.temperatures(), options.min_eos_p, report)
    made: list[list[tuple[str, Sound]]] = []
    for text, sound in zip(texts, sounds, strict=True):
        halves = [text] if sound.ended or not whole else _halves(bark, text)
        if len(halves) > 1:
            again = _sounds(bark, halves, voice, options, whole, lambda part: report(1.0))
            made.append([part for sounds in again for part in sounds])
        else:
            made.append([(text, sound)])
    return made


def _halves(bark: Bark, text: str) -> list[str]:
    length = bark.tokens(text)
    if length <= bark.text_limit // 4:
        return [text]  # it cannot take that long to say: Bark has added something of its own
    return list(pieces(text, -(-length // 2), bark.tokens))


class BarkTTSBinding(_BarkBinding, LollmsTTSBinding):
    """Speech in thirteen languages, with laughter and sighs where the text has ``[laughs]`` or ``[sighs]``, with Bark.

    ``voice`` is one of 130 presets such as ``v2/en_speaker_6``; without one, each sentence has a voice of its own.
    """

    capabilities = Capabilities(streaming=True, languages=LANGUAGES, seed=True)

    class Settings(_EngineSettings, _SpeechSettings):  # whose fields come first
        pass

    class Options(_Options):
        sentence_silence: float = option(0.25, description="Silence between sentences, in seconds.", ge=0, le=60)

    settings: Settings

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        options = self.Options(**kwargs)
        preset = self._voice("voice", voice)
        bark: Bark = self.model
        texts = self._parts(bark, text)
        yield from self._chunks(texts, preset, options, options.sentence_silence, whole=True)

    @verb("Audio", content="texts")
    def generate_audios(self, texts: list[str], voice: str | None = None, **kwargs: Any) -> list[Audio]:
        """Speak several texts, each to a result of its own, in less time than one after the other: sentences of all of
        them are made together, as many at a time as ``batch_size`` says.
        """
        options = self.Options(**kwargs)
        preset = self._voice("voice", voice)
        bark: Bark = self.model
        use_threads(self.settings.n_threads)
        parts = [self._parts(bark, text) for text in texts]
        owners = iter([number for number, mine in enumerate(parts) for _ in mine])
        chunks: list[list[AudioChunk]] = [[] for _ in texts]
        pause = self._pause(bark, options.sentence_silence)
        batches = self._batches(bark, [part for mine in parts for part in mine], preset, options, True, first=False)
        for batch in seeded_steps(batches, options.seed or 0, bark.device):
            for sounds in batch:
                mine = chunks[next(owners)]
                for text, sound in sounds:
                    if mine and pause.pcm:
                        mine.append(pause)
                    mine.append(AudioChunk.from_samples(sound.samples, bark.sample_rate, text))
        return [Audio.from_chunks(mine) for mine in chunks]

    def _parts(self, bark: Bark, text: str) -> list[str]:
        texts = list(filter(bark.knows, pieces(text, bark.text_limit, bark.tokens)))
        if not texts:
            raise OptionError(
                "The model's tokenizer knows nothing of the text.",
                hint=f"Bark's languages are {', '.join(LANGUAGES)}.",
                names=["text"],
            )
        return texts

    def describe_voices(self, *, language: str | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """As in any binding; the name of a preset says its language. ``language``: only those of one."""
        default = self.settings.default_voice
        return [
            voice_row(name, language=language_of(name), default=name == default)
            for name in self.list_voices(language=language)
        ]

    def list_voices(self, *, language: str | None = None, **kwargs: Any) -> list[str]:
        """The 130 presets, or those of a language such as ``de``."""
        return list_presets(language)


class BarkTTMBinding(_BarkBinding, LollmsTTMBinding):
    """Sound effects, singing and snatches of music with Bark: ``[SFX: explosion]``, ``♪ words to sing ♪``.

    ``voice_preset`` is one of 130 presets such as ``v2/en_speaker_6``, for a prompt that is sung or spoken.
    """

    capabilities = Capabilities(languages=LANGUAGES, seed=True)

    class Settings(_EngineSettings, _EffectSettings):  # whose fields come first
        pass

    class Options(_Options):
        voice_preset: str | None = option(
            None, description="Voice preset, such as v2/en_speaker_6.", choices_from="list_voice_presets"
        )

    settings: Settings

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        options = self.Options(**kwargs)
        preset = self._voice("voice_preset", options.voice_preset)
        bark: Bark = self.model
        length = bark.tokens(prompt)
        if not length:
            raise OptionError("The prompt is empty.", hint="Say what is to be heard: [SFX: rain].", names=["prompt"])
        texts = [prompt] if length <= bark.text_limit else list(pieces(prompt, bark.text_limit, bark.tokens))
        # An effect may well take all the time there is: nothing of it is missing.
        return Audio.from_chunks(self._chunks(texts, preset, options, 0.0, whole=False))

    def list_voice_presets(self, *, language: str | None = None, **kwargs: Any) -> list[str]:
        """The 130 presets, or those of a language such as ``de``."""
        return list_presets(language)
