"""Several hosts on one machine: network namespaces at one switch, whose cables a test can pull out.

    with network("here", "there") as (here, there):
        server = there.start([sys.executable, "-m", "http.server", "--bind", there.address])
        with here.entered():
            urlopen(f"http://{there.address}:8000")
        there.cut("cable")

They share files, processes and the clock. Needs root and iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

Cut = Literal["cable", "device", "silent", "deaf"]
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_SWITCH = "switch"
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


class Host:
    """One of them.

    Attributes:
        name: of its namespace.
        address: its IP address, which the others reach; 127.0.0.1 is its own.
        port: of the switch, at which its cable ends.
    """

    def __init__(self, name: str, address: str, switch: str, port: str) -> None:
        self.name, self.address, self.port = name, address, port
        self._cuts = _ways(name, switch, port)
        self._cut = self._cuts["cable"]
        self._file = Path("/run/netns") / name
        self._started: list[subprocess.Popen[Any]] = []

    def command(self, words: Sequence[Any]) -> list[str]:
        """The words of a command that runs these there. The process is the command's own: its number, its end."""
        return [_program("ip"), "netns", "exec", self.name, *map(str, words)]

    def start(self, words: Sequence[Any], **options: Any) -> subprocess.Popen[Any]:
        """Start a program there; options are those of ``subprocess.Popen``. It ends with the network."""
        self._started.append(subprocess.Popen(self.command(words), **options))
        return self._started[-1]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within it, sockets of this thread are of this host, and those of threads and processes that it starts."""
        with Path("/proc/thread-self/ns/net").open("rb") as before:
            with self._file.open("rb") as there:
                _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(before.fileno())

    @property
    def processes(self) -> list[psutil.Process]:
        """What runs there, threads that have entered not counted."""
        there, found = self._file.stat().st_ino, []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{process.pid}/ns/net").st_ino == there:
                    found.append(process)
        return found

    def cut(self, how: Cut) -> None:
        """Part it from the others, until ``mend``. No connection is told: what is sent does not arrive.

        Args:
            how: "cable" pulls its cable out at the switch, and "device" takes its card down, which its own system sees;
                with "silent" nobody sees anything; "deaf" is as that, but what it says does arrive.
        """
        self._cut = self._cuts[how]
        _run(*self._cut[0])

    def mend(self) -> None:
        """Take that back."""
        _run(*self._cut[1])

    def end(self) -> None:
        """End what runs there, and the namespace."""
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        for started in self._started:
            started.wait()
        _run("ip", "netns", "del", self.name)


@contextmanager
def network(*names: str) -> Iterator[list[Host]]:
    """Hosts that reach each other and nothing else; all that runs there ends with the block."""
    if os.getuid() != 0:
        pytest.fail("Tests of several hosts make network namespaces, which needs root.")
    of = f"{os.getpid()}-{next(_numbers)}"
    switch = f"{_SWITCH}-{of}"
    with contextlib.ExitStack() as ending:
        _run("ip", "netns", "add", switch)
        ending.callback(_run, "ip", "netns", "del", switch)
        _run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "bridge", "up")
        hosts = []
        for number, name in enumerate(names, 1):
            host = Host(f"{name}-{of}", f"10.77.0.{number}", switch, f"port{number}")
            _run("ip", "netns", "add", host.name)
            ending.callback(host.end)
            peer = ("type", "veth", "peer", "name", host.port, "netns", switch)
            _run("ip", "-n", host.name, "link", "add", "eth0", *peer)
            _run("ip", "-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _run("ip", "-n", host.name, "link", "set", device, "up")
            _run("ip", "-n", switch, "link", "set", host.port, "master", "bridge", "up")
            hosts.append(host)
        yield hosts


def _ways(name: str, switch: str, port: str) -> dict[Cut, tuple[Sequence[str], Sequence[str]]]:
    """The commands that part a host from the others, and those that take it back."""
    cable = ("ip", "-n", switch, "link", "set", port)
    device = ("ip", "-n", name, "link", "set", "eth0")
    state = ("bridge", "-n", switch, "link", "set", "dev", port, "state")
    queue, lost = ("tc", "-n", switch, "qdisc"), ("dev", port, "root", "blackhole")
    return {
        "cable": ((*cable, "down"), (*cable, "up")),
        "device": ((*device, "down"), (*device, "up")),
        "silent": ((*state, "0"), (*state, "3")),  # disabled, and forwarding
        "deaf": ((*queue, "add", *lost), (*queue, "del", *lost)),  # what the switch would send to it
    }


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.fail(f"Tests of several hosts need {name}: run sudo apt-get install iproute2, or nox -s full as root.")
    return found


def _run(name: str, *words: str) -> None:
    done = subprocess.run([_program(name), *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{name} {' '.join(words)}: {done.stderr}"


def _set_namespace(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
