"""A PostgreSQL of Debian's for tests, in a folder of its own: reached through a Unix socket, which nobody else can have
taken when it is started again, or over TCP on loopback with a password."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
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
        who: as which user it runs, as arguments of ``subprocess.run``.
    """

    def __init__(self, folder: Path, bins: Path, who: dict[str, Any], password: str) -> None:
        self._folder, self._bins, self.who = folder, bins, who
        self._options = f"-c unix_socket_directories={folder} -c fsync=off"
        self._password = password
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        if password:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            self.url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            self._options += f" -c port={port}"
        self._options += f" -c listen_addresses={'127.0.0.1' if password else ''}"

    def make(self) -> None:
        """Make its folder of data."""
        words = ["-D", str(self._folder / "data"), "-U", "postgres", "--no-sync", "-E", "UTF8"]
        if not self._password:
            self.run("initdb", *words, "-A", "trust")
            return
        secret = self._folder / "password"
        secret.write_text(self._password)
        secret.chmod(0o644)  # the folder is its user's alone
        self.run("initdb", *words, "-A", "scram-sha-256", "--pwfile", str(secret))

    def run(self, program: str, *words: str) -> None:
        """Run one of its programs, as the user whose it is: it refuses to be root's."""
        with (self._folder / "log").open("ab") as log:
            subprocess.run(
                [self._bins / program, *words], check=True, cwd=self._folder, stdout=log, stderr=log, **self.who
            )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.run("pg_ctl", "-w", "-D", str(self._folder / "data"), "-l", "server.log", "-o", self._options, "start")

    def stop(self) -> None:
        """End it at once, with all connections."""
        self.run("pg_ctl", "-w", "-D", str(self._folder / "data"), "-m", "immediate", "stop")


@contextmanager
def postgres(password: str = "") -> Iterator[Postgres]:
    """A running one, which ends with the block; over TCP where it has a password."""
    bins = programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    who: dict[str, Any] = {}
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    server = Postgres(folder, bins, who, password)
    started = False
    try:
        server.make()
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
