"""The binding of OpenAI's Whisper."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import (
    BindingSettings,
    CallOptions,
    Capabilities,
    Language,
    LollmsError,
    LollmsSTTBinding,
    MediaInput,
    ModelCache,
    Seed,
    Segment,
    Timestamps,
    Track,
    Transcript,
    current_call,
    option,
    report_progress,
    setting,
)
from lollms_modalities.kit import whisper_language
from lollms_modalities.kit.torch import pick_device, translate_error, use_threads

from lollms_whisper import models
from lollms_whisper.engine import How, loaded_model

if TYPE_CHECKING:
    from whisper import Whisper

    from lollms_whisper.hearing import Hearing

_RATE = 16000
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class WhisperSTTBinding(LollmsSTTBinding):
    """Whisper as OpenAI published it, with openai-whisper on PyTorch.

    ``model_name`` is a name such as ``base`` or ``turbo`` (fetched when first used), the path of a ``.pt`` file, or the
    name of one in ``models_path``.
    """

    engine = "openai-whisper"
    capabilities = Capabilities(streaming=True, timestamps=("segment", "word"), seed=True)

    class Settings(BindingSettings):
        model_name: str = setting("base", description="Name of the model, or path of its .pt file.", reload=True)
        device: str = setting(
            "auto",
            description="Where it runs: auto, cpu, cuda, cuda:1.",
            pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$",
            reload=True,
        )
        models_path: Path | None = setting(None, description="Folder of .pt files.", shared=True, reload=True)
        default_language: str | None = setting(None, description="Language of the speech; heard out when empty.")
        default_beam_size: int = setting(5, description="Width of the search; 1 is fastest.", ge=1, le=64)
        n_threads: int = setting(
            min(4, os.cpu_count() or 1), description="Threads of torch, in the whole process.", ge=1, le=256
        )
        fp16: bool = setting(True, description="Compute in half precision on a GPU.")
        local_files_only: bool = setting(False, description="Never fetch a model.", reload=True)

    class Options(CallOptions):
        language: Language = None
        translate: bool = option(False, description="Give the text in English.")
        timestamps: Timestamps = "segment"
        track: Track = None
        beam_size: int = option(5, description="Width of the search; 1 is fastest.", ge=1, le=64)
        temperature: float | None = option(
            None, description="Randomness; when empty, 0, and more where that fails.", ge=0, le=2
        )
        initial_prompt: str | None = option(None, description="Words that the speech is likely to hold.")
        no_speech_threshold: float = option(
            0.6, description="Probability of silence from which doubtful words are left out; 1 leaves out none.",
            ge=0, le=1,
        )  # fmt: skip
        seed: Seed = None

    settings: Settings

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        options = self.Options(**kwargs)
        path, hearing = self._begin_hearing(audio_path, model, options)
        segments = list(self._heard(path, hearing))
        return Transcript.from_segments(
            segments,
            language=hearing.language,
            language_probability=hearing.language_probability,
            duration=hearing.duration,
            text_language="en" if options.translate else None,
        )

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        yield from self._heard(*self._begin_hearing(audio_path, model, self.Options(**kwargs)))

    def _begin_hearing(self, audio: MediaInput, model: str | None, options: Options) -> tuple[Path, Hearing]:
        from lollms_modalities.kit import decode_audio

        from lollms_whisper.hearing import Ask, Hearing

        path = models.find_model(model or self.settings.model_name, self.settings.models_path)
        engine: Whisper = self.model.get(path)
        current_call().record(model=str(path))
        ask = Ask(
            language=whisper_language(options.language, _known(engine), str(path)),
            task="translate" if options.translate else "transcribe",
            beam_size=options.beam_size,
            temperatures=_TEMPERATURES if options.temperature is None else (options.temperature,),
            initial_prompt=options.initial_prompt,
            word_times=options.timestamps == "word",
            no_speech_threshold=options.no_speech_threshold,
            fp16=self.settings.fp16,
            seed=options.seed or 0,
        )
        use_threads(self.settings.n_threads)
        return path, Hearing(engine, decode_audio(audio, _RATE, track=options.track), ask)

    def _heard(self, path: Path, hearing: Hearing) -> Iterator[Segment]:
        """The engine call; the segments are made as they are asked for."""
        report_progress(0, hearing.duration, unit="s")
        while not hearing.done:
            use_threads(self.settings.n_threads)  # each step of a stream may run in another thread
            with self.model.using(path) as engine:
                segments = hearing.step(engine)
            yield from segments
            report_progress(hearing.seconds, hearing.duration, unit="s")

    def list_models(self, **kwargs: Any) -> list[str]:
        """The ``.pt`` files in ``models_path``, and the names that openai-whisper knows."""
        return models.list_models(self.settings.models_path)

    def load_model(self) -> ModelCache[Path, Whisper]:
        settings = self.settings
        loaded = loaded_model(How(str(pick_device(settings.device)), settings.local_files_only))
        loaded.get(models.find_model(settings.model_name, settings.models_path))
        return loaded

    def translate_error(self, error: Exception) -> LollmsError | None:
        return translate_error(error)


def _known(engine: Whisper) -> list[str]:
    """Codes of the languages that the model has."""
    from whisper.tokenizer import LANGUAGES

    return list(LANGUAGES)[: engine.num_languages] if engine.is_multilingual else ["en"]
