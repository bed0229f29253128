"""The client: one request is one method call; what can go wrong is a typed error."""

from __future__ import annotations

import json as jsonlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

from lollms_modalities.calls.call import current_call
from lollms_modalities.calls.deadlines import DEADLINES
from lollms_modalities.errors import BindingDependencyError, LollmsError, ServiceError, ServiceResponseError
from lollms_modalities.kit.http import reading
from lollms_modalities.kit.http.address import is_loopback, origin
from lollms_modalities.kit.http.upload import Multipart

if TYPE_CHECKING:
    import requests

    from lollms_modalities.calls.call import Call
    from lollms_modalities.kit.http.upload import Upload


_E = TypeVar("_E", bound=LollmsError)


_CHUNK = 1 << 16


_REDIRECTS = 3


_LONGEST_PAUSE = 60.0  # seconds between two tries; a server that asks for more is left to the caller


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def content_type(self) -> str:
        """Without its parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class HttpClient:
    """Requests to one server. Threads share it; its connections are kept open and used again.

    Args:
        address: of the server; paths are added to it.
        headers: sent with each request, such as ``Authorization``; they go to this origin only.
        secrets: words that no error may show.
        verify: whether TLS certificates are checked; or the path of a bundle of authorities.
        connect_timeout, read_timeout: seconds without a connection, or without a byte.
        total_timeout: seconds for a whole request, whatever trickles in; a call's own ``timeout`` holds besides.
        retries: how often a request is tried again where that may help.
        max_bytes: that an answer may have.
        name: of the service, for errors.
    """

    def __init__(
        self, address: str, *, headers: Mapping[str, str] | None = None, secrets: tuple[str, ...] = (),
        verify: bool | str = True, connect_timeout: float = 10.0, read_timeout: float = 300.0,
        total_timeout: float = 1800.0, retries: int = 2, max_bytes: int = 512 << 20, name: str = "The service",
    ) -> None:  # fmt: skip
        self.address = address
        self.name = name
        self._headers = dict(headers or {})
        self._secrets = tuple(s for s in secrets if s)
        self._verify = verify
        self._timeouts = (connect_timeout, read_timeout)
        self._total = total_timeout
        self._retries = retries
        self._max_bytes = max_bytes
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

    # -- requests ----------------------------------------------------------------------------------------------------

    def get_json(self, path: str, *, failures: bool = True, **request: Any) -> Any:
        """GET, and the JSON of the answer; a 200 that says failure is one, unless ``failures`` is False."""
        return self._json(self.request("GET", path, **request), failures)

    def post_json(self, path: str, json: Any = None, **request: Any) -> Any:
        """POST, and the JSON of the answer; a 200 that says failure is one."""
        return self._json(self.request("POST", path, json=json, **request))

    def request(
        self, method: str, path: str, *, json: Any = None, fields: Mapping[str, str | Sequence[str]] | None = None,
        files: Mapping[str, Upload | Sequence[Upload]] | None = None, params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None,
        accept: str = "application/json", max_bytes: int | None = None, retries: int | None = None,
    ) -> Answer:  # fmt: skip
        """Ask, and wait for the whole answer.

        Tried again after 408, 429, a 503 with Retry-After, and where nothing of the body went out; a GET also after
        any 5xx and where the answer broke off.

        Args:
            path: added to the address, or a whole URL of the same origin.
            json: the body; or ``fields`` and ``files`` for a multipart one, or ``form`` for a web form.

        Raises:
            ServiceError: no answer, or one that says failure; its kinds and fields say which.
            CallCancelled, CallTimeout: the call was stopped; the connection is closed at once.
        """
        call = current_call()
        url = self._url(path)
        left = self._retries if retries is None else retries
        for number in range(left + 1):
            last = number == left

            def send(url: str = url) -> Answer:
                body: Any = None
                extra = {"Accept": accept, **(headers or {})}
                if json is not None:
                    body = jsonlib.dumps(json).encode()
                    extra["Content-Type"] = "application/json"
                elif files is not None:
                    body = Multipart(fields or {}, files)
                    extra["Content-Type"] = body.content_type
                elif form is not None:
                    from urllib.parse import urlencode

                    body = urlencode(form).encode()
                    extra["Content-Type"] = "application/x-www-form-urlencoded"
                try:
                    return self._once(call, method, url, body, params, extra, max_bytes or self._max_bytes)
                finally:
                    if isinstance(body, Multipart):
                        body.close()

            try:
                answer = self._following(method, url, send)
                if answer.status >= 400:
                    raise self._error(reading.error_of(answer.status, answer.headers, answer.body, self.name))
                return answer
            except ServiceError as exc:
                again = exc.retryable and (method == "GET" or _not_begun(exc))
                pause = exc.retry_after if exc.retry_after is not None else 0.5 * 2**number * random.uniform(0.5, 1.5)
                remaining = call.remaining()
                if last or not again or pause > _LONGEST_PAUSE or (remaining is not None and pause >= remaining):
                    raise
            self._pause(call, pause)
        raise AssertionError("unreachable")

    def fetch(self, url: str, *, hosts: tuple[str, ...], max_bytes: int) -> Answer:
        """GET something that an answer pointed to, without our credentials.

        Args:
            hosts: that may be asked besides the server's own; ``.example.com`` stands for all below it.

        Raises:
            ServiceResponseError: another host, or no https (this machine excepted, where the server is on it).
        """
        self._origin(url)
        target = urlsplit(url)
        host = (target.hostname or "").lower()
        own = (urlsplit(self.address).hostname or "").lower()
        allowed = (
            host == own
            or self._is_own(url)
            or any(host == h or (h.startswith(".") and host.endswith(h)) for h in hosts)
        )
        safe = target.scheme == "https" or (target.scheme == "http" and is_loopback(self.address) and is_loopback(url))
        if not allowed or not safe or target.username is not None:
            raise self._error(
                ServiceResponseError(
                    f"{self.name} points to {target.scheme}://{host[:100]}, which is not asked.",
                    hint=f"Only https, from {', '.join((own, *hosts))}.",
                )
            )
        call = current_call()
        session = self._make_session({})
        try:
            answer = self._once(call, "GET", url, None, None, {"Accept": "*/*"}, max_bytes, session)
        finally:
            session.close()
        if answer.status != 200:
            raise self._error(reading.error_of(answer.status, answer.headers, answer.body, self.name))
        return answer

    def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    # -- one try -----------------------------------------------------------------------------------------------------

    def _once(
        self, call: Call, method: str, url: str, body: Any, params: Mapping[str, str] | None,
        headers: Mapping[str, str], max_bytes: int, session: requests.Session | None = None,
    ) -> Answer:  # fmt: skip
        import requests
        import urllib3

        from lollms_modalities.kit.http.connection import Attempt, attempt

        call.check()
        until = time.monotonic() + self._total
        remaining = call.remaining()
        read = self._timeouts[1] if remaining is None else max(0.01, min(self._timeouts[1], remaining + 1))
        response: requests.Response | None = None
        with Attempt(call) as trial:
            token = attempt.set(trial)
            # Headers and uploads can trickle as a body can.
            late = DEADLINES.at(until, trial.abort)
            try:
                response = (session or self._pooled()).request(
                    method, url, data=body, params=params, headers=dict(headers), timeout=(self._timeouts[0], read),
                    allow_redirects=False, stream=True, verify=self._verify,
                )  # fmt: skip
                data = reading.bounded(
                    self._chunks(response, call, until), response.headers.get("Content-Encoding", ""), max_bytes
                )
                return Answer(response.status_code, response.headers, data, url)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
                if isinstance(exc, LollmsError):
                    raise self._error(exc) from exc.__cause__
                call.check()  # closed because the call was stopped
                if time.monotonic() >= until:
                    raise self._too_long() from None
                if response is not None and response.status_code >= 400:
                    return Answer(response.status_code, response.headers, b"", url)  # that says enough
                raise self._unanswered(exc, trial.sent) from None
            finally:
                late.cancel()
                attempt.reset(token)
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

    def _following(self, method: str, url: str, send: Callable[[str], Answer]) -> Answer:
        for _ in range(_REDIRECTS + 1):
            answer = send(url)
            location = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308) or not location:
                return answer
            target = self._joined(url, location)
            if self._origin(target) != origin(self.address):
                raise self._error(
                    ServiceResponseError(
                        f"{self.name} redirects to another place, {urlsplit(target).hostname!r:.100}: not followed.",
                        hint="Give that address, if it is the right one.",
                        status=answer.status,
                    )
                )
            if answer.status in (301, 302, 303) and method != "GET":
                raise self._error(
                    ServiceResponseError(
                        f"{self.name} redirects a {method} to {urlsplit(target).path[:100]!r}.",
                        hint="Give the address that it redirects to.",
                        status=answer.status,
                    )
                )
            url = target
        raise self._error(ServiceResponseError(f"{self.name} redirects in a circle."))

    def _too_long(self) -> ServiceError:
        return ServiceError(
            f"{self.name} took longer than {self._total:g} s to answer.", hint="Ask for less.", retryable=True
        )

    def _unanswered(self, exc: Exception, sent: bool) -> ServiceError:
        import requests

        unreached = isinstance(exc, (requests.ConnectTimeout,)) or "NewConnectionError" in repr(exc) or (
            "NameResolutionError" in repr(exc)
        )  # fmt: skip
        if isinstance(exc, requests.exceptions.SSLError):
            return self._error(
                ServiceError(
                    f"{self.name} at {self._shown()} has a certificate that cannot be verified: {_cause(exc)}.",
                    hint="Mend the certificate; verify_ssl_certificate=False switches the check off.",
                )
            )
        if isinstance(exc, requests.Timeout):
            what = "could not be reached in time" if unreached else "did not answer in time"
        elif unreached:
            what = "cannot be reached"
        else:
            what = "broke off"
        return self._error(
            ServiceError(
                f"{self.name} at {self._shown()} {what}: {_cause(exc)}.",
                hint="Check that it runs, and its address." if unreached else "",
                retryable=True,
                unsent=not sent,
            )
        )

    def _json(self, answer: Answer, failures: bool = True) -> Any:
        try:
            parsed = reading.parse_json(answer.body, answer.content_type, self.name)
        except ServiceError as exc:
            raise self._error(exc) from None
        failure = reading.failure_in(parsed) if failures else None
        if failure is not None:
            raise self._error(
                ServiceResponseError(
                    f"{self.name} answered {answer.status} and says that it failed: {failure[: reading.SHOWN]}.",
                    status=answer.status,
                )
            )
        return parsed

    # -- what they share ---------------------------------------------------------------------------------------------

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
                hint='Run pip install "lollms-modalities-core[http]".',
            ) from exc
        session = Session()
        # Else a .netrc would put its own Authorization in the place of ours, and give it to whom we ask.
        session.auth = _as_it_is
        session.headers.update({"User-Agent": "lollms-modalities", "Accept-Encoding": "identity", **headers})
        adapter = Adapter(pool_connections=4, pool_maxsize=64, max_retries=0)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def _url(self, path: str) -> str:
        if "://" not in path:
            return f"{self.address}/{path.lstrip('/')}"
        if self._origin(path) != origin(self.address):
            host = urlsplit(path).hostname
            raise self._error(ServiceResponseError(f"{self.name} points to another place, {host!r:.100}: not asked."))
        return path

    def _origin(self, url: str) -> tuple[str, str, int]:
        """Of an address that an answer gave, which may be none."""
        try:
            return origin(url)
        except ValueError as exc:
            raise self._no_address(url, exc) from None

    def _joined(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError as exc:
            raise self._no_address(location, exc) from None

    def _is_own(self, url: str) -> bool:
        """Whether it is our server under another name of this machine: some always call themselves localhost."""
        return is_loopback(url) and is_loopback(self.address) and origin(url)[2] == origin(self.address)[2]

    def _no_address(self, url: str, exc: ValueError) -> ServiceResponseError:
        return self._error(ServiceResponseError(f"{self.name} points to {url[:100]!r}, which is no address: {exc}."))

    def _pause(self, call: Call, seconds: float) -> None:
        woken = threading.Event()
        remove = call.on_cancel(woken.set)
        try:
            woken.wait(seconds)
        finally:
            remove()
        call.check()

    def _shown(self) -> str:
        scheme, host, port = origin(self.address)
        return f"{scheme}://{host}:{port}"

    def _error(self, error: _E) -> _E:
        """The error without our secrets."""
        return error.hide(self._secrets)


def _not_begun(error: ServiceError) -> bool:
    """Whether the server cannot have begun with what it was asked, so that asking again makes nothing twice."""
    if error.status is None:
        return getattr(error, "unsent", False)
    return error.status in (408, 429) or (error.status == 503 and error.retry_after is not None)


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
