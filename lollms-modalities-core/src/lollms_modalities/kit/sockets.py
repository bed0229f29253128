"""Connections that end when the call that uses them is stopped, whatever they are waiting for."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from lollms_modalities.calls import waits
from lollms_modalities.calls.call import Call

_POLL = 0.05  # seconds between two looks at the call while a connection is being made
_CONNECTING = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)


class Lifeline:
    """Shuts down the socket that a request uses when its call is to stop; a ``with`` statement for the request.

    It holds a second handle of the socket: TLS takes the first one over in the middle of its handshake.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self._handle: socket.socket | None = None
        self._ended = False
        self._lock = threading.RLock()  # a signal's handler may cancel while this thread is in here

    def __enter__(self) -> Self:
        self._remove = self.call.on_cancel(self.abort)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()
        with self._lock:
            self._let_go()

    def uses(self, sock: Any) -> None:
        """The request goes through this socket, or one around it, now."""
        handle = socket.fromfd(sock.fileno(), -1, -1, -1)
        with self._lock:
            self._let_go()
            self._handle = handle
            if self._ended:
                self._shut()

    def abort(self) -> None:
        """End the request. This never waits: ``close`` would, for the thread that reads."""
        with self._lock:
            self._ended = True
            self._shut()

    def _shut(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(OSError):  # the other side was first
                self._handle.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()


def connect(
    host: str, port: int, timeout: float, call: Call, *, options: Iterable[tuple[Any, ...]] = ()
) -> socket.socket:  # fmt: skip
    """A connection to a host, as ``socket.create_connection`` makes it, unless the call is stopped meanwhile.

    Args:
        host: a name or an address.
        timeout: seconds for finding the address and connecting in all; each later step of the socket may take as long.
        options: for ``setsockopt``.

    Raises:
        socket.gaierror: the host has no address.
        TimeoutError: there is no connection in time.
        OSError: there is none.
        CallCancelled, CallTimeout: the call was stopped.
    """
    until = time.monotonic() + timeout
    failure: OSError | None = None
    for family, kind, protocol, _, address in _addresses(host, port, until, call):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.setblocking(False)
            code = sock.connect_ex(address)
            if code in _CONNECTING:
                _wait_for_connection(sock, host, until, call)
            elif code:
                raise OSError(code, os.strerror(code))
            sock.settimeout(timeout)
            return sock
        except BaseException as exc:
            sock.close()
            call.check()
            if not isinstance(exc, OSError) or time.monotonic() >= until:
                raise
            failure = exc
    raise failure or OSError(f"{host} has no address")


def _wait_for_connection(sock: socket.socket, host: str, until: float, call: Call) -> None:
    with selectors.DefaultSelector() as selector:  # select() knows no descriptors over 1023
        selector.register(sock, selectors.EVENT_WRITE)
        while not selector.select(_POLL):
            call.check()
            if time.monotonic() >= until:
                raise TimeoutError(f"no connection to {host} in time")
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, os.strerror(code))


def _addresses(host: str, port: int, until: float, call: Call) -> list[Any]:
    """What ``getaddrinfo`` tells. It cannot be stopped, so it is asked in a thread that is left behind."""
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    told: list[Any] = []
    woken = threading.Event()

    def ask() -> None:
        try:
            told.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except Exception as exc:  # UnicodeError too, of names that cannot be one
            told.append(exc)
        woken.set()

    remove = call.on_cancel(woken.set)
    try:
        threading.Thread(target=ask, name="lollms-getaddrinfo", daemon=True).start()
        waits.wait(woken.wait, until - time.monotonic())
    finally:
        remove()
    call.check()
    if not told:
        raise TimeoutError(f"no address of {host} in time")
    if isinstance(told[0], UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, f"{host[:100]!r} is no name of a host")
    if isinstance(told[0], Exception):
        raise told[0]
    addresses: list[Any] = told[0]
    return addresses
