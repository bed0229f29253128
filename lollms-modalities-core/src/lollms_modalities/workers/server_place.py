"""A server as a place: ``lollms serve`` on another machine, asked over a WebSocket, has the binding.

    tts = LollmsTTSBindingManager().create_binding("narrator", place="https://gpu-box:9600")

What runs there is the server's: the model by its served name, its settings, its queue and its limits. Closing the
binding ends the session, never the model. The library is ``websockets`` (the extra ``websocket``): its client for
threads does the handshake, TLS and proxies, and needs nothing else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lollms_modalities.errors import SettingsError
from lollms_modalities.kit.http.address import clean_address, is_loopback
from lollms_modalities.masking import MASK
from lollms_modalities.workers.server_handshake import connected
from lollms_modalities.workers.server_link import Bridge

if TYPE_CHECKING:
    import socket

    from lollms_modalities.workers.policy import Spec

VARIABLE = "LOLLMS_SERVICE_KEY"
_TAILS = ("/lollms/v2/worker", "/lollms/v2")


class ServerPlace:
    """A server whose models are bindings.

    Args:
        address: such as ``https://gpu-box:9600``, without a user name or a key.
        key: one of the server's; left out, what the environment variable ``LOLLMS_SERVICE_KEY`` holds.
        verify: whether its certificate is checked; or the file of the authority that has signed it.
        connect_timeout: seconds to reach it.
        allow_http: whether a key may go to another machine over plain http, where who listens gets it.

    Raises:
        SettingsError: no address, or a key that would go in the clear.
    """

    shares_files = False
    is_service = True

    def __init__(
        self, address: str, *, key: str | None = None, verify: bool | Path = True, connect_timeout: float = 10.0,
        allow_http: bool = False,
    ) -> None:  # fmt: skip
        self.name = clean_address(address, strip=_TAILS)
        self._given = key
        self._verify = verify
        self._connect_timeout = connect_timeout
        self._may_be_seen = urlsplit(self.name).scheme == "https" or allow_http or is_loopback(self.name)
        self._key()

    def _key(self) -> str | None:
        """The key of now.

        Raises:
            SettingsError: it would go in the clear, or is none.
        """
        key = self._given if self._given is not None else os.environ.get(VARIABLE, "").strip()
        if not key:
            return None
        if not self._may_be_seen:
            raise SettingsError(
                f"{self.name} is another machine, and over http the key would go there in the clear.",
                hint="Give an address with https://, or ServerPlace(..., allow_http=True) where the network is yours.",
                names=["place"],
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise SettingsError("The key holds what no key does, such as a space.", names=["place"])
        return key

    def __repr__(self) -> str:
        return f"ServerPlace({self.name!r}{f', key={MASK!r}' if self._given else ''})"

    def start(self, spec: Spec, *, own: bool) -> ServerSession:
        """Open a session.

        Raises:
            ServiceError: the server cannot be reached, or refuses; of a kind that says so.
            BindingDependencyError: websockets is not installed.
            SettingsError: an environment was asked for, which is the server's own business.
        """
        if spec.environment is not None:
            raise SettingsError(
                f"environment={spec.environment!r}: where its models run the server says itself.",
                hint="Leave environment= out.",
                names=["environment"],
            )
        timeout = min(self._connect_timeout, spec.policy.start_timeout)
        key = self._key()
        if key:
            spec.secrets.note({"key": key}, {"properties": {"key": {"format": "password"}}})
        return ServerSession(self.name, connected(self.name, key, self._verify, timeout))


class ServerSession:
    """One session with a server, as the host sees it: what it has for a worker.

    Attributes:
        sock: the host's end of a pair of sockets, whose other end is bridged to the WebSocket.
        killed_because: why it was ended from here.
        exit_code: None, as there is no process.
    """

    exit_code: int | None = None

    def __init__(self, name: str, link: Any) -> None:
        self.killed_because = ""
        self._name = name
        self._told: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._bridge = Bridge(name, link, self._ended)
        self.sock: socket.socket = self._bridge.near
        self._bridge.begin()

    def _ended(self) -> None:
        with self._lock:
            told, self._told = self._told, None
        if told is not None:
            told()

    def reap(self, ended: Callable[[], object]) -> None:
        """Call ``ended`` when the session has, in a thread."""
        with self._lock:
            self._told = ended
        if self._bridge.ended.is_set():
            self._ended()

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End the session. With 0 it takes no lock."""
        if self._bridge.ended.is_set():
            return
        self.killed_because = self.killed_because or because
        self._bridge.cut("")
        if wait:
            self._bridge.ended.wait(wait)

    def wait(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until it has ended."""
        self._bridge.ended.wait(timeout)

    def cause(self) -> str:
        """Why it ended."""
        self._bridge.ended.wait(1.0)
        return self.killed_because or self._bridge.cause or f"the connection to {self._name} was cut"

    def last_lines(self) -> list[str]:
        """None: what is printed there is the server's."""
        return []

    def forget(self) -> None:
        """In a forked child: it is the parent's."""
        self.killed_because = "it belongs to the process that this one was forked from"
        self._bridge.forget()
