"""Fetch one file: with progress, checked, and either whole in its place or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities.calls.call import current_call, report_progress
from lollms_modalities.errors import LollmsError, ServiceError, ServiceResponseError, SettingsError
from lollms_modalities.kit.sockets import Lifeline, connect
from lollms_modalities.media.result import check_folder, written_whole

_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte
_PASSING = frozenset({408, 425, 429})  # what may be gone the next time, besides 5xx


def download(
    url: str, target: Path, *, size: int | None = None, md5: str | None = None, sha256: str | None = None
) -> Path:
    """Fetch ``url`` into the file ``target`` and give its path. Reports bytes to the current call, and stops with it.

    Args:
        url: http or https.
        target: the file to write, in a folder that exists.
        size: bytes that it must have, where that is known.
        md5, sha256: hexadecimal digest that it must have, where that is known.

    Raises:
        ServiceError: the server cannot be reached or refuses.
        ServiceResponseError: what came is not what was announced.
        CallCancelled, CallTimeout: the current call was stopped.
    """
    check_folder(target)
    with _opened(url) as response:
        if md5 is None and sha256 is None and target.suffix not in (".gz", ".tgz"):
            _refuse_packed(url, response)
        total = size if size is not None else _announced(response)
        digests = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
        with written_whole(target) as part:
            done = _copy(response, part, total, target.name, list(digests.values()))
            current_call().check()  # a response that was shut down looks like one that has ended
            _check(url, done, total, {n: d.hexdigest() for n, d in digests.items()}, {"md5": md5, "sha256": sha256})
    return target


def folder_for_downloads(folder: Path, what: str, setting: str) -> Path:
    """Make the folder that downloads go to, and give it.

    Args:
        folder: which.
        what: what lies in it, such as "voices".
        setting: the name of the setting that says where it is.

    Raises:
        SettingsError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(
            f"The folder of {what} {str(folder)!r} cannot be made: {exc.strerror}.",
            hint=f"Set {setting}.",
            names=[setting],
        ) from exc
    return folder


def read_url(url: str, limit: int = 64 << 20) -> bytes:
    """The body of a small document. Raises as ``download``."""
    with _opened(url) as response:
        _refuse_packed(url, response)
        body: bytes = response.read(limit + 1)
        current_call().check()  # a response that was shut down looks like one that has ended
        if len(body) > limit:
            raise ServiceResponseError(f"{url} is larger than {limit} bytes.")
        if response.length:  # of a body that is read by parts the end is not looked at
            raise ServiceResponseError(
                f"{url} broke off: {response.length} bytes are missing.", hint="Try again.", retryable=True
            )
    return body


def _announced(response: http.client.HTTPResponse) -> int | None:
    said = response.headers.get("Content-Length", "").strip()
    return int(said) if said.isascii() and said.isdigit() else None


def _refuse_packed(url: str, response: http.client.HTTPResponse) -> None:
    """A body that is compressed, though that was not asked for, is not the document."""
    packed = response.headers.get("Content-Encoding", "").strip()
    if packed.lower() not in ("", "identity"):
        raise ServiceResponseError(f"{url} came in the encoding {packed[:40]!r}, which was not asked for.")


@contextmanager
def _opened(url: str) -> Iterator[http.client.HTTPResponse]:
    """The answer of a server, which ends when the current call is to stop; what goes wrong with it is typed."""
    if not url.lower().startswith(("https://", "http://")):
        raise ServiceError(f"{url!r} is no http address.", hint="Give one that begins with https://.")
    call = current_call()
    call.check()
    with Lifeline(call) as line:
        try:
            with _opener(line).open(url, timeout=_TIMEOUT) as response:
                if response.status != 200:  # nothing, or a part, is not what was asked for
                    raise ServiceResponseError(
                        f"{url} answered {response.status} {response.reason}, and not with the whole.",
                        hint="Check the address.",
                        status=response.status,
                    )
                try:
                    yield response
                except LollmsError:
                    raise
                except (OSError, http.client.HTTPException, ValueError) as exc:
                    call.check()
                    raise ServiceError(f"{url} broke off: {exc}.", hint="Try again.", retryable=True) from exc
        except LollmsError:
            raise
        except urllib.error.HTTPError as exc:
            with exc:
                raise ServiceError(
                    f"{url} answered {exc.code} {exc.reason}.",
                    hint="Check the name; it may have moved.",
                    status=exc.code,
                    retryable=exc.code >= 500 or exc.code in _PASSING,
                ) from None
        except (OSError, http.client.HTTPException, ValueError) as exc:
            call.check()
            raise ServiceError(
                f"{url} cannot be reached: {getattr(exc, 'reason', exc)}.",
                hint="Check the network, or fetch the file elsewhere and copy it here.",
                retryable=not isinstance(exc, (ValueError, http.client.InvalidURL)),  # an address that is none
            ) from exc


def _opener(line: Lifeline) -> urllib.request.OpenerDirector:
    """As ``urlopen`` has it, but for http and https alone, and with connections that a call's stop ends."""

    class Plain(http.client.HTTPConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._create_connection = connected

    class Tls(http.client.HTTPSConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._create_connection = connected

    def connected(address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
        sock = connect(*address, timeout, line.call)
        line.uses(sock)
        return sock

    class Http(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, request)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Tls, request)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), Http(), Https(), urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(), urllib.request.UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


def _copy(response: http.client.HTTPResponse, part: Path, total: int | None, name: str, digests: list[Any]) -> int:
    done = 0
    with part.open("wb") as file:
        while block := response.read(_BLOCK):
            file.write(block)
            for digest in digests:
                digest.update(block)
            done += len(block)
            if total is not None and done > total:
                raise ServiceResponseError(f"{name} is longer than the {total} bytes that were announced.")
            report_progress(done, total, stage=name, unit="byte")
    return done


def _check(url: str, done: int, total: int | None, found: dict[str, str], wanted: dict[str, str | None]) -> None:
    if total is not None and done != total:
        raise ServiceResponseError(f"{url} gave {done} bytes of {total}.", hint="Try again.", retryable=True)
    for name, digest in wanted.items():
        if digest is not None and digest.lower() != found[name]:
            raise ServiceResponseError(
                f"{url} has the {name} {found[name]}, not {digest.lower()}.",
                hint="The file was changed or damaged on its way: try again, or ask its publisher.",
            )
