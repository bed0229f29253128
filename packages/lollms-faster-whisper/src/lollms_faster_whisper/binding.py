"""The faster-whisper binding."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lollms_modalities import (
    BindingSettings,
    CallOptions,
    Capabilities,
    Language,
    LollmsSTTBinding,
    MediaInput,
    ModelCache,
    Segment,
    Timestamps,
    Track,
    Transcript,
    Word,
    current_call,
    option,
    report_progress,
    setting,
)
from lollms_modalities.kit import LONG_PAUSE, whisper_language

from lollms_faster_whisper import models
from lollms_faster_whisper.engine import How, loaded_model
from lollms_faster_whisper.voices import SileroVoiceActivity
from lollms_faster_whisper.windows import LENGTH, RATE, first_pause

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import TranscriptionInfo

_ComputeType = Literal["default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16",
                       "bfloat16", "float32"]  # fmt: skip


class FasterWhisperSTTBinding(LollmsSTTBinding):
    """Whisper on CTranslate2, with faster-whisper: quick on a CPU, quicker on an NVIDIA GPU.

    ``model_name`` is a name such as ``base`` or ``large-v3`` (fetched when first used), the path of a CTranslate2
    model, or a folder in ``models_path``; without one, the model tiny.en that the extra
    ``lollms-faster-whisper[tiny-en]`` brings.
    """

    engine = "faster-whisper"
    capabilities = Capabilities(streaming=True, timestamps=("segment", "word"))

    class Settings(BindingSettings):
        model_name: str | None = setting(None, description="Name or path of the model.", reload=True, env="HF_TOKEN")
        device: Literal["auto", "cpu", "cuda"] = setting("auto", description="Where it runs.", reload=True)
        compute_type: _ComputeType = setting(
            "default", description="Precision; the default is int8 on a CPU, float16 on a GPU.", reload=True
        )
        models_path: Path | None = setting(None, description="Folder of models.", shared=True, reload=True)
        default_language: str | None = setting(None, description="Language of the speech; heard out when empty.")
        default_beam_size: int = setting(5, description="Width of the search; 1 is fastest.", ge=1, le=64)
        default_batch_size: int = setting(
            8, description="Windows of 30 s done together; a stream does one by one.", ge=1, le=256
        )
        n_threads: int = setting(
            min(4, os.cpu_count() or 1), description="Threads of the engine.", ge=1, le=256, reload=True
        )
        local_files_only: bool = setting(False, description="Never fetch a model.", reload=True)

    class Options(CallOptions):
        language: Language = None
        translate: bool = option(False, description="Give the text in English.")
        timestamps: Timestamps = "segment"
        track: Track = None
        beam_size: int = option(5, description="Width of the search; 1 is fastest.", ge=1, le=64)
        batch_size: int = option(
            8, description="Windows of 30 s done together; a stream does one by one.", ge=1, le=256
        )
        temperature: float | None = option(
            None, description="Randomness; when empty, 0, and more where that fails.", ge=0, le=2
        )
        initial_prompt: str | None = option(None, description="Words that the speech is likely to hold.")
        vad_filter: bool = option(True, description="Leave out what is no speech, in which Whisper hears words.")
        first_window: float | None = option(
            None, description="Seconds of speech to hear first, up to a pause: text comes sooner, at one window more.",
            ge=1, le=30,
        )  # fmt: skip

    settings: Settings

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        options = self.Options(**kwargs)
        info, segments = self._transcribe(audio_path, model, options, options.batch_size)
        return Transcript.from_segments(
            segments,
            language=info.language,
            language_probability=info.language_probability,
            duration=info.duration,
            text_language="en" if options.translate else None,
        )

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        options = self.Options(**kwargs)
        # A batch gives nothing before all of it is done: a stream takes the same windows one by one.
        yield from self._transcribe(audio_path, model, options, 1)[1]

    def _transcribe(
        self, audio: MediaInput, model: str | None, options: Options, batch_size: int
    ) -> tuple[TranscriptionInfo, Iterator[Segment]]:
        """The engine call; the segments are made as they are asked for."""
        from faster_whisper import BatchedInferencePipeline
        from lollms_modalities.kit import decode_audio

        found = models.find_model(model or self.settings.model_name, self.settings.models_path)
        engine: WhisperModel = self.model.get(found)
        language = whisper_language(options.language, engine.supported_languages, str(found))
        current_call().record(model=str(found))
        samples = decode_audio(audio, RATE, track=options.track)
        duration = len(samples) / RATE
        report_progress(0, duration, unit="s")
        arguments: dict[str, Any] = {
            "language": language,
            "task": "translate" if options.translate else "transcribe",
            "beam_size": options.beam_size,
            "initial_prompt": options.initial_prompt,
            "word_timestamps": options.timestamps == "word",
            "vad_filter": options.vad_filter,
        }
        if options.temperature is not None:
            arguments["temperature"] = options.temperature
        transcribe = engine.transcribe
        long = options.vad_filter and duration > LENGTH  # batching has nothing to do in less
        if options.batch_size > 1 and long:
            transcribe = BatchedInferencePipeline(engine).transcribe
            arguments |= {"batch_size": batch_size, "without_timestamps": False}
        pause = first_pause(samples, options.first_window) if options.first_window is not None and long else 0
        sure = None
        if pause and language is None and engine.model.is_multilingual:
            # It is heard out of as much as without a first window.
            language, sure, _ = engine.detect_language(samples[: int(LENGTH * RATE)], vad_filter=True)
            arguments["language"] = language
        info, first = _heard(transcribe, samples[:pause] if pause else samples, arguments, options.timestamps)
        info.duration = duration
        info.language_probability = info.language_probability if sure is None else sure

        def parts() -> Iterator[tuple[float, Any]]:
            yield 0.0, first
            if pause:
                yield pause / RATE, _heard(transcribe, samples[pause:], arguments, options.timestamps)[1]

        return info, _segments(parts(), info.language, duration)

    def list_models(self, **kwargs: Any) -> list[str]:
        """The models in ``models_path``, and the names that faster-whisper knows."""
        return models.list_models(self.settings.models_path)

    def voice_activity(self) -> SileroVoiceActivity:
        """Silero's, which faster-whisper brings."""
        return SileroVoiceActivity()

    def load_model(self) -> ModelCache[Path | str, WhisperModel]:
        settings = self.settings
        how = How(settings.device, settings.compute_type, settings.n_threads, settings.local_files_only)
        loaded = loaded_model(how)
        loaded.get(models.find_model(settings.model_name, settings.models_path))
        return loaded


