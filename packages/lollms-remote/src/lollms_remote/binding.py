"""What the five bindings share: the server in the place of a model, and ways to ask it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lollms_modalities import Audio, LollmsBinding, OptionError, ServiceAuthError, ServiceError, current_call
from lollms_modalities.kit import clean_address

from lollms_remote.server import PATHS, RemoteSettings, Server


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


def first_that_works(ways: list[Callable[[], Any]], of_the_engine: Sequence[Callable[[], Any]] = ()) -> Any:
    """The first result; the errors of those before are told by the last one's, which is raised.

    Args:
        of_the_engine: ways of which a 500 with words (JSON) means that the server's engine failed.
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
            if exc.status == 500 and way in of_the_engine and getattr(exc, "keys", None):
                raise  # which failed, and is not asked to do it again in another way
            failed.append(exc)
    last = failed[-1]
    if len(failed) > 1:
        last.message = " ".join(error.message for error in failed)
        last.args = (last.message,)
    raise last
