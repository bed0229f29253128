"""What stops calls, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lollms_modalities.calls import waits
from lollms_modalities.errors import OptionError

Remover = Callable[[], None]


class CancelToken:
    """Cancels the calls it was given to, from any thread. One token may serve several calls, and stays cancelled."""

    def __init__(self) -> None:
        self._stops = Stops()
        self._callbacks = self._stops.functions
        self.reason = ""

    @property
    def cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._stops.called

    def cancel(self, reason: str = "") -> None:
        """Cancel; every function given to ``on_cancel`` runs, in this thread. Again does nothing."""
        if not self._stops.called:
            self.reason = reason
        run_all(self._stops.take())

    def on_cancel(self, fn: Callable[[], object]) -> Remover:
        """Call ``fn`` when cancelled, at once if that has happened. Gives a function that takes ``fn`` back."""
        return self._stops.add(fn)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until cancelled; whether it was within ``timeout`` seconds."""
        woken = threading.Event()
        remove = self.on_cancel(woken.set)
        try:
            return waits.wait(woken.wait, timeout)
        finally:
            remove()


def checked_token(cancel: object) -> CancelToken:
    """What ``cancel=`` was given. Raises ``OptionError`` where it is no token."""
    if not isinstance(cancel, CancelToken):
        raise OptionError(f"cancel={cancel!r} is no CancelToken.", hint="Make one: token = CancelToken().")
    return cancel


class Stops:
    """Functions to be called once, at a stop.

    Without a lock: a signal handler may stop what the code that it interrupts is just adding to, and a forked child
    has no thread that would let go of one. Single operations of a dict need none.
    """

    __slots__ = ("called", "functions")

    def __init__(self) -> None:
        self.called = False
        self.functions: dict[object, Callable[[], object]] = {}

    def add(self, fn: Callable[[], object]) -> Remover:
        """Have ``fn`` called, now if the stop has come. Gives a function that takes ``fn`` back."""
        key = object()
        functions = self.functions
        functions[key] = fn
        # Whoever takes it out calls it: this, or a stop that came meanwhile.
        if self.called and functions.pop(key, None) is not None:
            fn()

        def take_back() -> None:
            functions.pop(key, None)

        return take_back

    def take(self) -> list[Callable[[], object]]:
        """What is to be called now that the stop has come; nobody else is given it."""
        self.called = True
        functions, taken = self.functions, []
        while functions:
            try:
                taken.append(functions.popitem()[1])
            except KeyError:  # taken back meanwhile
                break
        return taken[::-1]

    def clear(self) -> None:
        """Call none of them any more."""
        if self.functions:
            self.functions = {}


def run_all(callbacks: list[Callable[[], object]]) -> None:
    """Run each, also after one has raised; the first exception is raised at the end."""
    first: BaseException | None = None
    for fn in callbacks:
        try:
            fn()
        except BaseException as exc:
            first = first or exc
    if first is not None:
        raise first
