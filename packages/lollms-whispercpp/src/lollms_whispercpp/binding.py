"""The whisper.cpp binding."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities import (
    BindingSettings,
    CallOptions,
    Capabilities,
    GenerationError,
    Language,
    LollmsSTTBinding,
    MediaInput,
    ModelNotFoundError,
    OptionError,
    Segment,
    Timestamps,
    Track,
    Transcript,
    UnsupportedError,
    current_call,
    option,
    report_progress,
    setting,
)
from lollms_modalities.kit import WHISPER_LANGUAGES, whisper_language
from lollms_modalities.kit.program import Running

from lollms_whispercpp import models, output
from lollms_whispercpp.program import PATIENT, Program, find_program, named_program

_BAD_MODEL = 3  # the program's exit code
_FRAMES = 50  # of the encoder, a second
_WINDOW = 1500  # frames: the 30 s that the model was trained on
_LEAST = 512  # with fewer, a sentence was repeated
_AFTER = 128  # frames of silence after the sound, by which the model finds its end
_ABOUT_SIGNALS = (
    "A signal ended it: too little memory, or a build for another processor. One made for this processor can crash as "
    "well (1.9.1 with Intel's AMX does, with q8_0): build whisper.cpp with -DGGML_NATIVE=OFF."
)


class Programs(NamedTuple):
    """What is run: whisper.cpp, and ffmpeg if it is to decode."""

    whisper: Program
    ffmpeg: Path | None


class WhisperCppSTTBinding(LollmsSTTBinding):
    """Whisper with whisper.cpp's program: one process a call, small models in few megabytes, nothing to import.

    ``model_path`` is a ggml file, or the name of one in ``models_search_path``. The program is ``whisper-cli`` (or, as
    it was called before, ``whisper-cpp`` or ``main``): found on PATH, or named with ``whispercpp_exe_path``.
    """

    engine = "whisper.cpp"
    capabilities = Capabilities(streaming=True, timestamps=("segment", "word"))

    class Settings(BindingSettings):
        model_path: Path | None = setting(None, description="The model: a ggml .bin file.", reload=True)
        whispercpp_exe_path: Path | None = setting(
            None, description="The program or its folder; looked for on PATH when empty.", reload=True
        )
        ffmpeg_path: Path | None = setting(
            None, description="An ffmpeg program that decodes; PyAV does when empty.", reload=True, kind="program"
        )
        models_search_path: Path | None = setting(None, description="Folder of models.", reload=True)
        default_language: str | None = setting(None, description="Language of the speech; heard out when empty.")
        n_threads: int = setting(min(4, os.cpu_count() or 1), description="Threads of the program.", ge=1, le=256)
        default_beam_size: int = setting(5, description="Width of the search; 1 is fastest.", ge=1, le=8)
        use_gpu: bool = setting(True, description="Use a GPU if the program was built for one.")
        fit_window: bool = setting(
            False, description="Hear what is shorter than 30 s in a window of its own length: faster, less certain."
        )

    class Options(CallOptions):
        language: Language = None
        translate: bool = option(False, description="Give the text in English.")
        timestamps: Timestamps = "segment"
        track: Track = None
        beam_size: int = option(5, description="Width of the search; 1 is fastest.", ge=1, le=8)
        temperature: float | None = option(
            None, description="Randomness; when empty, 0, and more where that fails.", ge=0, le=1
        )
        initial_prompt: str | None = option(
            None, description="Words that the speech is likely to hold.", max_length=10_000, pattern=r"^[^\x00]*$"
        )
        condition_on_previous_text: bool = option(
            False, description="Go on from the text before, which may repeat itself; always so with an initial_prompt."
        )
        suppress_non_speech: bool = option(
            True, description="Leave out what is no speech, such as [MUSIC] or (wind blowing)."
        )

    settings: Settings

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        return _end_of(self._hear(audio_path, model, self.Options(**kwargs)))

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        options = self.Options(**kwargs)
        heard = self._hear(audio_path, model, options)
        if options.timestamps == "word":
            yield from _end_of(heard).segments  # the program tells the times of words at its end
        else:
            yield from heard

    def _hear(self, audio: Any, model: str | None, options: Options) -> Generator[Segment, None, Transcript]:
        """The engine call: the segments as the program prints them; at its end the whole, as it wrote it."""
        from lollms_whispercpp.sound import as_wav

        programs: Programs = self.model
        settings = self.settings
        found = models.find_model(model, settings.model_path, settings.models_search_path)
        language = _language(options.language, found)
        current_call().record(model=str(found.path), engine_version=programs.whisper.version or None)
        with tempfile.TemporaryDirectory(prefix="lollms-whispercpp-") as name:
            sound = as_wav(audio, Path(name), programs.ffmpeg, options.track)
            report_progress(0, sound.duration, unit="s")
            written = Path(name, "heard.json")
            command = [
                programs.whisper.path,
                *("-m", found.path, "-f", sound.path, "-l", language, "-t", str(settings.n_threads)),
                *("-bs", str(options.beam_size), "-pp", "-of", written.with_suffix("")),
                "-ojf" if options.timestamps == "word" else "-oj",
                *_asked(options, programs.whisper),
                *(_fitted(sound.duration) if settings.fit_window else ()),
                *(() if settings.use_gpu else ("-ng",)),
            ]
            spoken = None if language == "auto" else language
            chance: float | None = None
            done = 0.0
            with Running(command, env=PATIENT) as run:
                for line in run:
                    if (segment := output.segment_of(line, sound.duration, spoken)) is not None:
                        done = max(done, segment.end)
                        if not (options.suppress_non_speech and output.is_remark(segment.text)):
                            yield segment
                    elif (part := output.progress_of(line)) is not None:
                        done = max(done, part * sound.duration)
                    elif (told := output.language_of(line)) is not None:
                        spoken, chance = told
                    else:
                        if not output.is_filler(line):
                            run.keep(line)
                        continue
                    report_progress(done, sound.duration, unit="s")
            _check(run, written, found, options)
            result = output.read_result(written)
        segments = output.segments_of(result, sound.duration, words=options.timestamps == "word")
        if options.suppress_non_speech:
            segments = (segment for segment in segments if not output.is_remark(segment.text))
        whole = Transcript.from_segments(
            segments,
            language=result["result"]["language"],
            language_probability=chance,
            duration=sound.duration,
            text_language="en" if options.translate else None,
        )
        report_progress(sound.duration, sound.duration, unit="s")
        return whole

    def list_models(self, **kwargs: Any) -> list[str]:
        """The default model, and the files in ``models_search_path`` that are models by their first bytes."""
        return models.list_models(self.settings.model_path, self.settings.models_search_path)

    def load_model(self) -> Programs:
        """Find the programs and the model's file. The weights are read by the program, in each call."""
        settings = self.settings
        models.find_model(None, settings.model_path, settings.models_search_path)
        ffmpeg = settings.ffmpeg_path and named_program(settings.ffmpeg_path, "ffmpeg_path")
        return Programs(find_program(settings.whispercpp_exe_path), ffmpeg)


