"""whisper.cpp's program on real weights, hearing a real voice."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import av
import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from harvard import HARVARD, spoken, word_error_rate
from lollms_modalities import (
    Audio,
    AudioFileNotFoundError,
    BindingDependencyError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    GenerationError,
    MediaError,
    ModelNotFoundError,
    OptionError,
    Progress,
    Transcript,
    UnsupportedError,
)
from lollms_modalities.kit import decode_audio
from lollms_whispercpp import WhisperCppSTTBinding
from lollms_whispercpp.binding import _fitted
from whisper_cpp_program import old_whisper_cpp
from whisper_weights import make_ggml

SENTENCE = "The stale smell of old beer lingers."


@pytest.fixture(scope="module")
def sentence() -> Audio:
    return spoken(SENTENCE)


@pytest.fixture(scope="module")
def harvard() -> Audio:
    return spoken(HARVARD)


@pytest.fixture(scope="module")
def nine() -> Audio:
    """Nine sentences, which fill a window."""
    return spoken(" ".join(HARVARD.split(". ")[:9]) + ".")


@pytest.fixture(scope="module")
def make(program: Path, models: Path) -> Iterator[Callable[..., WhisperCppSTTBinding]]:
    """Makes bindings on tiny.en as it is: one thread, greedy, short windows, unless told otherwise."""
    made: list[WhisperCppSTTBinding] = []

    def make(**settings: Any) -> WhisperCppSTTBinding:
        given = {
            "model_path": models / "ggml-tiny.en.bin",
            "whispercpp_exe_path": program,
            "n_threads": 1,
            "default_beam_size": 1,
            "fit_window": True,
        }
        made.append(WhisperCppSTTBinding(**{**given, **settings}))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


@pytest.fixture(scope="module")
def whisper(make: Callable[..., WhisperCppSTTBinding]) -> WhisperCppSTTBinding:
    return make()


Make = Callable[..., WhisperCppSTTBinding]


_others: set[psutil.Process] = set()


@pytest.fixture(autouse=True)
def others() -> None:
    """What other tests have started, and keep, is none of ours."""
    _others.clear()
    _others.update(children())


def children() -> list[psutil.Process]:
    """What this process has started in this test and what is under way."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if process not in _others and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of the programs that are started in a test."""
    seen: list[list[str]] = []
    start = subprocess.Popen

    def noting(command: list[str], *given: Any, **more: Any) -> Any:
        seen.append(command)
        return start(command, *given, **more)

    monkeypatch.setattr("lollms_modalities.kit.program.subprocess.Popen", noting)
    return seen


# --- hearing --------------------------------------------------------------------------------------------------------


def test_a_sentence_is_understood(whisper: WhisperCppSTTBinding, sentence: Audio, models: Path) -> None:
    heard = whisper.transcribe_audio(sentence)
    assert word_error_rate(SENTENCE, heard) == 0
    assert isinstance(heard, Transcript)
    assert (heard.language, heard.words) == ("en", ())
    assert heard.duration == pytest.approx(sentence.duration, abs=0.01)
    (segment,) = heard.segments
    assert 0 <= segment.start < segment.end <= sentence.duration + 1 / 16000
    made = heard.provenance
    assert made is not None
    assert (made.binding, made.engine, made.engine_version) == ("whispercpp", "whisper.cpp", "1.9.1")
    assert made.model == str(models / "ggml-tiny.en.bin")


class Heard(NamedTuple):
    """The thirty sentences as heard, the progress meanwhile, and the variables that the program was given."""

    text: Transcript
    progress: list[Progress]
    variables: dict[str, str]


@pytest.fixture(scope="module")
def heard_harvard(whisper: WhisperCppSTTBinding, harvard: Audio) -> Heard:
    seen: list[Progress] = []
    variables: dict[str, str] = {}

    def look(progress: Progress) -> None:
        if progress.done and not variables:
            (child,) = children()
            variables.update(child.environ())
        seen.append(progress)

    return Heard(whisper.transcribe_audio(harvard, progress=look), seen, variables)


