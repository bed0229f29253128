"""One try of one request: its connection, its limits, and why there was no answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.deadlines import DEADLINES
from lollms_modalities.errors import BindingDependencyError, LollmsError, ServiceError
from lollms_modalities.kit.http import reading
from lollms_modalities.kit.http.address import origin
from lollms_modalities.kit.http.reading import Answer
from lollms_modalities.version import requirement

if TYPE_CHECKING:
    import requests

    from lollms_modalities.calls.call import Call

_CHUNK = 1 << 16


class Transport:
    """Connections to one server. Threads share it; they are kept open and used again.

    Args:
        address, name: of the server, for errors.
        headers: sent with each request.
        secrets: words that no error may show.
        verify: whether TLS certificates are checked; or the path of a bundle of authorities.
        timeouts: seconds without a connection, and without a byte.
        total: seconds for a whole request.
    """

    def __init__(
        self, address: str, name: str, *, headers: Mapping[str, str], secrets: tuple[str, ...], verify: bool | str,
        timeouts: tuple[float, float], total: float,
    ) -> None:  # fmt: skip
        self._address = address
        self._name = name
        self._headers = dict(headers)
        self._secrets = secrets
        self._verify = verify
        self._timeouts = timeouts
        self._total = total
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

    def ask(
        self, call: Call, method: str, url: str, body: Any, params: Mapping[str, str] | None,
        headers: Mapping[str, str], max_bytes: int,
    ) -> Answer:  # fmt: skip
        """Ask once, on a connection that is kept open for the next."""
        call.check()
        return self._once(self._pooled(), call, method, url, body, params, headers, max_bytes)

    def ask_alone(self, call: Call, url: str, headers: Mapping[str, str], max_bytes: int) -> Answer:
        """GET once, on a connection of its own, without the headers that each request has."""
        call.check()
        session = self._make_session({})
        try:
            return self._once(session, call, "GET", url, None, None, headers, max_bytes)
        finally:
            session.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    @contextmanager
    def opened(
        self, call: Call, method: str, url: str, body: Any, headers: Mapping[str, str]
    ) -> Iterator[tuple[int, Mapping[str, str], Iterator[bytes]]]:
        """Ask once: the status, the headers, and what follows as it comes. Leaving the block ends the request."""
        call.check()
        with self._asked(self._pooled(), call, method, url, body, None, headers) as (response, chunks):
            yield response.status_code, response.headers, chunks

    def _once(
        self, session: requests.Session, call: Call, method: str, url: str, body: Any,
        params: Mapping[str, str] | None, headers: Mapping[str, str], max_bytes: int,
    ) -> Answer:  # fmt: skip
        status: tuple[int, Mapping[str, str]] | None = None
        try:
            with self._asked(session, call, method, url, body, params, headers) as (response, chunks):
                status = response.status_code, response.headers
                data = reading.bounded(chunks, response.headers.get("Content-Encoding", ""), max_bytes)
                return Answer(*status, data, url)
        except ServiceError as exc:
            if status is None or status[0] < 400 or exc.status is not None or not getattr(exc, "broke_off", False):
                raise
            return Answer(*status, b"", url)  # that says enough

    @contextmanager
    def _asked(
        self, session: requests.Session, call: Call, method: str, url: str, body: Any,
        params: Mapping[str, str] | None, headers: Mapping[str, str],
    ) -> Iterator[tuple[requests.Response, Iterator[bytes]]]:  # fmt: skip
        import requests
        import urllib3

        from lollms_modalities.kit.http.connection import Attempt, attempt

        until = time.monotonic() + self._total
        remaining = call.remaining()
        read = self._timeouts[1] if remaining is None else max(0.01, min(self._timeouts[1], remaining + 1))
        response: requests.Response | None = None
        with Attempt(call) as trial:
            # Headers and uploads can trickle as a body can.
            late = DEADLINES.at(until, trial.abort)
            try:
                token = attempt.set(trial)
                try:
                    response = session.request(
                        method, url, data=body, params=params, headers=dict(headers), allow_redirects=False,
                        timeout=(self._timeouts[0], read), stream=True, verify=self._verify,
                    )  # fmt: skip
                finally:
                    attempt.reset(token)
                yield response, self._chunks(response, call, until)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
                if isinstance(exc, LollmsError):
                    raise exc.hide(self._secrets) from exc.__cause__
                call.check()  # closed because the call was stopped
                if time.monotonic() >= until:
                    raise self._too_long() from None
                raise self._unanswered(exc, trial.sent) from None
            finally:
                late.cancel()
                if response is not None:
                    response.close()

    def _chunks(self, response: requests.Response, call: Call, until: float) -> Iterator[bytes]:
        read: Callable[[int], bytes] = getattr(response.raw, "read1", response.raw.read)
        while True:
            call.check()
            if time.monotonic() >= until:
                raise self._too_long()
            # read1: what has come, so that a slow drip does not hide the clock.
            data = response.raw.read1(_CHUNK, decode_content=False) if hasattr(response.raw, "read1") else read(1024)
            if not data:
                call.check()  # an end that we made looks like any other
                if time.monotonic() >= until:
                    raise self._too_long()
                return
            yield data

    def _too_long(self) -> ServiceError:
        return ServiceError(
            f"{self._name} took longer than {self._total:g} s to answer.", hint="Ask for less.", retryable=True
        )

    def _unanswered(self, exc: Exception, sent: bool) -> ServiceError:
        import requests

        unreached = isinstance(exc, (requests.ConnectTimeout,)) or "NewConnectionError" in repr(exc) or (
            "NameResolutionError" in repr(exc)
        )  # fmt: skip
        if isinstance(exc, requests.exceptions.SSLError):
            return self._hidden(
                ServiceError(
                    f"{self._name} at {self._shown()} has a certificate that cannot be verified: {_cause(exc)}.",
                    hint="Mend the certificate; verify_ssl_certificate=False switches the check off.",
                )
            )
        if isinstance(exc, requests.Timeout):
            what = "could not be reached in time" if unreached else "did not answer in time"
        elif unreached:
            what = "cannot be reached"
        else:
            what = "broke off"
        return self._hidden(
            ServiceError(
                f"{self._name} at {self._shown()} {what}: {_cause(exc)}.",
                hint="Check that it runs, and its address." if unreached else "",
                retryable=True,
                unsent=not sent,
                broke_off=not unreached,
            )
        )

    def _shown(self) -> str:
        scheme, host, port = origin(self._address)
        return f"{scheme}://{host}:{port}"

    def _hidden(self, error: ServiceError) -> ServiceError:
        return error.hide(self._secrets)

    def _pooled(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = self._make_session(self._headers)
            return self._session

    def _make_session(self, headers: Mapping[str, str]) -> requests.Session:
        try:
            from lollms_modalities.kit.http.connection import Adapter, Session
        except ImportError as exc:
            raise BindingDependencyError(
                "Services are asked with requests, which is not installed.",
                hint=f"Run pip install {requirement('lollms-modalities-core', 'http')}.",
            ) from exc
        session = Session()
        # Else a .netrc would put its own Authorization in the place of ours, and give it to whom we ask.
        session.auth = _as_it_is
        session.headers.update({"User-Agent": "lollms-modalities", "Accept-Encoding": "identity", **headers})
        adapter = Adapter(pool_connections=4, pool_maxsize=64, max_retries=0)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session


def _as_it_is(request: Any) -> Any:
    return request


def _cause(exc: BaseException) -> str:
    """The innermost words of an exception that wraps others."""
    from urllib3.exceptions import HTTPError

    seen = exc
    while True:
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        if not isinstance(inner, BaseException):
            break
        seen = inner
    text = " ".join(str(seen).split())
    if isinstance(seen, HTTPError):
        text = text.partition("): ")[2] or text  # urllib3 puts the connection's repr before it
    return text[: reading.SHOWN] or type(seen).__name__
