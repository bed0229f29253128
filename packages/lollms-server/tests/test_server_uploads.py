"""The folder of a server's uploads, and of what its jobs make: what one that was killed has left goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lollms_server.web.uploads import Uploads


def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    try:
        left, lives, foreign = (
            tmp_path / name
            for name in (f"lollms-serve-{gone.pid}-a", f"lollms-serve-{other.pid}-b", "lollms-serve-x-c")
        )
        for folder in (left, lives, foreign):
            (folder / "job").mkdir(parents=True)
            (folder / "job" / "speech.wav").write_bytes(b"private")
        link = tmp_path / f"lollms-serve-{gone.pid}-link"
        link.symlink_to(foreign)
        uploads = Uploads(str(tmp_path))
        assert not left.exists()
        assert (lives / "job" / "speech.wav").exists()
        assert (foreign / "job" / "speech.wav").exists()
        assert link.is_symlink()
        assert uploads.folder.stat().st_mode & 0o777 == 0o700
        assert uploads.folder.name.startswith(f"lollms-serve-{os.getpid()}-")
        uploads.close()
        assert not uploads.folder.exists()
    finally:
        other.communicate()