def test_thirty_sentences(heard_harvard: Heard, harvard: Audio) -> None:
    assert harvard.duration > 60
    assert word_error_rate(HARVARD, heard_harvard.text) <= 0.12
    assert len(heard_harvard.text.segments) >= 10
    starts = [segment.start for segment in heard_harvard.text.segments]
    assert starts == sorted(starts)


@pytest.mark.full
@pytest.mark.parametrize("name", ["tiny.en-q8_0", "tiny.en-q5_1"])
def test_smaller_models_hear_as_well(make: Make, models: Path, harvard: Audio, name: str) -> None:
    heard = make(models_search_path=models).transcribe_audio(harvard, name)
    assert word_error_rate(HARVARD, heard) <= 0.12


@pytest.mark.full
def test_what_it_prints_is_what_it_writes(whisper: WhisperCppSTTBinding, harvard: Audio, heard_harvard: Heard) -> None:
    assert tuple(whisper.stream_transcript(harvard)) == heard_harvard.text.segments


def test_words_have_times(whisper: WhisperCppSTTBinding, nine: Audio, speech: Path) -> None:
    heard = whisper.transcribe_audio(nine, timestamps="word")
    assert len(heard.words) > 60
    assert all(0 <= word.start <= word.end <= nine.duration for word in heard.words)
    assert all(0 < (word.probability or 0) <= 1 for word in heard.words)
    for segment in heard.segments:
        assert "".join(word.text for word in segment.words).strip() == segment.text
    # Where the words are, told by the sound itself: silence lies between sentences, not in words.
    samples = np.abs(decode_audio(nine, 16000))
    loud = [samples[round(w.start * 16000) : round(w.end * 16000)].max(initial=0) > 0.02 for w in heard.words]
    assert sum(loud) > 0.97 * len(loud)
    short = whisper.transcribe_audio(speech, timestamps="word")
    assert tuple(whisper.stream_transcript(speech, timestamps="word")) == short.segments


def test_segments_come_before_the_end(whisper: WhisperCppSTTBinding, harvard: Audio) -> None:
    seen: list[Progress] = []
    with whisper.stream_transcript(harvard, progress=seen.append) as stream:  # type: ignore[attr-defined]
        next(stream)
        assert seen[-1].done < harvard.duration / 2
        assert children()
    assert not children(), "a stream that is closed ends the program"


def m4a(audio: Audio) -> bytes:
    return muxed(audio, "mp4", "aac", "fltp")


def webm(audio: Audio) -> bytes:
    return muxed(audio, "webm", "libopus", "flt")


def muxed(audio: Audio, container: str, codec: str, sample_format: str) -> bytes:
    """The sound as FFmpeg's encoders write it, at 48 kHz."""
    out = io.BytesIO()
    with av.open(io.BytesIO(audio)) as source, av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=48000, layout="mono")
        resampler = av.AudioResampler(format=sample_format, layout="mono", rate=48000)
        fifo = av.AudioFifo()
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                part.pts = None
                fifo.write(part)
        size = getattr(stream, "frame_size", 0) or 960
        written = 0
        while (part := fifo.read(size, partial=True)) is not None:
            part.pts = written
            written += part.samples
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return out.getvalue()


FORMS: dict[str, Callable[[Audio], bytes]] = {
    "wav": bytes, "m4a": m4a, "webm": webm,
    **{name: lambda audio, name=name: audio.convert(name) for name in ("mp3", "opus", "ogg", "flac")},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_any_format_is_heard(whisper: WhisperCppSTTBinding, sentence: Audio, form: str) -> None:
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(FORMS[form](sentence))) == 0


@pytest.mark.parametrize("form", FORMS)
def test_with_ffmpeg_as_well(make: Make, sentence: Audio, tmp_path: Path, form: str) -> None:
    whisper = make(ffmpeg_path=imageio_ffmpeg.get_ffmpeg_exe())
    path = tmp_path / f'-it\'s a "name": 100%\n.{form}'
    path.write_bytes(FORMS[form](sentence))
    heard = whisper.transcribe_audio(path)
    assert word_error_rate(SENTENCE, heard) == 0
    assert heard.duration == pytest.approx(sentence.duration, abs=0.1)
    if form == "m4a":
        assert word_error_rate(SENTENCE, whisper.transcribe_audio(path.read_bytes())) == 0


