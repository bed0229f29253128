"""A WebSocket to a server is opened, or it is said why there is none."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import struct
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lollms_modalities.errors import (
    BindingDependencyError,
    LollmsError,
    ServiceAuthError,
    ServiceError,
    ServiceRateLimitError,
    ServiceResponseError,
    UnsupportedError,
)
from lollms_modalities.kit.http.address import is_loopback
from lollms_modalities.version import __version__, requirement
from lollms_modalities.workers import protocol
from lollms_modalities.workers.network import set_up_tcp

PATH = "/lollms/v2/worker"
_LARGEST_ANSWER = 64 << 20  # bytes of JSON; a server is trusted with more than it takes itself


def connected(address: str, key: str | None, verify: bool | Path, timeout: float) -> Any:
    """An open WebSocket at the server of that address.

    Raises:
        ServiceError: it cannot be reached or refuses; of a kind that says so.
        BindingDependencyError: websockets is not installed.
    """
    try:
        from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
        from websockets.sync.client import connect
    except ImportError as exc:
        raise BindingDependencyError(
            f"A binding at {address} needs websockets, which is not installed.",
            hint=f"pip install {requirement('lollms-modalities-core', 'websocket')}",
            name="websockets",
        ) from exc
    parts = urlsplit(address)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if (hops := os.environ.get("LOLLMS_HOPS", "")).isdigit():
        headers["X-Lollms-Hops"] = hops  # a server asks, for somebody: so that none asks in a circle
    scheme = {"https": "wss", "http": "ws"}[parts.scheme]
    context = _context(verify) if scheme == "wss" else None
    try:
        opening: Any = connect(
            f"{scheme}://{parts.netloc}{parts.path}{PATH}",
            ssl=context,
            additional_headers=headers,
            user_agent_header=f"lollms-modalities/{__version__}",
            logger=_quiet(),
            compression=None,
            proxy=None if is_loopback(address) else True,
            open_timeout=timeout,
            close_timeout=1.0,
            ping_interval=None,  # ours tells by whatever comes
            max_size=_LARGEST_ANSWER + protocol.CHUNK,
            max_queue=8,
        )
        link = opening.__enter__()  # of the connection, or of what makes it: by version; the bridge closes it
    except InvalidStatus as exc:
        raise _refused(address, exc.response.status_code, exc.response.body, exc.response.headers) from None
    except (InvalidHandshake, InvalidURI) as exc:
        raise ServiceResponseError(
            f"{address} does not speak as lollms serve does: {exc}.", hint="Look at the address."
        ) from exc
    except ssl.SSLCertVerificationError as exc:
        raise ServiceError(
            f"The certificate of {address} is not trusted: {exc.verify_message}.",
            hint="Give ServerPlace(..., verify=FILE) the authority that has signed it.",
        ) from exc
    except (OSError, EOFError) as exc:  # out of time, too
        raise ServiceError(
            f"{address} cannot be reached: {exc or type(exc).__name__}.", hint="Look whether the server runs.",
            retryable=True,
        ) from exc  # fmt: skip
    set_up_tcp(link.socket)
    # What a dead link does not take in that time is given up, by whoever sends it.
    link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 4, 0))
    return link


def _quiet() -> logging.Logger:
    """For websockets, which at DEBUG writes down each header, the key's too."""
    logger = logging.getLogger("lollms_modalities.workers.websocket")
    logger.setLevel(logging.INFO)
    return logger


def _context(verify: bool | Path) -> ssl.SSLContext:
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=None if verify is True else os.path.expanduser(verify))
    except OSError as exc:
        raise ServiceError(f"The certificates in {verify} cannot be read: {exc.strerror or exc}.") from exc


def _refused(address: str, status: int, body: bytes | bytearray | None, headers: Any) -> LollmsError:
    """The error of a handshake that was answered with something else."""
    try:
        said = json.loads(body or b"")["error"]["message"]
    except (ValueError, LookupError, TypeError):
        said = ""
    message = f"{address} answered {status}" + (f": {said:.500}" if isinstance(said, str) and said else ".")
    if status in (401, 403):
        return ServiceAuthError(message, hint="Give a key of the server's.", status=status)
    if status in (404, 405, 426):
        return UnsupportedError(f"{message} No binding can be had there.", hint="Look at the address and the version.")
    wait = headers.get("Retry-After", "")
    after = float(wait) if wait.isascii() and wait.isdigit() else None
    kind = ServiceRateLimitError if status == 429 else ServiceError
    return kind(message, status=status, retryable=status in (429, 502, 503, 504), retry_after=after)
