"""Fetch one file: with progress, checked, and either whole in its place or not there at all.

What breaks off in the midst is gone on with, where it is sure that both parts are of one file.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from lollms_modalities.calls.call import current_call, report_progress
from lollms_modalities.errors import LollmsError, ServiceError, ServiceResponseError, SettingsError
from lollms_modalities.kit.sockets import Lifeline, connect
from lollms_modalities.media.files import explained
from lollms_modalities.media.result import check_folder, written_whole

_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte
_PASSING = frozenset({408, 425, 429})  # what may be gone the next time, besides 5xx
_PAUSES = (0.0, 1.0, 3.0, 9.0)  # seconds before each further attempt, of those in a row that brought nothing


def download(
    url: str, target: Path, *, size: int | None = None, md5: str | None = None, sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:  # fmt: skip
    """Fetch ``url`` into the file ``target`` and give its path. Reports bytes to the current call, and stops with it.

    A connection that breaks off is made again, and the rest is asked for: where the server names the version of the
    file (a strong ``ETag``), or where one of ``md5``, ``sha256`` and ``check`` would tell a mixture of two.

    Args:
        url: http or https.
        target: the file to write, in a folder that exists.
        size: bytes that it must have, where that is known.
        md5, sha256: hexadecimal digest that it must have, where that is known.
        check: called with the path of what came, before it is in its place; raises what is wrong with it.

    Raises:
        ServiceError: the server cannot be reached or refuses.
        ServiceResponseError: what came is not what was announced.
        SaveError: the file cannot be written.
        CallCancelled, CallTimeout: the current call was stopped.
    """
    check_folder(target)
    wanted = {name: digest for name, digest in (("md5", md5), ("sha256", sha256)) if digest is not None}
    with written_whole(target) as part:
        arriving = _Arriving(url, target, size, sure=bool(wanted or check))
        arriving.unpacked = not wanted and target.suffix not in (".gz", ".tgz")
        with explained(target):
            file = part.open("wb")
        try:
            arriving.fetch(file)
        except BaseException:
            with suppress(OSError):  # what could not be written cannot be written now
                file.close()
            raise
        with explained(target):
            file.close()
        _check(url, arriving.done, arriving.total, arriving.found(), wanted)
        if check is not None:
            check(part)
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
def _opened(url: str, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
    """The answer of a server, which ends when the current call is to stop; what goes wrong with it is typed.

    With ``headers`` that ask for a part it may be a part.
    """
    if not url.lower().startswith(("https://", "http://")):
        raise ServiceError(f"{url!r} is no http address.", hint="Give one that begins with https://.")
    call = current_call()
    call.check()
    with Lifeline(call) as line:
        try:
            with _opener(line).open(
                urllib.request.Request(url, headers=dict(headers or {})), timeout=_TIMEOUT
            ) as response:
                if response.status != 200 and not (headers and response.status == 206):  # not what was asked for
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


class _Arriving:
    """A file that comes, in one part or in several.

    Args:
        url: of the file.
        target: where it will be.
        size: bytes that it must have, where that is known.
        sure: whether somebody looks at the whole in the end, so that parts of two files would be found out.

    Attributes:
        done: bytes that are there.
        total: bytes that it has, where that is known.
        unpacked: whether the body must come as it is.
    """

    unpacked = True

    def __init__(self, url: str, target: Path, size: int | None, *, sure: bool) -> None:
        self.done, self.total = 0, size
        self._url, self._target, self._size, self._sure = url, target, size, sure
        self._version = ""  # as the server calls it
        self._digests = self._new_digests()

    @staticmethod
    def _new_digests() -> dict[str, Any]:
        return {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}

    def found(self) -> dict[str, str]:
        """The digests of what is there."""
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def fetch(self, file: BinaryIO) -> None:
        """Write all of it. Raises as ``download``, when several attempts in a row brought nothing."""
        most = vain = 0
        while True:
            try:
                with _opened(self._url, self._asked_for()) as response:
                    self._take(response, file)
                    current_call().check()  # a response that was shut down looks like one that has ended
                    if not response.length:
                        return
                raise ServiceResponseError(
                    f"{self._url} gave {self.done} bytes of {self.total}.", hint="Try again.", retryable=True
                )
            except ServiceError as exc:
                vain = 0 if self.done > most else vain + 1
                most = max(most, self.done)
                if not (exc.retryable and most and (self._sure or self._version)) or vain == len(_PAUSES):
                    raise
            current_call().pause(_PAUSES[vain])

    def _asked_for(self) -> dict[str, str]:
        if not self.done:
            return {}
        same = {"If-Range": self._version} if self._version else {}
        return {"Range": f"bytes={self.done}-", **same}

    def _take(self, response: http.client.HTTPResponse, file: BinaryIO) -> None:
        if self.unpacked:
            _refuse_packed(self._url, response)
        if response.status == 206:
            self._check_part(response)
        else:
            self._begin(response, file)
        while block := response.read(_BLOCK):
            with explained(self._target):
                file.write(block)
            for digest in self._digests.values():
                digest.update(block)
            self.done += len(block)
            if self.total is not None and self.done > self.total:
                raise ServiceResponseError(
                    f"{self._target.name} is longer than the {self.total} bytes that were announced."
                )
            report_progress(self.done, self.total, stage=self._target.name, unit="byte")

    def _begin(self, response: http.client.HTTPResponse, file: BinaryIO) -> None:
        """The server sends the whole, the first time or since it has another file by now."""
        if self.done:
            if not file.seekable():
                raise ServiceError(
                    f"{self._url} broke off, and its server sends no parts.", hint="Fetch it into a file."
                )
            file.seek(0)
            file.truncate()
            self.done, self._digests = 0, self._new_digests()
        self.total = self._size if self._size is not None else _announced(response)
        named = response.headers.get("ETag", "").strip()
        self._version = named if named.startswith('"') else ""  # a weak one may be of several

    def _check_part(self, response: http.client.HTTPResponse) -> None:
        said = response.headers.get("Content-Range", "").strip()
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", said)
        if (
            part is None
            or int(part[1]) != self.done
            or (self.total is not None and part[2] not in (str(self.total), "*"))
        ):
            raise ServiceResponseError(
                f"{self._url} was asked for what follows {self.done} bytes, and gave {said[:80]!r}.", hint="Try again."
            )


def _check(url: str, done: int, total: int | None, found: dict[str, str], wanted: dict[str, str]) -> None:
    if total is not None and done != total:
        raise ServiceResponseError(f"{url} gave {done} bytes of {total}.", hint="Try again.", retryable=True)
    for name, digest in wanted.items():
        if digest.lower() != found[name]:
            raise ServiceResponseError(
                f"{url} has the {name} {found[name]}, not {digest.lower()}.",
                hint="The file was changed or damaged on its way: try again, or ask its publisher.",
            )