def test_what_ffmpeg_refuses_is_told(make: Make, sentence: Audio, tmp_path: Path) -> None:
    whisper = make(ffmpeg_path=imageio_ffmpeg.get_ffmpeg_exe())
    wav = sentence.save(tmp_path / "x.wav")
    lists = {
        "x.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{wav}\n#EXT-X-ENDLIST\n",
        "x.ffconcat": f"ffconcat version 1.0\nfile '{wav}'\n",
        "x.wav.txt": "no sound at all",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(MediaError, match=r"cannot read it as sound.*opening input"):
            whisper.transcribe_audio(tmp_path / name)


def test_a_wav_that_fits_is_passed_as_it_is(
    make: Make, sentence: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    def refuse(*given: Any, **more: Any) -> Any:
        raise AssertionError("it was decoded")

    samples = decode_audio(sentence, 16000)
    fits = Audio.from_samples(samples, 16000)
    monkeypatch.setattr("lollms_modalities.media.sound._decode", refuse)
    monkeypatch.chdir(tmp_path)
    whisper = make()
    path = fits.save("-f.wav")
    heard = whisper.transcribe_audio(path)
    assert word_error_rate(SENTENCE, heard) == 0
    assert str(tmp_path / "-f.wav") in commands[-1]
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(fits)) == 0, "bytes are written as they are"
    for other in (sentence, bytes(fits)[:-999], Audio.from_samples(samples, 8000)):
        with pytest.raises((AssertionError, GenerationError), match="it was decoded"):
            whisper.transcribe_audio(other)


# --- where nothing is said ------------------------------------------------------------------------------------------


def sounds() -> dict[str, Any]:
    random = np.random.default_rng(5)
    return {
        "one sample": np.zeros(1), "0.1 s of silence": np.zeros(1600), "silence": np.zeros(32000),
        "40 s of silence": np.zeros(640_000), "0.1 s of noise": random.normal(0, 0.1, 1600),
        "noise": random.normal(0, 0.05, 80_000), "faint noise": random.normal(0, 0.0003, 80_000),
        "40 s of noise": random.normal(0, 0.05, 640_000),
    }  # fmt: skip


SHORT = ("one sample", "0.1 s of silence", "0.1 s of noise", "faint noise")


@pytest.mark.parametrize("beam_size", [1, pytest.param(5, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "what", [pytest.param(name, marks=[] if name in SHORT else [pytest.mark.full]) for name in sounds()]
)
def test_nothing_said_is_nothing_heard(make: Make, what: str, beam_size: int) -> None:
    whisper = make(fit_window=False)
    sound = Audio.from_samples(sounds()[what].astype(np.float32), 16000)
    heard = whisper.transcribe_audio(sound, beam_size=beam_size)
    assert (heard, heard.segments) == ("", ())
    assert heard.duration == pytest.approx(sound.duration)
    assert list(whisper.stream_transcript(sound, beam_size=beam_size)) == []


def test_remarks_are_there_for_who_wants_them(make: Make) -> None:
    silence = Audio.from_samples(np.zeros(32000, np.float32), 16000)
    heard = make(fit_window=False).transcribe_audio(silence, suppress_non_speech=False)
    assert heard == "[BLANK_AUDIO]"
    assert heard.segments[0].end <= 2.0, "the program says 10 s"


@pytest.mark.full
def test_a_pause_is_no_reason_to_repeat_or_to_miss(whisper: WhisperCppSTTBinding, sentence: Audio) -> None:
    """whisper.cpp by itself wrote this sentence over and over, or heard it once only."""
    said, pause = decode_audio(sentence, 16000), np.zeros(58 * 16000, np.float32)
    heard = whisper.transcribe_audio(Audio.from_samples(np.concatenate([said, pause, said, pause]), 16000))
    assert word_error_rate(f"{SENTENCE} {SENTENCE}", heard) == 0
    first, second = heard.segments
    assert first.start < 1
    assert 58 < second.start < second.end < 65


@pytest.mark.full
def test_ten_minutes(whisper: WhisperCppSTTBinding, sentence: Audio) -> None:
    samples = np.zeros(600 * 16000, np.float32)
    said = decode_audio(sentence, 16000)
    starts = (0, 314, 600 - len(said) / 16000 - 1)
    for start in starts:
        samples[round(start * 16000) :][: len(said)] = said
    seen: list[Progress] = []
    heard = whisper.transcribe_audio(Audio.from_samples(samples, 16000), progress=seen.append)
    assert word_error_rate(" ".join([SENTENCE] * 3), heard) == 0
    assert heard.duration == 600
    for start, segment in zip(starts, heard.segments, strict=True):
        assert segment.start - 2 < start + 1 < segment.end + 2
    assert len({p.done for p in seen}) >= 10


# --- options --------------------------------------------------------------------------------------------------------


def test_options_reach_the_program(make: Make, sentence: Audio, commands: list[list[str]]) -> None:
    whisper = make(n_threads=2, use_gpu=False)
    whisper.transcribe_audio(sentence, beam_size=3, temperature=0.3, translate=True, language="en")
    given = commands[-1]
    for name, value in (("-t", "2"), ("-bs", "3"), ("-tp", "0.3"), ("-l", "en")):
        assert given[given.index(name) + 1] == value
    assert {"-tr", "-nf", "-ng", "-sns", "-oj", "-mc"} <= set(given)
    make(fit_window=False).transcribe_audio(
        sentence, condition_on_previous_text=True, suppress_non_speech=False, timestamps="word"
    )
    given = commands[-1]
    assert not {"-tr", "-nf", "-ng", "-sns", "-oj", "-mc", "-tp", "-ac"} & set(given)
    assert "-ojf" in given


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.1, "512"), (7.6, "512"), (7.7, "513"), (27.4, "1498"), (27.44, None), (40, None)]
)
def test_a_window_of_the_sounds_length(seconds: float, frames: str | None) -> None:
    assert list(_fitted(seconds)) == ([] if frames is None else ["-ac", frames])


