"""Debian's sshd on loopback for tests: with a key made for it, in a folder of its own, and ``ssh`` set up to reach it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def program(name: str, package: str) -> str:
    """The path of a program of OpenSSH's."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.fail(f"These tests need {name}: run sudo apt-get install {package}, or nox -s tests as root.")
    return found


class Sshd:
    """A machine that is reached over ssh, which is this one with other variables and another home.

    Attributes:
        address: as ``place=`` takes it.
        port: on which it listens.
        home: the folder in which its shells begin.
        bin: a folder with an ``ssh`` that knows the key and the host, for the front of ``PATH``.
        log: what it has said.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str], lines: tuple[str, ...], host: str) -> None:
        self._folder, self._lines, self._process = folder, lines, None
        self._host = host
        self.home, self.bin, self.log = folder / "home", folder / "bin", folder / "log"
        for made in (self.home, self.bin):
            made.mkdir(parents=True)
        for key in ("host", "user"):
            subprocess.run(
                [program("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", folder / key],
                check=True,
            )
        # Where Debian's bash looks for what it does before each command, nothing of this machine's is.
        (self.home / ".bashrc").write_text("")
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        self.variables = {"PATH": path, "HOME": str(self.home), "XDG_DATA_HOME": str(folder / "data"), **variables}
        with socket.create_server((host, 0)) as found:
            self.port: int = found.getsockname()[1]
        self.address = f"ssh://{host}:{self.port}"
        self.known = folder / "known"
        self.known.write_text(f"[{host}]:{self.port} {(folder / 'host.pub').read_text()}")
        self.config = folder / "config"
        self.config.write_text(
            f"Host *\n IdentityFile {folder / 'user'}\n IdentitiesOnly yes\n IdentityAgent none\n"
            f" UserKnownHostsFile {self.known}\n GlobalKnownHostsFile /dev/null\n"
            # What a user may have configured for terminals, and workers are to be safe from.
            " ForwardAgent yes\n ControlMaster auto\n ControlPath ~/.ssh/%C\n RequestTTY force\n RemoteCommand htop\n"
        )
        ssh = self.bin / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {program("ssh", "openssh-client")} -F {self.config} "$@"\n')
        ssh.chmod(0o755)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        told = " ".join(f'"{name}={value}"' for name, value in self.variables.items())
        config = self._folder / "sshd_config"
        config.write_text(
            "\n".join(
                [
                    *self._lines,
                    f"Port {self.port}", f"ListenAddress {self._host}", f"HostKey {self._folder / 'host'}",
                    f"AuthorizedKeysFile {self._folder / 'user.pub'}", f"SetEnv {told}", "PidFile none", "UsePAM no",
                    "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
                    "PermitRootLogin yes", "PermitUserRC no", "MaxStartups 100", "",
                ]
            )
        )  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("sshd", "openssh-server"), "-D", "-e", "-f", config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 30
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection((self._host, self.port)):
                return
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "sshd does not listen"
            time.sleep(0.01)

    def bare(self, wanted: bool = True) -> None:
        """Let its shells find a Python that has nothing of ours; or as before."""
        made = self._folder / "bare"
        if wanted and not made.exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
        (self.home / ".bashrc").write_text(f"unset PYTHONPATH; PATH={made}/bin\n" if wanted else "")

    @property
    def sessions(self) -> list[psutil.Process]:
        """The processes of sshd's own that serve connections, and none of what runs in these."""
        assert self._process is not None
        found = psutil.Process(self._process.pid).children(recursive=True)
        return [process for process in found if _name(process).startswith("sshd")]

    def inside(self, *, of: str = "") -> list[psutil.Process]:
        """What runs there, beneath sshd: of that name, where one is given. Those that have left it are not seen."""
        assert self._process is not None
        found = psutil.Process(self._process.pid).children(recursive=True)
        return [p for p in found if not _name(p).startswith("sshd") and of in " ".join(_words(p))]

    def stop(self) -> None:
        """End it at once, and its connections with it."""
        if self._process is None:
            return
        for process in [*self.sessions, psutil.Process(self._process.pid)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None


def _name(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):
        return list(process.cmdline())
    return []


@contextmanager
def sshd(
    folder: Path, variables: Mapping[str, str] | None = None, *lines: str, host: str = "127.0.0.1"
) -> Iterator[Sshd]:
    """A running one, which ends with the block. ``lines`` are of its configuration, and go before others.

    ``host`` is the address at which it listens.
    """
    server = Sshd(folder, variables or {}, lines, host)
    try:
        server.start()
        yield server
    finally:
        server.stop()
