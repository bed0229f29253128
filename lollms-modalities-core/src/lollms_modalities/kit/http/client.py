"""The client: one request is one method call, tried again where that may help; what can go wrong is a typed error."""

from __future__ import annotations

import json as jsonlib
import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lollms_modalities.calls.call import current_call
from lollms_modalities.errors import LollmsError, ServiceError, ServiceResponseError
from lollms_modalities.kit.http import reading
from lollms_modalities.kit.http.events import parse_events
from lollms_modalities.kit.http.links import Links
from lollms_modalities.kit.http.reading import Answer as Answer
from lollms_modalities.kit.http.transport import Transport
from lollms_modalities.kit.http.upload import Multipart

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.kit.http.upload import Upload

_E = TypeVar("_E", bound=LollmsError)
_T = TypeVar("_T")

_REDIRECTS = 3
_LONGEST = 1e6  # seconds of any timeout
_LONGEST_PAUSE = 60.0  # seconds between two tries; a server that asks for more is left to the caller


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
        self._secrets = tuple(s for s in secrets if s)
        self._retries = retries
        self._max_bytes = max_bytes
        self._links = Links(address, name, self._secrets)
        self._transport = Transport(
            address, name, headers=headers or {}, secrets=self._secrets, verify=verify,
            # A socket takes no more, and nobody waits for longer.
            timeouts=(min(connect_timeout, _LONGEST), min(read_timeout, _LONGEST)), total=min(total_timeout, _LONGEST),
        )  # fmt: skip

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
        url = self._links.url(path)

        def send(url: str = url) -> Answer:
            with _body(json, fields, files, form) as (body, extra):
                extra = {"Accept": accept, **extra, **(headers or {})}
                return self._transport.ask(call, method, url, body, params, extra, max_bytes or self._max_bytes)

        def ask() -> Answer:
            answer = self._following(method, url, send)
            if answer.status >= 400:
                raise self._error(reading.error_of(answer.status, answer.headers, answer.body, self.name))
            return answer

        return self._trying(call, method, self._retries if retries is None else retries, ask)

    def events(
        self, path: str, *, json: Any = None, fields: Mapping[str, str | Sequence[str]] | None = None,
        files: Mapping[str, Upload | Sequence[Upload]] | None = None, headers: Mapping[str, str] | None = None,
    ) -> Generator[Any, None, None]:  # fmt: skip
        """POST, and the JSON values of the server-sent events that come, one by one, as they come.

        Closing the iterator ends the request. Tried again as ``request`` is, before the answer has begun.

        Raises:
            ServiceError: as ``request``; ``ServiceResponseError`` for an answer that is no stream of events.
            CallCancelled, CallTimeout: the call was stopped; the connection is closed at once.
        """
        call = current_call()
        url = self._links.url(path)

        def begin() -> tuple[ExitStack, Iterator[bytes]]:
            with ExitStack() as stack:
                body, extra = stack.enter_context(_body(json, fields, files, None))
                extra = {"Accept": "text/event-stream", **extra, **(headers or {})}
                status, told, chunks = stack.enter_context(self._transport.opened(call, "POST", url, body, extra))
                if status >= 400:
                    data = reading.bounded(chunks, told.get("Content-Encoding", ""), self._max_bytes)
                    raise self._error(reading.error_of(status, told, data, self.name))
                kind = told.get("Content-Type", "").partition(";")[0].strip().lower()
                if status != 200 or kind != "text/event-stream":
                    raise self._error(
                        ServiceResponseError(
                            f"{self.name} answered {status} with {kind or 'nothing'!r}, not with events."
                        )
                    )
                return stack.pop_all(), chunks

        stack, chunks = self._trying(call, "POST", self._retries, begin)
        with stack:
            yield from parse_events(chunks, self._max_bytes, self.name)

    def _trying(self, call: Call, method: str, left: int, ask: Callable[[], _T]) -> _T:
        """Ask, and again where that may help."""
        for number in range(left + 1):
            try:
                return ask()
            except ServiceError as exc:
                again = exc.retryable and (method == "GET" or _not_begun(exc))
                pause = exc.retry_after if exc.retry_after is not None else 0.5 * 2**number * random.uniform(0.5, 1.5)
                remaining = call.remaining()
                is_late = pause > _LONGEST_PAUSE or (remaining is not None and pause >= remaining)
                if number == left or not again or is_late:
                    raise
            call.pause(pause)
        raise AssertionError("unreachable")

    def fetch(self, url: str, *, hosts: tuple[str, ...], max_bytes: int) -> Answer:
        """GET something that an answer pointed to, without our credentials.

        Args:
            hosts: that may be asked besides the server's own; ``.example.com`` stands for all below it.

        Raises:
            ServiceResponseError: another host, or no https (this machine excepted, where the server is on it).
        """
        self._links.check_foreign(url, hosts)
        answer = self._transport.ask_alone(current_call(), url, {"Accept": "*/*"}, max_bytes)
        if answer.status != 200:
            raise self._error(reading.error_of(answer.status, answer.headers, answer.body, self.name))
        return answer

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._transport.close()

    def _following(self, method: str, url: str, send: Callable[[str], Answer]) -> Answer:
        for _ in range(_REDIRECTS + 1):
            answer = send(url)
            target = self._links.redirect(method, answer)
            if target is None:
                return answer
            url = target
        raise self._error(ServiceResponseError(f"{self.name} redirects in a circle."))

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

    def _error(self, error: _E) -> _E:
        """The error without our secrets."""
        return error.hide(self._secrets)


@contextmanager
def _body(
    json: Any, fields: Mapping[str, str | Sequence[str]] | None, files: Mapping[str, Upload | Sequence[Upload]] | None,
    form: Mapping[str, str] | None,
) -> Iterator[tuple[Any, dict[str, str]]]:  # fmt: skip
    """A request's body, and the header that says what it is."""
    if json is not None:
        yield jsonlib.dumps(json).encode(), {"Content-Type": "application/json"}
    elif files is not None:
        body = Multipart(fields or {}, files)
        try:
            yield body, {"Content-Type": body.content_type}
        finally:
            body.close()
    elif form is not None:
        from urllib.parse import urlencode

        yield urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    else:
        yield None, {}


def _not_begun(error: ServiceError) -> bool:
    """Whether the server cannot have begun with what it was asked, so that asking again makes nothing twice."""
    if error.status is None:
        return getattr(error, "unsent", False)
    return error.status in (408, 429) or (error.status == 503 and error.retry_after is not None)
