"""The Piper binding."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    CancelToken,
    Capabilities,
    LollmsError,
    LollmsTTSBinding,
    ModelCache,
    OptionError,
    ProgressCallback,
    Speed,
    WordTimes,
    current_call,
    option,
    report_progress,
    setting,
    word_aligner,
)
from lollms_modalities.kit import near_miss, pieces

from lollms_piper import pull, voices
from lollms_piper.engine import loaded_voices, tells_durations
from lollms_piper.words import PieceWords

if TYPE_CHECKING:
    from piper import PiperVoice

_NOT_PHONEMES = re.compile(r"\[(?=\[)")  # two of these begin phonemes, for Piper
LONGEST = 200  # characters of a piece; some 0.6 s of work on one core


class PiperTTSBinding(LollmsTTSBinding):
    """Fast neural voices on a CPU, with Piper.

    ``voice`` is the file name of an ``.onnx`` voice in ``piper_voices_dir``, or an absolute path to one. Where no voice
    is named: ``default_voice``, ``default_voice_model_path``, the only voice in the folder, or the one that the extra
    ``lollms-piper[voice]`` brings. Repeats itself exactly with ``noise_scale=0, noise_w_scale=0``; there is no seed.
    """

    engine = "piper-tts"

    class Settings(BindingSettings):
        default_voice_model_path: Path | None = setting(None, description="Voice (.onnx) to use when none is named.")
        piper_voices_dir: Path | None = setting(
            None, description="Folder of voices; if empty, piper in lollms/voices in the platform's folder for data."
        )
        default_voice: str | None = setting(
            None, description="Name of the voice to use when none is named.", kind="path"
        )
        default_speaker: str | int | None = setting(None, description="Speaker of a voice that has several.")
        default_speed: float = setting(1.0, description="1.0 is the voice's natural speed.", ge=0.1, le=10)
        default_noise_scale: float | None = setting(
            None, description="Variation of the sound; the voice's own if empty.", ge=0, le=10
        )
        default_noise_w_scale: float | None = setting(
            None, description="Variation of the rhythm; likewise.", ge=0, le=10
        )
        n_threads: int = setting(
            min(2, os.cpu_count() or 1), description="Threads of the engine.", ge=1, le=256, reload=True
        )
        use_cuda: bool = setting(False, description="Run on an NVIDIA GPU (needs onnxruntime-gpu).", reload=True)
        max_loaded_voices: int = setting(2, description="Voices kept in memory.", ge=1, le=1000, reload=True)
        voices_url: str = setting(pull.VOICES_URL, description="Where download_voice() finds voices.")

    class Options(CallOptions):
        speed: Speed = 1.0
        speaker: str | int | None = option(None, description="Name or number of a speaker of the voice.")
        noise_scale: float | None = option(None, description="Variation of the sound.", ge=0, le=10)
        noise_w_scale: float | None = option(None, description="Variation of the rhythm.", ge=0, le=10)
        volume: float = option(1.0, description="1.0 is full volume.", ge=0, le=10)
        normalize_audio: bool = option(True, description="Bring each sentence to full volume.")
        phonemes: bool = option(False, description="Speak what stands in [[...]] as phonemes (IPA), not as text.")
        timestamps: WordTimes = "none"
        sentence_silence: float = option(0.0, description="Silence between sentences, in seconds.", ge=0, le=60)

    settings: Settings

    @property
    def capabilities(self) -> Capabilities:
        """Languages are those of the default voice, read from the file beside it."""
        return Capabilities(streaming=True, languages=self._languages(), output_formats=("wav",), timestamps=("word",))

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        from piper import SynthesisConfig

        options = self.Options(**kwargs)
        path = self._path_of(voice)
        engine: PiperVoice = self.model.get(path)
        current_call().record(model=path.stem)
        config = SynthesisConfig(
            speaker_id=_speaker(engine, options.speaker, path),
            length_scale=engine.config.length_scale / options.speed,
            noise_scale=options.noise_scale,
            noise_w_scale=options.noise_w_scale,
            volume=options.volume,
            normalize_audio=options.normalize_audio,
        )
        timed = options.timestamps == "word" and tells_durations(
            engine, path, self.settings.n_threads, self.settings.use_cuda
        )
        if options.timestamps == "word" and not timed:
            word_aligner(_language(engine))
        prepare = _as_it_is if options.phonemes else _without_phonemes
        done = heard = 0
        report_progress(0, len(text), unit="character")
        for piece in pieces(text, LONGEST):
            spoken = piece
            times = PieceWords(engine, piece, prepare, phonemes=options.phonemes) if timed else None
            for n, chunk in enumerate(engine.synthesize(prepare(piece), config, include_alignments=timed)):
                if heard and options.sentence_silence:
                    silence = bytes(2 * round(options.sentence_silence * chunk.sample_rate))
                    yield AudioChunk(silence, chunk.sample_rate)
                # The text goes with the first chunk where Piper makes several of one piece.
                words = () if times is None else times.of_sentence(n, chunk)
                yield AudioChunk(chunk.audio_int16_bytes, chunk.sample_rate, 1, spoken, words)
                heard, spoken = heard + 1, ""
                report_progress(done, len(text), unit="character")
            done = min(len(text), done + len(piece) + 1)
        if not heard:
            raise OptionError(f"The voice {path.stem} can pronounce nothing of the text.", hint="Choose another voice.")
        report_progress(len(text), len(text), unit="character")

    def list_voices(self, **kwargs: Any) -> list[str]:
        """File names of the voices in ``piper_voices_dir``, and the packaged one's."""
        return voices.list_voices(self._folder)

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        """As in any binding; language and gender are read from the file beside each voice."""
        return voices.describe_voices(self._folder, self._default_path())

    def list_models(self, **kwargs: Any) -> list[str]:
        """A Piper voice is a model: as ``list_voices``."""
        return self.list_voices()

    def download_voice(
        self,
        name: str,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Fetch a voice such as ``en_US-lessac-medium`` into ``piper_voices_dir``; its size and checksum are checked.

        Raises:
            SettingsError: the folder cannot be made.
            VoiceNotFoundError: there is no such voice.
            ServiceError: it cannot be fetched, or came damaged.
        """
        from lollms_modalities.kit import folder_for_downloads

        folder = folder_for_downloads(self._folder, "voices", "piper_voices_dir")
        with self.task("download_voice", progress=progress, cancel=cancel, timeout=timeout):
            return pull.pull_voice(name, folder, self.settings.voices_url)

    @property
    def _folder(self) -> Path:
        return self.settings.piper_voices_dir or voices.own_folder()

    def load_model(self) -> ModelCache[Path, PiperVoice]:
        return loaded_voices(self.settings.max_loaded_voices, self.settings.n_threads, self.settings.use_cuda)

    def load(self, **controls: Any) -> None:
        """Load the default voice now rather than at the first call."""
        super().load(**controls)
        self.model.get(self._path_of(self.settings.default_voice))

    def _path_of(self, voice: str | None) -> Path:
        folder = self._folder
        if voice is not None:
            return voices.find_voice(voice, folder)
        return voices.default_voice(self.settings.default_voice_model_path, folder)

    def _default_path(self) -> Path | None:
        """The default voice; None where there is none: that is said when it is to speak."""
        try:
            return self._path_of(self.settings.default_voice)
        except LollmsError:
            return None

    def _languages(self) -> tuple[str, ...]:
        path = self._default_path()
        language = "" if path is None else voices.language_and_gender(path)[0]
        return (language,) if language else ()


def _as_it_is(text: str) -> str:
    return text


def _without_phonemes(text: str) -> str:
    return _NOT_PHONEMES.sub("[ ", text)


def _language(engine: PiperVoice) -> str:
    return str(engine.config.espeak_voice)


def _speaker(engine: PiperVoice, speaker: str | int | None, path: Path) -> int | None:
    if speaker is None:
        return None
    known = engine.config.speaker_id_map
    if speaker in known:
        return known[str(speaker)]
    if str(speaker).isdecimal() and int(speaker) < engine.config.num_speakers:
        return int(speaker)
    names = [*known] or [str(i) for i in range(engine.config.num_speakers)]
    raise OptionError(
        f"option 'speaker': the voice {path.stem} has no speaker {speaker!r}.",
        hint=near_miss(str(speaker), names, "speakers"),
        names=["speaker"],
    )
