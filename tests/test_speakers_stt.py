"""Who says what, with real engines and real voices: in place, isolated, in streams, at the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webvtt
from conversation import RATE, Conversation, conversation, utterance
from lollms_modalities import Audio, CallTimeout, LollmsSTTBindingManager

VOICES = ("joe", "heart", "heart-15")


@pytest.fixture(scope="module")
def talk() -> Conversation:
    return conversation(VOICES, 16)


@pytest.fixture(scope="module")
def recording(talk: Conversation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Audio.from_samples(talk.samples, RATE).save(tmp_path_factory.mktemp("talk") / "talk.mp3")


@pytest.fixture(scope="module", params=[False, True], ids=["in place", "isolated"])
def whisper(request: pytest.FixtureRequest) -> Iterator[Any]:
    with LollmsSTTBindingManager().require_binding("faster_whisper", isolated=request.param, n_threads=1) as binding:
        yield binding


def spoken_by(talk: Conversation, start: float, end: float) -> str:
    """The voice that speaks longest in that time."""
    return max(talk.turns, key=lambda turn: min(end, turn.end) - max(start, turn.start)).speaker


def test_every_word_is_its_speakers(whisper: Any, talk: Conversation, recording: Path) -> None:
    heard = whisper.transcribe_audio(recording, diarize=True, timestamps="word")
    names = {"speaker_1": talk.turns[0].speaker}
    for word in heard.words:
        names.setdefault(word.speaker, spoken_by(talk, word.start, word.end))
    assert sorted(names) == ["speaker_1", "speaker_2", "speaker_3"]
    assert sorted(names.values()) == sorted(VOICES)
    wrong = [word for word in heard.words if spoken_by(talk, word.start, word.end) != names[word.speaker]]
    assert len(wrong) <= 0.05 * len(heard.words)
    assert all(word.speaker == segment.speaker for segment in heard.segments for word in segment.words)
    assert [names[segment.speaker] for segment in heard.segments] == [turn.speaker for turn in talk.turns]
    assert heard.provenance.extra["speakers"]["by"] == "lollms-speakers"
    assert heard.provenance.extra["speakers"]["cut_at"] == "words"


def test_a_stream_tells_the_same(whisper: Any, recording: Path) -> None:
    whole = whisper.transcribe_audio(recording, diarize=True, batch_size=1)
    stream = whisper.stream_transcript(recording, diarize=True)
    assert [(s.speaker, s.text) for s in stream] == [(s.speaker, s.text) for s in whole.segments]


def test_names_in_subtitles(whisper: Any, talk: Conversation, recording: Path, tmp_path: Path) -> None:
    known = {name: Audio.from_samples(utterance(name, 25), RATE) for name in ("joe", "heart")}
    heard = whisper.transcribe_audio(recording, diarize=True, num_speakers=3, known_speakers=known)
    names = ["speaker_1" if turn.speaker == "heart-15" else turn.speaker for turn in talk.turns]
    assert [segment.speaker for segment in heard.segments] == names
    cues = webvtt.read(heard.save(tmp_path / "talk.vtt"))
    assert list(dict.fromkeys(cue.voice for cue in cues)) == list(dict.fromkeys(names))


def test_a_time_limit_that_comes_while_speakers_are_told_apart(whisper: Any, recording: Path) -> None:
    """The clock is the call's, so that it ends with whoever works last."""
    seen = []

    def sink(progress: Any) -> None:
        seen.append(progress.stage)
        if progress.stage == "speakers":
            raise TimeoutError("enough")

    with pytest.raises(TimeoutError, match="enough"):
        whisper.transcribe_audio(recording, diarize=True, progress=sink)
    assert seen.count("speakers") == 1
    with pytest.raises(CallTimeout):
        whisper.transcribe_audio(recording, diarize=True, timeout=0.001)
    assert whisper.transcribe_audio(recording).segments[0].speaker is None


def test_the_command_line(talk: Conversation, recording: Path, tmp_path: Path) -> None:
    joe = Audio.from_samples(utterance("joe", 25), RATE).save(tmp_path / "joe.wav")

    def lollms(*words: str) -> str:
        base = [sys.executable, "-m", "lollms_client", "transcribe", "-b", "faster_whisper", "-s", "n_threads=1"]
        command = [*base, str(recording), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    names = ["Joe" if turn.speaker == "joe" else turn.speaker for turn in talk.turns]
    lines = lollms("--speakers", "3", "--known", f"Joe={joe}").splitlines()
    assert ["Joe" if line.startswith("Joe: ") else "" for line in lines] == [n if n == "Joe" else "" for n in names]
    assert lollms("--diarize", "-f", "srt").count("[speaker_3] ") == sum(
        turn.speaker == _third(talk) for turn in talk.turns
    )


def _third(talk: Conversation) -> str:
    return list(dict.fromkeys(turn.speaker for turn in talk.turns))[2]
