"""Nothing is lost: names are reserved and numbered, targets are looked at before work, what is done stays."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lollms_shell import Shell, wait_until


@pytest.fixture
def lollms(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.env |= {"LOLLMS_TTS_BINDING": "example", "LOLLMS_STT_BINDING": "example"}
    return shell


def test_recordings_of_one_name_keep_their_transcripts(lollms: Shell) -> None:
    for folder in ("a", "b"):
        lollms("speak", "hi", "-d", folder, "-f", "flac")
    done = lollms("transcribe", "a/speech.flac", "b/speech.flac", "-o", "out/")
    assert done.stdout.decode().split() == ["out/speech.txt", "out/speech-2.txt"]
    # So does what an earlier run has made.
    assert lollms("transcribe", "a", "-d", "out", "-f", "srt").stdout == b"out/speech.srt\n"
    assert lollms("transcribe", "a", "-d", "out").stdout == b"out/speech-3.txt\n"
    assert len(list((lollms.folder / "out").iterdir())) == 4


def test_folders_are_walked(lollms: Shell) -> None:
    lollms("speak", "hi", "-o", "../rec.wav")
    for name in ("b/z.wav", "b/a/x.MP3", "b/.hidden/y.wav", "b/c.txt", "b/.d.wav"):
        (lollms.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(lollms.folder / "../rec.wav", lollms.folder / name)
    told = json.loads(lollms("transcribe", "b", "--json").stdout)
    assert [one["file"] for one in told] == ["b/z.wav", "b/a/x.MP3"]


def test_two_programs_at_once_have_two_names(lollms: Shell) -> None:
    running = [lollms.start("speak", "hi", "--opt", "speed=1") for _ in range(4)]
    names = sorted(process.communicate(timeout=120)[0].decode().strip() for process in running)
    assert names == ["speech-2.wav", "speech-3.wav", "speech-4.wav", "speech.wav"]
    assert lollms.files == names
    assert len({(lollms.folder / name).read_bytes() for name in names}) == 1


def test_an_array_always_with_an_error_for_what_failed(lollms: Shell) -> None:
    lollms("speak", "hi", "-o", "a.wav")
    (one,) = json.loads(lollms("transcribe", "a.wav", "-f", "json").stdout)
    assert one["file"] == "a.wav"
    done = lollms("transcribe", "none.wav", "--json", code=1)
    (one,) = json.loads(done.stdout)
    assert set(one["error"]) == {"type", "message", "hint"}
    assert "There is no audio file 'none.wav'" in done.stderr
    told = json.loads(lollms("transcribe", "none.wav", "a.wav", "no.wav", "--json", code=1).stdout)
    assert [("error" in one) for one in told] == [True, False, True]


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, *(pytest.param(n, marks=pytest.mark.full) for n in (signal.SIGINT, signal.SIGTERM))]
)
def test_ctrl_c_keeps_what_was_done(lollms: Shell, number: int) -> None:
    lollms("speak", "hi " * 5000, "-o", "a.wav")
    process = lollms.start("transcribe", *["a.wav"] * 3000, "--json")
    assert process.stdout is not None
    begun = os.read(process.stdout.fileno(), 20)  # so that nothing waits in a buffer of ours
    process.send_signal(number)
    rest, told = process.communicate(timeout=60)
    assert (process.returncode, told.decode().strip()) == (130, "Cancelled.")
    done = json.loads(begun + rest)
    assert 1 <= len(done) < 3000
    assert all("text" in one for one in done[:-1])


def test_a_transcript_that_cannot_be_saved_is_printed(lollms: Shell) -> None:
    lollms("speak", "hi", "-o", "a.wav")
    heard = lollms("transcribe", "a.wav").stdout
    (lollms.folder / "full.txt").symlink_to("/dev/full")
    done = lollms("transcribe", "a.wav", "-o", "full.txt", code=1)
    assert done.stdout == heard
    assert "'full.txt' cannot be written: No space left on device" in done.stderr


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, *(pytest.param(n, marks=pytest.mark.full) for n in (signal.SIGINT, signal.SIGTERM))]
)
def test_a_signal_at_any_moment_is_told_in_a_word_and_leaves_nothing(lollms: Shell, number: int) -> None:
    """From when our code begins to when it ends: at each of many points."""
    for n in range(12):
        process = lollms.start("speak", "-d", "out", stdin=b"One. " * 3000)
        wait_until(functools.partial(_hears, process))
        time.sleep(0.06 * n)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        if process.returncode in (0, -number) and not told:  # it was quicker; while it ends, Python hears no signal
            continue
        assert (process.returncode, told.decode()) == (130, "Cancelled.\n"), f"after {0.06 * n:.2f} s"
    whole = [p for p in lollms.folder.rglob("*") if p.is_file()]
    assert all(p.suffix == ".wav" and p.stat().st_size > 44 for p in whole), whole


_INTERRUPTED = """
import os, signal, sys, time
from lollms_client.cli import signals

class Ended:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)  # here the interrupt is raised, and here Python drops it

def tears_down():
    file = open(__file__, "rb")  # noqa: SIM115
    os.kill(os.getpid(), signal.SIGTERM)
    file.read()

signals.interrupt()
try:
    if sys.argv[1] == "finaliser":
        Ended()
    else:
        tears_down()
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(42)
"""


@pytest.mark.parametrize("where", ["finaliser", "half a reading"])
def test_a_signal_is_neither_lost_nor_told_of_by_what_it_tears_down(lollms: Shell, where: str) -> None:
    script = lollms.folder / "script.py"
    script.write_text(_INTERRUPTED)
    done = subprocess.run([sys.executable, script, where], capture_output=True, env=lollms.env, timeout=30)
    assert (done.returncode, done.stderr) == (42, b"")


def _hears(process: subprocess.Popen[bytes]) -> bool:
    """Whether our code has begun: Python itself catches no hangup."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGHUP - 1)) or process.poll() is not None


def test_nohup_is_nohup(lollms: Shell) -> None:
    done = lollms.line("trap '' HUP; lollms speak 'hi' & pid=$!; sleep 0.4; kill -HUP $pid; wait $pid")
    assert done.stdout == b"speech.wav\n"
