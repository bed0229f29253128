"""The Kokoro binding."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    CancelToken,
    Capabilities,
    Language,
    LollmsError,
    LollmsTTSBinding,
    ModelCache,
    OptionError,
    ProgressCallback,
    SettingsError,
    Speed,
    Word,
    WordTimes,
    current_call,
    option,
    report_progress,
    setting,
    split_words,
    word_aligner,
)
from lollms_modalities.kit import download, folder_for_downloads, pieces, word_spans
from pydantic import Field

from lollms_kokoro import files, voices
from lollms_kokoro.engine import MOST, RATE, Engine, Speech, loaded_engines
from lollms_kokoro.phonemes import espeak_language, language_for, phonemes_of

LONGEST = 200  # phonemes of a piece, some 14 s of speech; Kokoro says its best with 100 to 200
_KokoroSpeed = Annotated[Speed, Field(ge=0.5, le=2)]  # beyond which Kokoro was not taught to speak


class KokoroTTSBinding(LollmsTTSBinding):
    """Natural voices on a CPU, with Kokoro-82M.

    ``model_name`` is the path of an ``.onnx`` file, or the name of one in ``kokoro_path``; without one, the only one
    there, or the one that the extra ``lollms-kokoro[japanese]`` brings. ``voice`` is a name such as ``af_heart``, whose
    first letter is the language and whose second is f or m, or a blend such as ``af_bella(2)+am_adam(1)``. Repeats
    itself exactly; there is no seed.
    """

    engine = "kokoro-onnx"

    class Settings(BindingSettings):
        model_name: str | None = setting(None, description="Name or path of the model.", reload=True, kind="path")
        voices_path: Path | None = setting(
            None, description="File of voices, or folder of such files, besides those in kokoro_path."
        )
        kokoro_path: Path | None = setting(
            None,
            description="Folder of models and voices; if empty, kokoro in lollms/models in the folder for data.",
            reload=True,
        )
        default_voice: str | None = setting(None, description="Name of the voice, or a blend, when none is named.")
        default_language: str | None = setting(None, description="Language of the text; the voice's own if empty.")
        default_speed: float = setting(1.0, description="1.0 is the voice's natural speed.", ge=0.5, le=2)
        n_threads: int = setting(
            min(4, os.cpu_count() or 1), description="Threads of the engine.", ge=1, le=256, reload=True
        )
        use_cuda: bool = setting(False, description="Run on an NVIDIA GPU (needs onnxruntime-gpu).", reload=True)
        release_url: str = setting(files.RELEASE_URL, description="Where download_model() finds the released files.")

    class Options(CallOptions):
        speed: _KokoroSpeed = 1.0
        language: Language = None
        phonemes: bool = option(False, description="The text is Kokoro's phonemes (IPA) already.")
        timestamps: WordTimes = "none"
        sentence_silence: float = option(0.25, description="Silence between sentences, in seconds.", ge=0, le=60)

    settings: Settings

    @property
    def capabilities(self) -> Capabilities:
        """Languages are those of the voices that are there."""
        told = (voices.language_and_gender(name)[0] for name in self._voices_or_none())
        spoken = tuple(dict.fromkeys(tag for tag in told if tag))
        return Capabilities(streaming=True, languages=spoken, output_formats=("wav",), timestamps=("word",))

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        options = self.Options(**kwargs)
        known = self._voices()
        parts = voices.parse_voice(voices.default_voice(known) if voice is None else voice, known)
        language = options.language or language_for(text, voices.language_of(parts))
        speaker = _Speaker(language, as_phonemes=options.phonemes)
        model = files.find_model(self.settings.model_name, self._folder)
        engine: Engine = self.model.engines.get(model)
        speaker.engine = engine
        style = self.model.styles.of(parts, known)
        current_call().record(model=model[0].stem if len(model) == 1 else files.PACKAGED)
        if options.timestamps == "word" and not engine.tells_lengths:
            word_aligner(speaker.language)
        silence = bytes(2 * round(options.sentence_silence * RATE))
        done = heard = 0
        report_progress(0, len(text), unit="character")
        for piece in pieces(text, LONGEST, speaker.length):
            phonemes = speaker.phonemes(piece)[:MOST]
            if phonemes.strip():
                speech = engine.speak(phonemes, style, options.speed)
                words = speaker.words(piece, phonemes, speech) if options.timestamps == "word" else ()
                if heard and silence:
                    yield AudioChunk(silence, RATE)
                yield AudioChunk.from_samples(speech.samples, RATE, piece, words)
                heard += 1
            done = min(len(text), done + len(piece) + 1)
            report_progress(done, len(text), unit="character")
        if not heard:
            raise OptionError("Kokoro can pronounce nothing of the text.", hint="Give its language with language=.")
        report_progress(len(text), len(text), unit="character")

    def list_voices(self, **kwargs: Any) -> list[str]:
        """Names of the voices in ``voices_path`` and ``kokoro_path``, and of those that the extra brings."""
        return [*self._voices()]

    def describe_voices(self, **kwargs: Any) -> list[dict[str, Any]]:
        """As in any binding; language and gender are what the names say."""
        known = self._voices()
        return voices.describe(known, self.settings.default_voice or (voices.default_voice(known) if known else ""))

    def list_models(self, **kwargs: Any) -> list[str]:
        """Names of the models in ``kokoro_path``, of the packaged one, and of those that ``download_model`` fetches."""
        return list(dict.fromkeys([*files.list_models(self._folder), *files.MODELS]))

    def download_model(
        self,
        name: str = files.PACKAGED,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Fetch ``kokoro-v1.0.int8`` (92 MB) or ``kokoro-v1.0`` (326 MB) into ``kokoro_path``, and 54 voices (28 MB).

        Size and SHA-256 of both files are checked. Voices that are there already are not fetched again.

        Raises:
            SettingsError: the folder cannot be made.
            ModelNotFoundError: there is no such model.
            ServiceError: it cannot be fetched, or came damaged.
        """
        model = files.released(name)
        folder = folder_for_downloads(self._folder, "models", "kokoro_path")
        base = self.settings.release_url.rstrip("/")
        with self.task("download_model", progress=progress, cancel=cancel, timeout=timeout):
            for file in (files.VOICES, model):
                target = folder / file.file
                if file is model or not target.is_file():
                    download(f"{base}/{file.file}", target, size=file.size, sha256=file.sha256)
        return folder / model.file

    def load_model(self) -> _Loaded:
        settings = self.settings
        return _Loaded(loaded_engines(settings.n_threads, settings.use_cuda))

    def load(self, **controls: Any) -> None:
        """Load the model now rather than at the first call."""
        super().load(**controls)
        self.model.engines.get(files.find_model(self.settings.model_name, self._folder))

    @property
    def _folder(self) -> Path:
        return self.settings.kokoro_path or files.own_folder()

    def _voices(self) -> dict[str, Path]:
        named = self.settings.voices_path
        if named is not None and not named.exists():
            raise SettingsError(f"voices_path {str(named)!r} is not there.", hint="Name a file or folder of voices.")
        places = () if named is None else (named,)
        own = (self._folder,) if self._folder.is_dir() else ()
        return files.list_voices((*places, *own, *files.packaged_voices()))

    def _voices_or_none(self) -> dict[str, Path]:
        """None where they cannot be read: that is said when one is to speak."""
        try:
            return self._voices()
        except (LollmsError, OSError):
            return {}


