"""What takes long: an hour, thirty voices, conversations of voices that only `nox -s full` has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conversation import KOKORO, RATE, Conversation, conversation, noisy, telephone
from diarization import diarization_errors
from lollms_modalities import Audio, Turn
from lollms_speakers import SpeakerDiarizer
from memory import SUPPORT

THREE = ("joe", "heart", "jm_kumo")
MEN = ("joe", "jm_kumo")

PROGRAM = f"""
import json, resource, sys
from pathlib import Path
sys.path.append({SUPPORT!r})
from memory import peak
from lollms_modalities import Audio
from lollms_speakers import SpeakerDiarizer
turns = SpeakerDiarizer().diarize(Audio(path=Path(sys.argv[1])), num_speakers=None, known={{}})
seconds = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
print(json.dumps([peak(), seconds, turns]))
"""


@pytest.mark.full
def test_an_hour(tmp_path: Path) -> None:
    whole = conversation(("joe", "heart", "heart-15"), 3600)
    file = Audio.from_samples(whole.samples, RATE).save(tmp_path / "hour.wav")
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(file)], capture_output=True, text=True, check=True)
    memory, seconds, turns = json.loads(done.stdout)
    found = [Turn(*turn) for turn in turns]
    assert {turn.speaker for turn in found} == {"speaker_1", "speaker_2", "speaker_3"}
    for start in (0.0, whole.seconds - 300):  # the first and the last minutes
        spoken, heard = ([t for t in turns if start <= t.start <= start + 240] for turns in (whole.turns, found))
        assert diarization_errors(spoken, heard).rate < 0.05
    assert memory < 1.5e9  # the sound alone is 0.2 GB as it is heard
    assert seconds < 0.1 * whole.seconds


def heard(talk: Conversation, rate: int = RATE, count: int | None = None) -> tuple[Turn, ...]:
    return SpeakerDiarizer().diarize(Audio.from_samples(talk.samples, rate), num_speakers=count, known={})


@pytest.mark.full
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_minutes_of_three_voices(seed: int) -> None:
    talk = conversation(THREE, 120, seed=seed)
    turns = heard(talk)
    assert diarization_errors(talk.turns, turns).rate < 0.05
    assert len({turn.speaker for turn in turns}) == 3


@pytest.mark.full
@pytest.mark.parametrize("voices", [MEN, ("joe", "joe+10"), THREE], ids="/".join)
def test_two_minutes_by_telephone(voices: tuple[str, ...]) -> None:
    talk = conversation(voices, 120)
    turns = heard(talk._replace(samples=telephone(talk.samples)), 8000)
    assert diarization_errors(talk.turns, turns).rate < 0.05
    assert len({turn.speaker for turn in turns}) == len(voices)


@pytest.mark.full
def test_a_telephone_in_noise() -> None:
    talk = conversation(MEN, 120)
    turns = heard(talk._replace(samples=telephone(noisy(talk.samples, 15))), 8000)
    assert diarization_errors(talk.turns, turns).rate < 0.1
    assert len({turn.speaker for turn in turns}) == 2


@pytest.mark.full
@pytest.mark.parametrize("voice", ["joe", "heart", *KOKORO])
def test_one_voice_whatever_it_is_heard_through(voice: str) -> None:
    talk = conversation((voice,), 120)
    ways = ((talk.samples, RATE), (telephone(talk.samples), 8000), (noisy(talk.samples, 10), RATE))
    for samples, rate in ways:
        assert len({turn.speaker for turn in heard(talk._replace(samples=samples), rate)}) == 1


@pytest.mark.full
def test_thirty_voices() -> None:
    """More than it can tell apart: most of what is said is somebody's, and each time the same."""
    higher = ("", "+12", "-12", "+24", "-24")
    voices = [name + how for name in ("joe", "heart", *KOKORO) for how in higher][:30]
    talk = conversation(voices, 600)
    turns = heard(talk)
    assert 8 <= len({turn.speaker for turn in turns}) <= 33
    assert len({turn.speaker for turn in heard(talk, count=30)}) == 30
    spoken = sum(turn.end - turn.start for turn in talk.turns)
    assert 0.9 * spoken < sum(turn.end - turn.start for turn in turns) < 1.1 * spoken


@pytest.mark.full
def test_two_at_once() -> None:
    """Of two who speak at the same time one is told; it makes no third of them."""
    one, other = (conversation((voice,), 60, seed=n) for n, voice in enumerate(MEN))
    length = min(len(one.samples), len(other.samples))
    alone = conversation(MEN, 60)
    both = one.samples[:length] + other.samples[:length]
    turns = heard(Conversation(np.concatenate([alone.samples, both[: 10 * RATE]]), alone.turns))
    assert diarization_errors(alone.turns, [t for t in turns if t.start < alone.seconds]).rate < 0.1
