"""Connections that end when the call that uses them is stopped, through a proxy too, and that are not used too long."""

from __future__ import annotations

import functools
import http.client
import socket
from contextvars import ContextVar
from typing import Any

import requests
import requests.adapters
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from lollms_modalities.calls.call import Call
from lollms_modalities.errors import LollmsError
from lollms_modalities.kit.sockets import Lifeline, connect


class Attempt(Lifeline):
    """One try of one request.

    Attributes:
        sent: whether a byte of the body, or the whole of a request without one, may have gone out.
    """

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.sent = False


attempt: ContextVar[Attempt | None] = ContextVar("lollms_http_attempt", default=None)


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        while 101 < self.status < 200:  # 103 and the like: the answer is yet to come, and else would be the next one's
            self.headers = None  # type: ignore[assignment]
            super().begin()
        if self.status >= 500:
            # Many a server closes the connection a moment after, without saying so: the next request would be lost.
            self.will_close = True


class _Stoppable(HTTPConnection):
    """Mixed into each class of connections that requests uses."""

    response_class = _Response
    _has_body = False
    _headers_sent = False

    def _new_conn(self) -> socket.socket:
        current = attempt.get()
        if current is None:
            return super()._new_conn()
        sock = super()._new_conn() if hasattr(self, "_socks_options") else _connect(self, current.call)
        try:
            current.uses(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        current = attempt.get()
        if current is not None and self.sock is not None:
            current.uses(self.sock)  # one that was kept open
        self._has_body, self._headers_sent = body is not None, False
        super().request(method, url, body, *args, **kwargs)

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        if not self._has_body:
            self._note_sent()
        super().endheaders(*args, **kwargs)
        self._headers_sent = True

    def send(self, data: Any) -> None:
        if self._headers_sent:
            self._note_sent()
        super().send(data)

    @staticmethod
    def _note_sent() -> None:
        if (current := attempt.get()) is not None:
            current.sent = True


class Session(requests.Session):
    """A session that leaves redirects alone: else it reads their bodies, of whatever size, before we can."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Adapter(requests.adapters.HTTPAdapter):
    """The transport of a session whose connections can be stopped."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        _make_stoppable(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return _make_stoppable(super().proxy_manager_for(proxy, **kwargs))


def _make_stoppable(manager: Any) -> Any:
    pools = manager.pool_classes_by_scheme.items()
    manager.pool_classes_by_scheme = {scheme: _stoppable(pool) for scheme, pool in pools}
    return manager


@functools.cache
def _stoppable(pool: Any) -> Any:
    """The same kind of pool, with connections that can be stopped."""
    if issubclass(pool.ConnectionCls, _Stoppable):
        return pool
    connection = type(f"Stoppable{pool.ConnectionCls.__name__}", (_Stoppable, pool.ConnectionCls), {})
    return type(f"Stoppable{pool.__name__}", (pool,), {"ConnectionCls": connection})


def _connect(connection: HTTPConnection, call: Call) -> socket.socket:
    timeout = connection.timeout if isinstance(connection.timeout, (int, float)) else 30.0
    try:
        return connect(connection._dns_host, connection.port, timeout, call, options=connection.socket_options or ())
    except LollmsError:
        raise
    except socket.gaierror as exc:
        raise NameResolutionError(connection.host, connection, exc) from exc
    except TimeoutError as exc:
        raise ConnectTimeoutError(connection, str(exc)) from exc
    except OSError as exc:
        raise NewConnectionError(connection, str(exc)) from exc
