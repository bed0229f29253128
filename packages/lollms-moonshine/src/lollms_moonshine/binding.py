"""The Moonshine binding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from lollms_modalities import (
    BindingSettings,
    CallOptions,
    CancelToken,
    Capabilities,
    Language,
    LollmsSTTBinding,
    MediaInput,
    ModelCache,
    ProgressCallback,
    Segment,
    Track,
    Transcript,
    current_call,
    report_progress,
    setting,
)
from lollms_modalities.kit import whisper_language
from pydantic import Field

from lollms_moonshine import models
from lollms_moonshine.engine import RATE, hear, loaded_models, parts
from lollms_moonshine.listening import Listening
from lollms_moonshine.models import Model

_Architecture = Literal[
    "tiny", "base", "tiny-streaming", "base-streaming", "small-streaming", "medium-streaming"
]  # fmt: skip
_Timestamps = Annotated[Literal["none", "segment"], Field(description="Whether segments have times.")]


class MoonshineSTTBinding(LollmsSTTBinding):
    """Moonshine: small models that need time in proportion to what they hear, which suits live speech on a CPU.

    ``model_name`` is the folder of a model or its name in ``moonshine_path``, such as ``small-streaming-en``; without
    one, the only one there, or tiny-en of the extra ``lollms-moonshine[tiny-en]``. A model hears one language.
    """

    engine = "moonshine-voice"

    class Settings(BindingSettings):
        model_name: str | None = setting(None, description="Name or path of the model.", reload=True, kind="path")
        moonshine_path: Path | None = setting(
            None,
            description="Folder of models; if empty, moonshine in lollms/models in the folder for data.",
            reload=True,
        )
        architecture: _Architecture | None = setting(
            None, description="What the model is, where its folder's name does not say.", reload=True
        )
        default_language: str | None = setting(None, description="Language of the speech; the model's own if empty.")

    class Options(CallOptions):
        language: Language = None
        timestamps: _Timestamps = "segment"
        track: Track = None

    settings: Settings

    @property
    def capabilities(self) -> Capabilities:
        """The language is that of the model's name."""
        name = self.settings.model_name or models.PACKAGED
        language = models.parse_name(Path(name).name)[1]
        return Capabilities(streaming=True, languages=(language,) if language else (), timestamps=("segment",))

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        found = self._found(model)
        segments = list(self._hear(audio_path, found, self.Options(**kwargs)))
        return Transcript.from_segments(segments, language=found.language or None)

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        yield from self._hear(audio_path, self._found(model), self.Options(**kwargs))

    def transcribe_live(self, frames: Any, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        found = self._found(model)
        self._check_language(self.Options(**kwargs), found)
        detector = {"distribution": "moonshine-voice", "version": version("moonshine-voice")}
        current_call().record(model=str(found.path), extra={"live": {"voice_activity": detector}})
        cache: ModelCache[Model, Any] = self.model
        yield from Listening(partial(cache.using, found), found.language).segments(frames)

    def _hear(self, audio: MediaInput, found: Model, options: Options) -> Iterator[Segment]:
        from lollms_modalities.kit import decode_audio

        self._check_language(options, found)
        cache: ModelCache[Model, Any] = self.model
        current_call().record(model=str(found.path))
        samples = decode_audio(audio, RATE, track=options.track)
        whole = len(samples) / RATE
        report_progress(0, whole, unit="s")
        for start, end in parts(samples):
            with cache.using(found) as engine:
                heard = list(hear(engine, samples[start:end], found.language))
            offset = start / RATE
            for segment in heard:
                yield replace(segment, start=segment.start + offset, end=segment.end + offset)
            report_progress(end / RATE, whole, unit="s")
        report_progress(whole, whole, unit="s")

    def list_models(self, **kwargs: Any) -> list[str]:
        """The models in ``moonshine_path``, the packaged one, and those that ``download_model`` fetches."""
        return models.list_models(self._folder)

    def download_model(
        self,
        name: str,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Fetch a model such as ``small-streaming-en`` into ``moonshine_path``; sizes and checksums are checked.

        Raises:
            SettingsError: the folder cannot be made.
            ModelNotFoundError: there is no such model.
            ServiceError: it cannot be fetched, or came damaged.
        """
        from lollms_modalities.kit import folder_for_downloads

        folder = folder_for_downloads(self._folder, "models", "moonshine_path")
        with self.task("download_model", progress=progress, cancel=cancel, timeout=timeout):
            return models.pull_model(name, folder)

    def load_model(self) -> ModelCache[Model, Any]:
        loaded = loaded_models()
        loaded.get(self._found(None))
        return loaded

    @staticmethod
    def _check_language(options: Options, found: Model) -> None:
        if found.language:
            whisper_language(options.language, [found.language], found.path.name)

    @property
    def _folder(self) -> Path:
        return self.settings.moonshine_path or models.own_folder()

    def _found(self, name: str | None) -> Model:
        return models.find_model(name or self.settings.model_name, self._folder, self.settings.architecture)
