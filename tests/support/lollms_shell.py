"""``lollms`` as a shell runs it: whole processes in an empty folder, with nothing configured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from warm_lollms import WarmCommand

LIMIT = 120
PLAIN = ["--opt", "noise_scale=0", "--opt", "noise_w_scale=0"]
COMMAND = [sys.executable, "-m", "lollms_client"]


@cache
def _warm() -> WarmCommand:
    with tempfile.TemporaryDirectory() as folder:
        return WarmCommand(Shell(Path(folder)).env)


class Shell:
    """Runs ``lollms`` in an empty folder, with nothing configured but what a test configures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LOLLMS_", "XDG_", "COV"))}
        self.env = {
            **kept,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "LOLLMS_TTS_BINDING": "piper",
            "LOLLMS_STT_BINDING": "faster_whisper",
            "LOLLMS_PLUGINS_MARKS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "PYTHONWARNINGS": "error::ResourceWarning",
        }
        self._first = dict(self.env)

    def __call__(self, *words: str, code: int | None = 0, stdin: bytes = b"", **env: str) -> Any:
        """Run it; ``stdout`` is bytes, ``stderr`` text."""
        given = {**self.env, **env}
        changed = {name: value for name, value in given.items() if self._first.get(name) != value}
        if WarmCommand.runs(list(words), changed):
            return self._told(_warm().run(list(words), stdin, self.folder, given, LIMIT), code)
        done = subprocess.run(
            [*COMMAND, *words], input=stdin, capture_output=True, cwd=self.folder, env=given, timeout=LIMIT
        )
        return self._told(done, code)

    def line(self, line: str, code: int | None = 0, **env: str) -> Any:
        """Run a line of bash, in which ``lollms`` is the command."""
        script = f'lollms() {{ {" ".join(COMMAND)} "$@"; }}\n{line}'
        done = subprocess.run(
            ["bash", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, cwd=self.folder,
            env={**self.env, **env}, timeout=LIMIT,
        )  # fmt: skip
        return self._told(done, code)

    def _told(self, done: Any, code: int | None) -> Any:
        done.stderr = done.stderr.decode()
        assert code in (None, done.returncode), f"{done.returncode}\n{done.stdout!r}\n{done.stderr}"
        assert "Traceback" not in done.stderr or "--debug" in done.args
        assert "This should not happen" not in done.stderr
        return done

    def start(self, *words: str, stdin: bytes | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own."""
        process = subprocess.Popen(
            [*COMMAND, *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.folder, env=self.env, start_new_session=True, preexec_fn=_hears_ctrl_c,
            **{"stdout": subprocess.PIPE, **options},
        )  # fmt: skip
        if stdin is not None:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
        return process

    @property
    def files(self) -> list[str]:
        """What lies in the folder."""
        return sorted(os.listdir(self.folder))


def _hears_ctrl_c() -> None:
    """As at a terminal: what is started in the background inherits that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_until(ready: Callable[[], bool], limit: float = 60) -> None:
    """Wait for a condition."""
    until = time.monotonic() + limit
    while not ready():
        assert time.monotonic() < until, "it did not come that far"
        time.sleep(0.02)
