"""A PostgreSQL of Debian's for tests, in a folder of its own, reached through a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PROGRAMS = Path("/usr/lib/postgresql")


def programs() -> Path:
    """The folder of its programs, installed if need be."""
    if not sorted(_PROGRAMS.glob("*/bin/initdb")):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"], check=True, env=environment
        )
    return sorted(_PROGRAMS.glob("*/bin/initdb"))[-1].parent


class Postgres:
    """One of them.

    Attributes:
        url: of its database, as SQLAlchemy takes it.
    """

    def __init__(self, folder: Path, bins: Path, who: dict[str, Any]) -> None:
        self._folder, self._bins, self._who = folder, bins, who
        self.url = f"postgresql://postgres@/postgres?host={folder}"

    def run(self, program: str, *words: str) -> None:
        """Run one of its programs, as the user whose it is: it refuses to be root's."""
        with (self._folder / "log").open("ab") as log:
            subprocess.run(
                [self._bins / program, *words], check=True, cwd=self._folder, stdout=log, stderr=log, **self._who
            )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync=off"
        self.run("pg_ctl", "-w", "-D", str(self._folder / "data"), "-l", "server.log", "-o", options, "start")

    def stop(self) -> None:
        """End it at once, with all connections."""
        self.run("pg_ctl", "-w", "-D", str(self._folder / "data"), "-m", "immediate", "stop")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running one, which ends with the block."""
    bins = programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    who: dict[str, Any] = {}
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    server = Postgres(folder, bins, who)
    started = False
    try:
        server.run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        server.start()
        started = True
        yield server
    finally:
        if started:
            subprocess.run(
                [bins / "pg_ctl", "-w", "-D", str(folder / "data"), "-m", "immediate", "stop"],
                check=False, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who,
            )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
