"""A process that was forked from one which has the model loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from lollms_faster_whisper import FasterWhisperSTTBinding
from lollms_modalities import Audio, UnsupportedError
sound = Audio.from_pcm(bytes(32000), 16000)
whisper = FasterWhisperSTTBinding(local_files_only=True)
whisper.transcribe_audio(sound, vad_filter=False)
child = os.fork()
if not child:
    for ask in (whisper.load, lambda: whisper.transcribe_audio(sound, timeout=5)):
        try:
            ask()
        except UnsupportedError as exc:
            assert "forked" in str(exc)
        else:
            os._exit(1)
    whisper.close()
    own = FasterWhisperSTTBinding(local_files_only=True)
    own.transcribe_audio(sound, vad_filter=False)
    own.close()
    del whisper, own
    raise SystemExit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
whisper.transcribe_audio(sound, vad_filter=False)
whisper.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_is_told_and_makes_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr
