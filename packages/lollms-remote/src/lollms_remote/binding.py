"""What the five bindings share: the server in the place of a model, and ways to ask it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lollms_modalities import Audio, LollmsBinding, OptionError, ServiceAuthError, ServiceError, current_call
from lollms_modalities.kit import clean_address

from lollms_remote.server import PATHS, RemoteSettings, Server

if TYPE_CHECKING:
    from lollms_modalities.kit.http.client import HttpClient


class Remote(LollmsBinding):
    """What the five bindings share: the server in the place of a model."""

    engine = "lollms-server"
    concurrency = 64
    settings: RemoteSettings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        clean_address(self.settings.host_address, strip=PATHS)

    def load_model(self) -> Server:
        return Server(self.settings)

    def free_model(self, model: Server) -> None:
        model.close()

    @contextmanager
    def asked(self) -> Iterator[Server]:
        """The server, for lists: what is listed is no reason to keep connections."""
        own = not self.loaded
        server = self.load_model() if own else self.model
        try:
            yield server
        except ServiceError as exc:
            server.explain(exc)
            raise
        finally:
            if own:
                server.close()

    @contextmanager
    def asking(self) -> Iterator[Server]:
        """The server, for what it is to make."""
        server: Server = self.model
        try:
            yield server
        except ServiceError as exc:
            server.explain(exc)
            raise


def tell_unused(server: Server, strict: bool, **options: Any) -> None:
    """Say which of the options that were given the server cannot take.

    Raises:
        OptionError: there are some, and ``strict``.
    """
    unused = [name for name, value in options.items() if value is not None]
    if not unused:
        return
    said = f"A server that speaks {server.protocol!r} does not take {' and '.join(unused)} here."
    if strict:
        raise OptionError(said, hint="Leave that out, or leave strict out: then it is told in a warning.", names=unused)
    warnings.warn(f"{said} The server does without.", stacklevel=3)


@contextmanager
def waiting_for(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock, unless the call is stopped while it is waited for."""
    while not lock.acquire(timeout=0.05):
        current_call().check()
    try:
        yield
    finally:
        lock.release()


def as_wanted(audio: Audio) -> Audio:
    """The server's sound: as WAV, unless the caller has asked for a format, which it is then brought into elsewhere."""
    call = current_call()
    return audio if call.output_format is not None or call.original or audio.format == "wav" else audio.convert("wav")


def asked_to_make(client: HttpClient, path: str, failed: list[ServiceError], **request: Any) -> Any:
    """What a POST that makes something gives; a 500 that is the engine's failure is noted in ``failed``."""
    try:
        return client.post_json(path, **request)
    except ServiceError as exc:
        if exc.status == 500 and (getattr(exc, "keys", None) or _is_there(client, path)):
            failed.append(exc)
        raise


def _is_there(client: HttpClient, path: str) -> bool:
    """Whether a server that answers 500 without words knows the path: then it misses what nothing lacks."""
    try:
        client.post_json(path, {}, retries=0)
    except ServiceError as exc:
        return exc.status in (400, 422)
    return True


def first_that_works(ways: Iterable[Callable[[], Any]], final: Sequence[ServiceError] = ()) -> Any:
    """The first result; the errors of those before are told by the last one's, which is raised.

    Args:
        final: errors after which nothing is asked to do it again in another way.
    """
    failed: list[ServiceError] = []
    for way in ways:
        try:
            return way()
        except ServiceAuthError:
            raise
        except ServiceError as exc:
            if exc.status is None and exc.retryable:
                raise  # it is not there at all
            if exc in final:
                raise
            failed.append(exc)
    last = failed[-1]
    if len(failed) > 1:
        last.message = " ".join(error.message for error in failed)
        last.args = (last.message,)
    raise last