def _heard(
    transcribe: Callable[..., Any], samples: npt.NDArray[np.float32], arguments: dict[str, Any], timestamps: str
) -> tuple[TranscriptionInfo, Any]:
    """What the engine tells of the sound, and its segments, which are made as they are asked for."""
    segments, info = transcribe(samples, **arguments)
    if timestamps == "segment" and info.duration - info.duration_after_vad > LONG_PAUSE:
        # What is left out makes one segment of what stood before and after it; by its words it is cut again.
        # Nothing has been heard yet.
        heard_out = info.language_probability
        language = arguments["language"] or info.language
        segments, info = transcribe(samples, **{**arguments, "word_timestamps": True, "language": language})
        info.language_probability = heard_out
    return info, segments


def _segments(parts: Iterable[tuple[float, Any]], language: str, duration: float) -> Iterator[Segment]:
    """The segments as ours, of parts that begin after so many seconds of the whole."""
    # Some of the library's numbers are numpy's: where words are asked for, the times; and how sure it is.
    until = 0.0
    for start, segments in parts:
        for segment in segments:
            made = Segment(
                text=segment.text.strip(),
                start=start + float(segment.start),
                end=start + float(segment.end),
                words=tuple(
                    Word(w.word, start + float(w.start), start + float(w.end), float(w.probability))
                    for w in segment.words or ()
                ),
                probability=math.exp(min(0.0, segment.avg_logprob)),
                language=language,
                extra={
                    "no_speech_probability": float(segment.no_speech_prob),
                    "compression_ratio": float(segment.compression_ratio),
                    "temperature": float(segment.temperature),
                },
            )
            made = _after(made, until)
            yield made
            until = made.end
            report_progress(min(until, duration), duration, unit="s")
    report_progress(duration, duration, unit="s")


def _after(segment: Segment, until: float) -> Segment:
    """The segment from ``until`` on: put back among pauses that were left out, words of two windows may overlap."""
    if segment.start >= until:
        return segment
    words = tuple(replace(w, start=max(w.start, until), end=max(w.end, until)) for w in segment.words)
    return replace(segment, start=until, end=max(segment.end, until), words=words)