def test_a_prompt_steers_the_spelling(whisper: WhisperCppSTTBinding) -> None:
    audio = spoken("Aimee has a meeting with Kaity.")
    assert "Kaity" not in whisper.transcribe_audio(audio)
    heard = whisper.transcribe_audio(audio, initial_prompt="Aimee and Kaity.")
    assert "Kaity" in heard


@pytest.mark.parametrize(
    "prompt", ["-h", "--output-file /tmp/x", "-of", "-otxt\n-m x", "$(touch x); `touch x`", "a\nb", "ü🎵"]
)
def test_a_prompt_is_no_option(
    whisper: WhisperCppSTTBinding, sentence: Audio, prompt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heard = whisper.transcribe_audio(sentence, initial_prompt=prompt)
    assert "beer" in heard.lower()
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_that_no_program_can_be_given_is_refused(whisper: WhisperCppSTTBinding, sentence: Audio) -> None:
    for wrong in ("a\0b", "x" * 200_000, "\ud800"):
        with pytest.raises(OptionError, match="initial_prompt"):
            whisper.transcribe_audio(sentence, initial_prompt=wrong)


@pytest.mark.parametrize("tag", ["en", "en-US", "EN_gb", "auto"])
def test_a_language_tag_is_understood(whisper: WhisperCppSTTBinding, sentence: Audio, tag: str) -> None:
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence, language=tag)) == 0


@pytest.mark.parametrize("tag", ["fr", "-h", "", "e n", "en\n", "--", "x" * 30])
def test_a_language_that_the_model_does_not_have_is_refused(
    whisper: WhisperCppSTTBinding, sentence: Audio, tag: str
) -> None:
    if tag == "":
        assert whisper.transcribe_audio(sentence, language=tag)
        return
    with pytest.raises(OptionError, match="language"):
        whisper.transcribe_audio(sentence, language=tag)


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ggml(tmp_path_factory.mktemp("multilingual") / "ggml-tiny.bin", multilingual=True)


