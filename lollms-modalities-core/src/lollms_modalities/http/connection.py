"""Connections that end when the call that uses them is stopped."""

from __future__ import annotations

import os
import select
import socket
import time
from contextvars import ContextVar
from typing import Any

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from lollms_modalities.call import Call
from lollms_modalities.errors import LollmsError

_POLL = 0.05  # seconds between two looks at the call while a connection is being made


class Attempt:
    """One try of one request: the socket that it uses, to be closed from another thread."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._sock: socket.socket | None = None

    def uses(self, sock: socket.socket | None) -> None:
        """The request goes through this socket now."""
        self._sock = sock
        if self.call.stopped:
            self.abort()

    def abort(self) -> None:
        """End it, whatever it is waiting for."""
        sock = self._sock
        if sock is not None:
            try:
                # Wakes the thread that reads, in the middle of a TLS record too.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # the other side was first


attempt: ContextVar[Attempt | None] = ContextVar("lollms_http_attempt", default=None)


class _Stoppable(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        current = attempt.get()
        if current is None:
            return super()._new_conn()
        return _connect(self, current)

    def connect(self) -> None:
        super().connect()
        if (current := attempt.get()) is not None:
            current.uses(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if (current := attempt.get()) is not None:
            current.uses(self.sock)  # one that was kept open
        super().request(*args, **kwargs)


class _StoppableTLS(_Stoppable, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Stoppable


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _StoppableTLS


class Adapter(requests.adapters.HTTPAdapter):
    """The transport of a session whose connections can be stopped."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


def _connect(connection: HTTPConnection, current: Attempt) -> socket.socket:
    """As ``socket.create_connection``, looking at the call meanwhile."""
    timeout = connection.timeout
    until = time.monotonic() + (timeout if isinstance(timeout, (int, float)) else 30.0)
    try:
        found = socket.getaddrinfo(connection._dns_host, connection.port, 0, socket.SOCK_STREAM)
    except socket.gaierror as exc:
        raise NameResolutionError(connection.host, connection, exc) from exc
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            code = sock.connect_ex(address)
            while code:
                current.call.check()
                if time.monotonic() >= until:
                    raise ConnectTimeoutError(connection, f"no connection to {connection.host} in time")
                if select.select([], [sock], [], _POLL)[1]:
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code:
                        raise OSError(code, os.strerror(code))
                    break
            sock.setblocking(True)
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(timeout if isinstance(timeout, (int, float)) else None)
            return sock
        except LollmsError:
            sock.close()
            raise
        except OSError as exc:
            failure = exc
            sock.close()
        except BaseException:
            sock.close()
            raise
    raise NewConnectionError(connection, str(failure)) from failure
