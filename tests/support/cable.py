"""A cable between a browser and a server that a test can pull out, and put back in, in the middle of an answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cable:
    """What is sent to `address` reaches the server's port while it is whole."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._whole = True
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self) -> None:
        """End what goes through it, and let nothing through any more."""
        with self._lock:
            self._whole = False
            ends, self._ends = self._ends, set()
        for end in ends:
            _shut(end)

    def mend(self) -> None:
        """Let through what comes from now on."""
        self._whole = True

    def close(self) -> None:
        """End it."""
        self.cut()
        _shut(self._listening)

    def run(self) -> None:
        """Take connections until it is closed."""
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = None
            with contextlib.suppress(OSError):
                far = socket.create_connection(("127.0.0.1", self.port))
            with self._lock:
                if far is None or not self._whole:
                    for end in (near, far):
                        if end is not None:
                            _shut(end)
                    continue
                self._ends |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := one.recv(65536):
                other.sendall(part)
        with self._lock:
            self._ends -= {one, other}
        _shut(one)
        _shut(other)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def cable(port: int) -> Iterator[Cable]:
    """A cable to a port of this machine."""
    made = Cable(port)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(30)
