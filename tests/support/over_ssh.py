"""Run a command with an sshd beside it: ``python over_ssh.py pytest --lollms-place={address} ...``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sshd import sshd

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, sshd(Path(folder) / "sshd") as server:
        path = f"{server.bin}{os.pathsep}{os.environ['PATH']}"
        words = [word.replace("{address}", server.address) for word in sys.argv[1:]]
        sys.exit(subprocess.run([sys.executable, "-m", *words], env={**os.environ, "PATH": path}).returncode)
