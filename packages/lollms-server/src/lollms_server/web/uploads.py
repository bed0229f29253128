"""Files that callers send: on disk, for as long as their request lasts, under names of our own.

The folder is the owner's alone. What a server that was killed has left is removed by the next.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lollms_modalities import SaveError

from lollms_server.web.errors import NAMED

_PREFIX = "lollms-serve-"


class Uploads:
    """The folder of one server; what it makes in jobs lies in it, too, until it is done.

    Args:
        parent: where it is made; the system's folder for such where it is empty.
    """

    def __init__(self, parent: str = "") -> None:
        self._parent = Path(parent or tempfile.gettempdir())
        self._sweep()
        # Of mode 0700, by mkdtemp.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=self._parent))

    def _sweep(self) -> None:
        for folder in self._parent.glob(f"{_PREFIX}*-*"):
            pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
            with suppress(OSError, ValueError):
                # Another user's is not ours to remove, and a link leads elsewhere.
                if not folder.is_symlink() and folder.stat().st_uid == os.getuid() and not _alive(int(pid)):
                    shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Upload:
    """One file that was sent.

    Attributes:
        path: where it lies.
        size: bytes so far.
        filename: what the client calls it, which names nothing here.
    """

    def __init__(self, folder: Path, filename: str = "") -> None:
        self.path = folder / f"{NAMED}{secrets.token_hex(16)}"
        self.filename = filename
        self.size = 0
        self._file: BinaryIO | None = open(  # noqa: SIM115  # closed with the request
            os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0
        )

    def write(self, data: bytes | memoryview) -> None:
        """Add to the file.

        Raises:
            SaveError: the disk is full.
        """
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as exc:
            raise SaveError(f"The upload cannot be kept: {exc.strerror}.", hint="Ask again later.") from None
        self.size += len(data)

    def finish(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """The file is not needed any more."""
        self.finish()
        with suppress(FileNotFoundError):
            self.path.unlink()
