"""A worker that is reached over TCP: ``python -m lollms_modalities.workers.listening FD``.

FD is a descriptor that it inherits from whoever starts it, a connected socket over which it is told who it is (a line
of JSON: ``address`` to listen at, its own ``certificate`` and ``key``, the host's certificate as ``other``, ``limit``
in seconds) and over which it answers where it listens (a line: ``port``). The first who proves to be the host is
served; nobody else is listened to any longer. Inside TLS this side greets with the version of its ``core``, and is told
``variables`` of the environment, and as ``pulse`` a number that the host has said at the beginning of a second
connection, which then is the one of its pulse.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lollms_modalities.version import __version__
from lollms_modalities.workers.tls import Identity, TlsLink, secure

LONGEST_LINE = 1 << 20
_STRANGERS = 16  # connections that may be under examination at once
_PATIENCE = 10.0  # seconds for one of them
PULSE = b"lollms-pulse "
"""With this begins the connection of the pulse; the number follows. No TLS begins so."""
NUMBER = 16
"""Bytes of it."""


def read_line(receive: Any) -> dict[str, Any]:
    """A line of JSON, byte by byte: what follows is another's. Raises ``ConnectionError``."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = receive(1)
        if not byte or len(line) >= LONGEST_LINE:
            raise ConnectionError("It ended before it was told all." if not byte else "It is told too much.")
        line += byte
    told = json.loads(line)
    if not isinstance(told, dict):
        raise ConnectionError("It is told no JSON object.")
    return told


def line_of(told: dict[str, Any]) -> bytes:
    """What ``read_line`` reads."""
    return json.dumps(told).encode() + b"\n"


class _Door:
    """Lets in the one who proves to be the host."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._own = Identity(told["certificate"], told["key"])
        self._other = str(told["other"])
        self._limit = float(told["limit"])
        address = str(told["address"])
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._entered: list[tuple[TlsLink, dict[str, Any]]] = []
        self._hearts: dict[bytes, socket.socket] = {}  # by what they have said
        self._over = threading.Event()
        self._bell, self._ring = socket.socketpair()
        self._strangers = threading.Semaphore(_STRANGERS)

    def open(self, starter: socket.socket) -> tuple[TlsLink, dict[str, Any], socket.socket | None]:
        """The connection, what was told over it, and the one of the pulse if the host has opened one.

        Raises:
            ConnectionError: nobody came.
        """
        until = time.monotonic() + self._limit
        with self._listener, self._bell, self._ring:
            while not self._entered or self._awaits_heart():
                wait = until - time.monotonic()
                ready = select.select([self._listener, self._bell, starter], [], [], max(0.0, wait))[0]
                if starter in ready:
                    raise ConnectionError("Whoever started this worker is gone.")
                if wait <= 0:
                    raise ConnectionError("The host has not come.")
                if self._bell in ready:
                    self._bell.recv(1)
                if self._listener in ready:
                    came = self._listener.accept()[0]
                    if self._strangers.acquire(blocking=False):
                        threading.Thread(target=self._examine, args=(came,), daemon=True).start()
                    else:
                        came.close()
            link, told = self._entered[0]
            heart = self._hearts.pop(_number(told), None)
            self._over.set()
            return link, told, heart

    def _awaits_heart(self) -> bool:
        number = _number(self._entered[0][1])
        return number != b"" and number not in self._hearts

    def _examine(self, came: socket.socket) -> None:
        try:
            came.settimeout(_PATIENCE)
            if came.recv(1, socket.MSG_PEEK) == PULSE[:1]:
                self._keep(came)
                return
            link = secure(came, self._own, self._other, server=True, limit=_PATIENCE)
            came.settimeout(_PATIENCE)
            link.sendmsg([line_of({"core": __version__, "pulse": True})])
            told = read_line(link.recv)
            came.settimeout(None)
            self._entered.append((link, told))
            self._knock()
        except (OSError, ValueError):
            came.close()  # whoever it was
        finally:
            self._strangers.release()

    def _knock(self) -> None:
        """Wake who waits in ``open``, who may have seen by himself who is there, and have closed the bell by now."""
        with contextlib.suppress(OSError):
            self._ring.send(b"x")

    def _keep(self, came: socket.socket) -> None:
        """Somebody who says to be the pulse waits until the host says so, too."""
        said = came.recv(len(PULSE) + NUMBER, socket.MSG_WAITALL)
        number = said[len(PULSE) :]
        if not said.startswith(PULSE) or len(number) < NUMBER or number in self._hearts:
            raise ConnectionError
        self._hearts[number] = came
        self._knock()
        self._over.wait(_PATIENCE)
        if self._hearts.pop(number, None) is not None:
            came.close()


def _number(told: dict[str, Any]) -> bytes:
    """Which connection is the one of the pulse; none where the host has opened none."""
    return bytes.fromhex(str(told.get("pulse", "")))


def main() -> None:
    """Wait for the host, then be its worker."""
    starter = socket.socket(fileno=int(sys.argv[1]))
    starter.set_inheritable(False)
    told = read_line(starter.recv)
    try:
        door = _Door(told)
    except OSError as exc:
        sys.exit(f"It cannot listen at {told['address']!r}: {exc.strerror or exc}.")
    starter.sendall(line_of({"port": door.port}))
    try:
        link, said, heart = door.open(starter)
    except ConnectionError as exc:
        sys.exit(str(exc))
    starter.close()
    os.environ.update(said.get("variables", {}))
    _watch(link, heart)
    from lollms_modalities.workers import worker

    worker.serve(link)


def _watch(link: TlsLink, heart: socket.socket | None) -> None:
    """Have our end of the connection watched, and the pulse answered. Our end of the pipe closes with this process."""
    reading, _ours = os.pipe()
    program = str(Path(__file__).with_name("link_watcher.py"))
    passed = [link.fileno(), *([] if heart is None else [heart.fileno()])]
    with contextlib.closing(os.fdopen(reading, "rb")) as pipe:
        subprocess.Popen(
            [sys.executable, "-I", "-S", program, str(passed[0]), str(os.getpgrp()), str([*passed, -1][1])],
            stdin=pipe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=passed, start_new_session=True,
        )  # fmt: skip
    if heart is not None:
        heart.close()


if __name__ == "__main__":
    main()