def test_a_model_of_many_languages(make: Make, multilingual: Path, speech: Path) -> None:
    """The languages' tokens are untrained: it hears English whatever it is told."""
    whisper = make(model_path=multilingual)
    assert "smooth planks" in whisper.transcribe_audio(speech, language="en")
    heard = whisper.transcribe_audio(speech)
    assert heard.language is not None, "the one that it heard out"
    assert heard.text_language == heard.language
    assert 0 < (heard.language_probability or 0) < 1
    french = whisper.transcribe_audio(speech, language="fr-CA", translate=True)
    assert (french.language, french.text_language, french.language_probability) == ("fr", "en", None)
    german = make(model_path=multilingual, default_language="de")
    assert german.transcribe_audio(speech).language == "de"
    assert {segment.language for segment in german.stream_transcript(speech)} == {"de"}
    for unknown in ("xx", "-h", "klingon", "e;n"):
        with pytest.raises(OptionError, match="does not know"):
            whisper.transcribe_audio(speech, language=unknown)


# --- progress and stopping ------------------------------------------------------------------------------------------


def test_progress_is_by_the_sounds_time(heard_harvard: Heard, harvard: Audio) -> None:
    seen = heard_harvard.progress
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == pytest.approx(harvard.duration, abs=0.01)
    assert len(set(done)) > 10
    assert {p.unit for p in seen} == {"s"}


