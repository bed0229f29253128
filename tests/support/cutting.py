"""A proxy on loopback between two ends, whose connections are cut: closed, or kept open while nothing comes through."""

from __future__ import annotations

import contextlib
import socket
import threading

_TAKEN = 1 << 16


class Proxy:
    """Passes on what both ends of each connection say, until it is told to cut them.

    Attributes:
        seen: bytes that have passed.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._listening: dict[int, socket.socket] = {}  # by the port that is meant
        self._pairs: list[_Pair] = []

    def port_of(self, port: int) -> int:
        """The port to connect to instead of that one."""
        if port not in self._listening:
            self._listening[port] = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=self._accept, args=(port,), daemon=True).start()
        found: int = self._listening[port].getsockname()[1]
        return found

    def cut(self, *, silently: bool) -> None:
        """Of all connections: with ``silently`` what is sent is acknowledged, and goes nowhere. New ones are whole."""
        for pair in list(self._pairs):
            pair.cut(silently)

    def close(self) -> None:
        """End all."""
        for listening in self._listening.values():
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for pair in self._pairs:
            pair.close()

    def _accept(self, port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening[port].accept()
                try:
                    far = socket.create_connection(("127.0.0.1", port))
                except OSError:  # nobody is there
                    near.close()
                    continue
                pair = _Pair(self, near, far)
                self._pairs.append(pair)  # before anything passes: what does can be cut
                pair.begin()


class _Pair:
    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket) -> None:
        self._proxy, self._both, self._silent = proxy, (near, far), False
        self._threads = [
            threading.Thread(target=self._pass_on, args=(one, other), daemon=True)
            for one, other in ((near, far), (far, near))
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def cut(self, silently: bool) -> None:
        self._silent = self._silent or silently
        if not self._silent:
            self._end()

    def close(self) -> None:
        self._end()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for sock in self._both:
            sock.close()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(_TAKEN):
                if not self._silent:
                    self._proxy.seen += len(data)
                    other.sendall(data)
        if not self._silent:  # else neither end hears of the other's, either
            self._end()

    def _end(self) -> None:
        for sock in self._both:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