class _Loaded:
    """What a binding has in memory: the network, and the styles of voices that have spoken."""

    def __init__(self, engines: ModelCache[tuple[Path, ...], Engine]) -> None:
        self.engines = engines
        self.styles = voices.Styles()

    def clear(self) -> None:
        """Let go of both."""
        self.engines.clear()
        self.styles.clear()


class _Speaker:
    """What is said of one text: phonemes of its pieces, and which of them are which words.

    Args:
        language: tag of the text's language.
        as_phonemes: the text is phonemes already.
    """

    engine: Engine

    def __init__(self, language: str, *, as_phonemes: bool) -> None:
        self.language = language
        self._espeak = None if as_phonemes else espeak_language(language)
        self._last = "", ""

    def phonemes(self, piece: str) -> str:
        """Those that the network knows."""
        if self._last[0] != piece:
            self._last = piece, self._made([piece])[0]
        return self._last[1]

    def length(self, piece: str) -> int:
        """How many phonemes a piece has."""
        return len(self.phonemes(piece))

    def words(self, piece: str, phonemes: str, speech: Speech) -> tuple[Word, ...]:
        """The words of a piece, with times from its beginning; none where the network does not tell."""
        if speech.edges is None:
            return ()
        tokens = split_words(piece)
        edges = [edge / RATE for edge in speech.edges.tolist()]
        spans = word_spans(tokens, [[alone] for alone in self._made(tokens)], [phonemes])
        found = [(span.text, edges[span.first], edges[span.last + 1]) for span in spans]
        return tuple(Word(text, start, end) for text, start, end in found)

    def _made(self, texts: Sequence[str]) -> list[str]:
        made = texts if self._espeak is None else phonemes_of(texts, self._espeak)
        return [" ".join(self.engine.known(text).split()) for text in made]
