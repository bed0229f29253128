"""An hour: what it takes, and whether the speakers stay themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conversation import RATE, Conversation, conversation
from diarization import diarization_errors
from lollms_modalities import Audio, Turn

PROGRAM = """
import json, resource, sys
from pathlib import Path
from lollms_modalities import Audio
from lollms_speakers import SpeakerDiarizer
turns = SpeakerDiarizer().diarize(Audio(path=Path(sys.argv[1])), num_speakers=3, known={})
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
seconds = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
print(json.dumps([memory, seconds, turns]))
"""


@pytest.mark.full
def test_an_hour(tmp_path: Path) -> None:
    part = conversation(("joe", "heart", "heart-15"), 120)
    times = 30
    whole = Conversation(
        np.tile(part.samples, times),
        [
            Turn(t.start + n * part.seconds, t.end + n * part.seconds, t.speaker)
            for n in range(times)
            for t in part.turns
        ],
    )
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