@pytest.mark.parametrize("way", ["cancel", "timeout", "progress"])
def test_a_stop_ends_the_program_at_once(
    make: Make, harvard: Audio, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    whisper, token = make(), CancelToken()
    whisper.load()
    stopped_at = [0.0]

    def stop() -> None:
        while not children():
            time.sleep(0.01)
        time.sleep(0.2)
        stopped_at[0] = time.perf_counter()
        token.cancel()

    def refuse(progress: Progress) -> None:
        if progress.done:
            stopped_at[0] = time.perf_counter()
            raise KeyError("mine")

    more: dict[str, Any] = {
        "cancel": {"cancel": token}, "timeout": {"timeout": 0.7}, "progress": {"progress": refuse},
    }[way]  # fmt: skip
    thread = threading.Thread(target=stop, daemon=True)
    if way == "cancel":
        thread.start()
    start = time.perf_counter()
    with pytest.raises((CallCancelled, CallTimeout, KeyError)) as caught:
        whisper.transcribe_audio(harvard, **more)
    taken = time.perf_counter() - (start + 0.7 if way == "timeout" else stopped_at[0])
    assert type(caught.value).__name__ == {"cancel": "CallCancelled", "timeout": "CallTimeout"}.get(way, "KeyError")
    assert taken < 1.0  # a few milliseconds on a quiet machine
    assert children() == []
    assert list(tmp_path.iterdir()) == [], "no temporary file is left"


def test_what_the_program_started_ends_too(make: Make, harvard: Audio, tmp_path: Path, program: Path) -> None:
    """Some systems have a script in the program's place."""
    script = tmp_path / "whisper-cli"
    script.write_text(f'#!/bin/sh\n"{program}" "$@"\nexit $?\n')
    script.chmod(0o755)
    whisper, token = make(whispercpp_exe_path=script), CancelToken()

    def stop(progress: Progress) -> None:
        if progress.done:
            assert len(children()) == 2
            token.cancel()

    with pytest.raises(CallCancelled):
        whisper.transcribe_audio(harvard, cancel=token, progress=stop)
    until = time.monotonic() + 5
    while children() and time.monotonic() < until:
        time.sleep(0.01)
    assert children() == []
    assert [p for p in psutil.process_iter(["exe"]) if p.info["exe"] == str(program) and p.ppid() == 1] == []


def test_waiting_threads_do_not_spin(heard_harvard: Heard) -> None:
    assert heard_harvard.variables["OMP_WAIT_POLICY"] == "passive"


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "wrong"), [("beam_size", 0), ("timestamps", "letter"), ("langage", "en"), ("temperature", 2)]
)
def test_wrong_options_are_told(whisper: WhisperCppSTTBinding, sentence: Audio, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        whisper.transcribe_audio(sentence, **{option: wrong})


def test_what_is_no_sound_is_told(whisper: WhisperCppSTTBinding, tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError):
        whisper.transcribe_audio("no/such.wav")
    for given in (b"", b"no sound at all", tmp_path):
        with pytest.raises(MediaError):
            whisper.transcribe_audio(given)  # type: ignore[arg-type]


def test_exit_code_0_with_nothing_decoded_is_an_error(
    whisper: WhisperCppSTTBinding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The program itself is given what it cannot decode: it says so, and ends well."""
    from lollms_whispercpp import sound

    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"no sound at all" * 1000)
    monkeypatch.setattr(sound, "as_wav", lambda *given: sound.Sound(junk, 1.0))
    with pytest.raises(GenerationError, match=r"ended with the code 0.*failed to read audio"):
        whisper.transcribe_audio(junk)


def test_the_programs_last_lines_are_in_the_error(make: Make, models: Path, sentence: Audio, tmp_path: Path) -> None:
    cut = tmp_path / "cut.bin"
    cut.write_bytes((models / "ggml-tiny.en.bin").read_bytes()[:30_000_000])
    whisper = make(models_search_path=tmp_path)
    with pytest.raises(ModelNotFoundError, match=r"cannot be loaded.*not all tensors loaded"):
        whisper.transcribe_audio(sentence, "cut")
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence)) == 0


def test_a_program_that_is_killed_is_told(whisper: WhisperCppSTTBinding, harvard: Audio) -> None:
    def kill(progress: Progress) -> None:
        if progress.done:
            for child in children():
                child.kill()

    with pytest.raises(GenerationError, match="code -9"):
        whisper.transcribe_audio(harvard, progress=kill)


# --- programs -------------------------------------------------------------------------------------------------------


def test_the_program_is_found(
    make: Make, program: Path, sentence: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main").symlink_to(program)
    folder = make(whispercpp_exe_path=tmp_path)
    assert word_error_rate(SENTENCE, folder.transcribe_audio(sentence)) == 0
    assert folder.model.whisper.path == tmp_path / "main"
    monkeypatch.setenv("PATH", str(program.parent))
    for given in (None, "whisper-cli", program.parent):
        binding = make(whispercpp_exe_path=given)
        binding.load()
        assert binding.model.whisper.path == program
        assert binding.model.whisper.version == "1.9.1"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "none"))
    with pytest.raises(BindingDependencyError, match="no whisper-cli or whisper-cpp on PATH") as caught:
        make(whispercpp_exe_path=None).load()
    assert "lollms-whispercpp[program]" in caught.value.hint


def test_an_old_program_is_served(make: Make, sentence: Audio) -> None:
    """It reads nothing but WAV at 16 kHz, and knows less."""
    old = make(whispercpp_exe_path=old_whisper_cpp())
    heard = old.transcribe_audio(sentence.convert("opus"), timestamps="word")
    assert word_error_rate(SENTENCE, heard) == 0
    assert len(heard.words) == len(SENTENCE.split())
    whole = make(whispercpp_exe_path=old_whisper_cpp(), fit_window=False)
    assert whole.transcribe_audio(Audio.from_samples(np.zeros(32000, np.float32), 16000)) == ""
    (segment,) = old.stream_transcript(sentence)
    assert word_error_rate(SENTENCE, segment.text) == 0
    with pytest.raises(UnsupportedError, match="too old to be told a temperature"):
        old.transcribe_audio(sentence, temperature=0.5)


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\necho usage: main -m MODEL -f FILE -oj\n", "#!/bin/sh\nexit 3\n", "\x7fELF"]
)
def test_a_program_that_is_none_is_refused_with_a_reason(make: Make, tmp_path: Path, text: str) -> None:
    program = tmp_path / "main"
    program.write_text(text)
    program.chmod(0o755)
    with pytest.raises(BindingDependencyError, match=r"does not know .*-ojf|cannot be run"):
        make(whispercpp_exe_path=program).load()
    program.chmod(0o644)
    with pytest.raises(BindingDependencyError, match="no program that can be run"):
        make(whispercpp_exe_path=program).load()


def test_a_missing_ffmpeg_is_told_when_loading(make: Make) -> None:
    with pytest.raises(BindingDependencyError, match="ffmpeg_path="):
        make(ffmpeg_path="/no/such/ffmpeg").load()


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A folder with models and what only looks like one."""
    shutil.copy(models / "ggml-tiny.en-q5_1.bin", tmp_path / "ggml-small.en.bin")
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(100))
    (tmp_path / "ggml-silero.bin").write_bytes(b"lmgg" + struct.pack("<i", 12) + bytes(100))
    (tmp_path / "other.bin").write_bytes(b"\x80\x02junk" * 100)
    (tmp_path / "empty.bin").touch()
    (tmp_path / "folder.bin").mkdir()
    shutil.copy(models / "ggml-tiny.en-q5_1.bin", tmp_path / "a model.txt")
    return tmp_path


def test_models_are_listed_by_their_first_bytes(make: Make, folder: Path, models: Path) -> None:
    own = str(models / "ggml-tiny.en.bin")
    assert make(models_search_path=folder).list_models() == [own, "ggml-small.en.bin", "x.gguf"]
    assert make(models_search_path=folder / "none").list_models() == [own]
    assert make(model_path=None).list_models() == []


def test_a_model_is_named_for_one_call(make: Make, folder: Path, models: Path, sentence: Audio) -> None:
    whisper = make(models_search_path=folder)
    for name in ("ggml-small.en.bin", "ggml-small.en", "small.en", str(folder / "a model.txt"), "tiny.en"):
        heard = whisper.transcribe_audio(sentence, name)
        assert heard.provenance is not None
        assert Path(heard.provenance.model).parent == (models if name == "tiny.en" else folder)
        assert word_error_rate(SENTENCE, heard) == 0
    for name, said in (
        ("no", "no model 'no'"), ("other", "no model 'other'"), (str(folder / "other.bin"), "is no model"),
        ("../x", "is no file"), (str(folder), "is no file"), ("~nobody-there/x", "is no file"), ("", "is no name"),
        ("x.gguf", "bad magic"), ("/" + "x" * 300, "is no file"),
    ):  # fmt: skip
        with pytest.raises(ModelNotFoundError, match=said):
            whisper.transcribe_audio(sentence, name)


def test_a_model_of_the_home_folder(make: Make, models: Path, sentence: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(models.parent))
    heard = make().transcribe_audio(sentence, f"~/{models.name}/ggml-tiny.en.bin")
    assert heard.provenance is not None
    assert heard.provenance.model == str(models / "ggml-tiny.en.bin")


def test_the_default_model_may_be_a_name_or_the_only_one(make: Make, folder: Path, sentence: Audio) -> None:
    (folder / "x.gguf").unlink()
    for given in (None, "small.en", "ggml-small.en.bin"):
        heard = make(model_path=given, models_search_path=folder).transcribe_audio(sentence)
        assert heard.provenance is not None
        assert heard.provenance.model == str(folder / "ggml-small.en.bin")
    with pytest.raises(ModelNotFoundError, match="models_search_path has none"):
        make(model_path=None).load()
    with pytest.raises(ModelNotFoundError, match="is no file"):
        make(model_path="/no/such.bin").load()


def test_a_setting_that_fails_leaves_the_old(make: Make, models: Path, sentence: Audio) -> None:
    whisper = make()
    whisper.load()
    with pytest.raises(ModelNotFoundError):
        whisper.set_settings({"model_path": "/no/such.bin"})
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence)) == 0
    assert whisper.set_settings({"model_path": str(models / "ggml-tiny.en-q8_0.bin")})
    heard = whisper.transcribe_audio(sentence)
    assert heard.provenance is not None
    assert heard.provenance.model.endswith("q8_0.bin")


def test_positional_settings_are_as_documented(program: Path, models: Path) -> None:
    binding = WhisperCppSTTBinding(models / "ggml-tiny.en.bin", program, None, models, "en", 3)
    told = {row["name"]: row["value"] for row in binding.get_settings()}
    assert (told["whispercpp_exe_path"], told["default_language"], told["n_threads"]) == (str(program), "en", 3)


def test_import_and_listing_load_nothing(models: Path) -> None:
    program = (
        "import sys, lollms_whispercpp\n"
        f"whisper = lollms_whispercpp.WhisperCppSTTBinding(models_search_path={str(models)!r})\n"
        "assert whisper.capabilities.timestamps == ('segment', 'word')\n"
        "assert len(whisper.list_models()) == 3\n"
        "whisper.get_settings(), whisper.describe()\n"
        "heavy = {'av', 'numpy', 'soundfile'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
