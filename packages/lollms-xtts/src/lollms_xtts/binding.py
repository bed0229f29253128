"""The XTTS binding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    AudioFileNotFoundError,
    BindingDependencyError,
    BindingSettings,
    CallOptions,
    Capabilities,
    Consent,
    Language,
    LollmsError,
    LollmsTTSBinding,
    MediaInput,
    Seed,
    SharedModel,
    Speed,
    Temperature,
    TopK,
    TopP,
    check_media,
    current_call,
    option,
    record_clone,
    report_progress,
    setting,
    voice_row,
)
from lollms_modalities.kit import VoiceStore, voices_folder
from lollms_modalities.kit.torch import Device, pick_device, seeded_steps, translate_error, use_threads
from pydantic import WrapValidator

from lollms_xtts import models
from lollms_xtts.engine import Engine, Voice, digest, load

# A text may be a name: what it means is seen when the voices of the model are known.
_Voice = Annotated[MediaInput, WrapValidator(lambda given, check: given if isinstance(given, str) else check(given))]


class XTTSBinding(LollmsTTSBinding):
    """Speech in many languages, in the voice of anybody of whom there is a recording, with XTTS.

    ``voice`` is a recording (a path, bytes, an ``Audio``; any format; six seconds are enough), or the name of a voice
    that the model brings or that was added with ``add_voice``. Where none is given: ``default_voice``, else
    ``default_speaker_wav``, else the model's first.
    ``model_name`` is a name of coqui-tts or of a repository, whose licence must be accepted, or the folder of a model.
    """

    engine = "coqui-tts"

    class Settings(BindingSettings):
        model_name: str | Path = setting(
            models.XTTS_V2, description="Name or folder of the model.", reload=True, env="HF_TOKEN"
        )
        default_speaker_wav: Path | None = setting(None, description="Recording of the voice where none is named.")
        default_language: str = setting("en", description="Language of the text where none is named.")
        device: Device = setting("auto", description="Where it runs: auto, cpu, cuda, cuda:1, mps.", reload=True)
        default_voice: str | None = setting(
            None, description="Voice where none is named; before default_speaker_wav.", kind="path"
        )
        accept_license: bool = setting(False, description="You accept the licence of a model that is named (CPML).")
        default_stream_chunk_size: int = setting(
            0, description="Tokens of a part, as in the option stream_chunk_size.", ge=0, le=600
        )
        voices_path: Path | None = setting(
            None, description="Folder of the voices that add_voice() keeps; one of the user's when empty."
        )
        default_voice_consent: Consent = setting(
            None, description="Who attests, and when, that the person of default_speaker_wav or default_voice agrees."
        )
        models_path: Path | None = setting(None, description="Folder of models.", shared=True, reload=True)
        local_files_only: bool = setting(False, description="Never fetch a model.", reload=True)
        n_threads: int = setting(
            min(4, os.cpu_count() or 1),
            description="Threads of torch; it is one number in a process.",
            ge=1,
            le=256,
            reload=True,
        )

    class Options(CallOptions):
        voice: _Voice | None = option(None, description="Recording, or name of a voice.")
        consent: Consent = None
        language: Language = "en"
        speed: Speed = 1.0
        seed: Seed = None
        temperature: Temperature | None = option(None, description="Randomness; the model's own if empty.")
        top_k: TopK | None = option(None, description="Sample among the k likeliest; the model's own if empty.")
        top_p: TopP | None = option(None, description="Sample among those of this probability; likewise.")
        repetition_penalty: float | None = option(
            None, description="Against repeating itself; 1.0 is none, the model's own if empty.", gt=0, le=100
        )
        sentence_silence: float = option(0.0, description="Silence between sentences, in seconds.", ge=0, le=60)
        stream_chunk_size: int = option(
            0, description="Tokens of a part, 46 ms each, for early sound; 0 is a sentence at a time.", ge=0, le=600
        )

    settings: Settings

    @property
    def capabilities(self) -> Capabilities:
        """Languages are those of the model, read from its configuration where it is here."""
        return Capabilities(
            streaming=True,
            cloning=True,
            keeps_voices=True,
            languages=self._languages(),
            output_formats=("wav",),
            seed=True,
        )

    def generate_audio(self, text: str, voice: MediaInput | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: MediaInput | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        options = self.Options(**kwargs)
        engine: Engine = self.model
        use_threads(self.settings.n_threads)
        spoken = self._speak(engine, text, self._voice(engine, voice, options.consent), options)
        yield from seeded_steps(spoken, options.seed or 0, engine.device)

    def _speak(self, engine: Engine, text: str, voice: Voice, options: Options) -> Iterator[AudioChunk]:
        language = engine.language(options.language or self.settings.default_language)
        sampling = engine.sampling(
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            repetition_penalty=options.repetition_penalty,
            speed=options.speed,
        )
        current_call().record(model=str(self.settings.model_name))
        silence = AudioChunk(bytes(2 * round(options.sentence_silence * engine.sample_rate)), engine.sample_rate)
        done = 0
        report_progress(0, len(text), unit="character")
        for number, piece in enumerate(engine.split(text, language)):
            if number and silence.pcm:
                yield silence
            said = piece
            for samples in engine.speak(piece, language, voice, options.stream_chunk_size, sampling):
                yield AudioChunk.from_samples(samples, engine.sample_rate, said)
                said = ""  # the text goes with the first part of a piece
            done = min(len(text), done + len(piece) + 1)
            report_progress(done, len(text), unit="character")
        report_progress(len(text), len(text), unit="character")

    def _voice(self, engine: Engine, voice: MediaInput | None, consent: str | None) -> Voice:
        if voice is None:
            voice = self.settings.default_speaker_wav
            if voice is None:
                return engine.first_speaker()
            consent = consent or self.settings.default_voice_consent
        elif "voice" in current_call().defaulted:
            consent = consent or self.settings.default_voice_consent
        if isinstance(voice, str):
            if voice in engine.speakers:
                return engine.speaker(voice)
            if (kept := self._kept.find(voice)) is not None:
                record_clone(consent or kept.consent)
                return engine.hear(kept.recording)
        try:
            recording = check_media(voice, role="audio")
        except AudioFileNotFoundError:
            if not isinstance(voice, str) or Path(voice).suffix or "/" in voice or os.sep in voice:
                raise
            return engine.speaker(voice)  # which says what there is
        record_clone(consent)
        return engine.hear(recording)

    @property
    def _kept(self) -> VoiceStore:
        return VoiceStore(self.settings.voices_path or voices_folder("xtts"))

    def _own_voices(self) -> list[str]:
        return models.speakers(models.locate(self.settings.model_name, self.settings.models_path))

    def list_voices(self, **kwargs: Any) -> list[str]:
        """Names of the voices that the model brings, and of those that were added; a recording is a voice too."""
        own = self._own_voices()
        return [*own, *(name for name in self._kept.names() if name not in own)]

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        """As in any binding; each voice speaks all languages of the model, and an added one has its recording."""
        default, kept = self.settings.default_voice, {voice.name: voice.recording for voice in self._kept.voices()}
        return [voice_row(name, sample=kept.get(name), default=name == default) for name in self.list_voices()]

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        """Keep the recording in ``voices_path``."""
        self._kept.add(name, recording, consent, taken=self._own_voices())

    def drop_voice(self, name: str) -> None:
        """Take it away from ``voices_path``, and what the model has learnt of it."""
        kept = self._kept.find(name)
        learnt = None if kept is None else digest(kept.recording)
        self._kept.remove(name)
        if learnt is not None and self.loaded:
            self.model.forget(learnt)

    def list_models(self, **kwargs: Any) -> list[str]:
        """The models in ``models_path``, and the names that coqui-tts knows."""
        return models.known_models(self.settings.models_path)

    def load_model(self) -> SharedModel[Engine]:
        settings = self.settings
        found = models.locate(settings.model_name, settings.models_path)
        if isinstance(found, str):
            models.check_licence(settings.model_name, settings.accept_license)
            found = models.fetch(found, local_files_only=settings.local_files_only)
        folder, device = found.resolve(), pick_device(settings.device)
        return SharedModel(key=("xtts", folder, device), load=lambda: load(folder, device), free=Engine.free)

    def translate_error(self, error: Exception) -> LollmsError | None:
        if isinstance(error, ImportError):
            return BindingDependencyError(
                f"A package for this language is missing: {error}.",
                hint='Run pip install "lollms-xtts[zh]>=2.0,<3" for Chinese, "lollms-xtts[ja]>=2.0,<3" for Japanese.',
            )
        return translate_error(error)

    def _languages(self) -> tuple[str, ...]:
        try:
            return models.languages(models.locate(self.settings.model_name, self.settings.models_path))
        except LollmsError:
            return ()  # what is wrong with the model is said when it is to speak