def _end_of(heard: Generator[Segment, None, Transcript]) -> Transcript:
    while True:
        try:
            next(heard)
        except StopIteration as end:
            whole: Transcript = end.value
            return whole


def _asked(options: WhisperCppSTTBinding.Options, program: Program) -> Iterator[str]:
    """The arguments for the options. Each value follows its option, so that none can be taken for one."""
    if options.translate:
        yield "-tr"
    if options.initial_prompt:
        yield from ("--prompt", options.initial_prompt)
    elif not options.condition_on_previous_text:
        # By what it wrote of one window it hears the next: after a pause, the last sentence again or nothing at all.
        # The prompt is part of the same memory.
        yield from ("-mc", "0")
    if options.temperature is not None:
        if "-tp" not in program.options:
            raise UnsupportedError(
                f"{str(program.path)!r} is too old to be told a temperature.", hint="Leave it out, or take a newer one."
            )
        yield from ("-tp", str(options.temperature), "-nf")
    if options.suppress_non_speech and "-sns" in program.options:
        yield "-sns"


def _fitted(duration: float) -> Iterator[str]:
    """The argument that has the encoder look at no more than a short sound has."""
    frames = max(_LEAST, math.ceil(duration * _FRAMES) + _AFTER)
    if frames < _WINDOW:
        yield from ("-ac", str(frames))


def _language(tag: str | None, model: models.Model) -> str:
    """Whisper's code for a language tag; "auto" where it is to be heard out."""
    known = ["en"] if model.english_only else WHISPER_LANGUAGES
    return whisper_language(tag, known, repr(str(model.path))) or ("en" if model.english_only else "auto")


def _unknown_language(tag: str | None, model: models.Model) -> OptionError:
    return OptionError(
        f"option 'language': the model {str(model.path)!r} does not know {tag!r}.",
        hint="It knows English only." if model.english_only else "Give a code such as en, de or zh.",
        names=["language"],
    )


def _check(run: Running, written: Path, model: models.Model, options: WhisperCppSTTBinding.Options) -> None:
    """Raise unless the program came to its end and wrote a result: its exit code is 0 in most failures too."""
    if run.code == 0 and written.is_file():
        return
    if "unknown language" in run.last:
        raise _unknown_language(options.language, model)
    if run.code == _BAD_MODEL:
        raise ModelNotFoundError(
            f"{str(model.path)!r} cannot be loaded: {run.last}.", hint="Fetch or convert the model again."
        )
    raise GenerationError(
        f"whisper.cpp heard nothing and ended with the code {run.code}. Its last lines: {run.last}.",
        hint=_ABOUT_SIGNALS if run.code < 0 else "",
    )
