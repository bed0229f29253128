"""Where workers run. A *place* starts a worker and gives back the connection to it; all else is the same everywhere.

A process of this machine is the first place. ``finding_places`` finds the others, by name or address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lollms_modalities.workers.process import WorkerProcess

if TYPE_CHECKING:
    from lollms_modalities.workers.channel import Connection
    from lollms_modalities.workers.policy import Spec


class Running(Protocol):
    """A worker that a place has started, as the host sees it.

    Every method may be called from any thread, and again. None may raise because the worker has ended. Where the
    attribute ``wants_pulse`` is there and true, the host sends a frame of type ``pulse`` each second. It may have
    ``leaving``, too: see ``is_leaving``.
    """

    @property
    def sock(self) -> Connection:
        """The connected stream socket whose other end the worker serves. The host closes it."""

    @property
    def killed_because(self) -> str:
        """Why ``kill`` was called first; "" if it was not, or came after the end."""

    @property
    def exit_code(self) -> int | None:
        """As ``subprocess`` has it: negative for a signal; None while it runs, and where it is not known."""

    def reap(self, ended: Callable[[], object]) -> None:
        """Called once, right after the start: call ``ended``, in a thread, when the worker has ended."""

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End it and all that it started, without asking it, and wait for that for at most ``wait`` seconds.

        With 0 it must neither block nor take a lock: the garbage collector may ask for it, in the middle of anything.
        """

    def wait(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds until it has ended and what it printed has been read."""

    def cause(self) -> str:
        """Why it ended, as the end of "the worker is gone: ...". May wait a second for the news."""

    def last_lines(self) -> list[str]:
        """The last lines that it printed; none where they are not known."""

    def forget(self) -> None:
        """In a forked child: it is the parent's. Let go of it without ending it."""


@runtime_checkable
class Place(Protocol):
    """Where workers run. One object serves all bindings there, and several threads."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def shares_files(self) -> bool:
        """Whether a path names the same file there as here.

        Where it does not, the host sends media as bytes, asks for results as bytes and writes ``output_path`` itself;
        settings that are paths, and folders of the interpreter, mean the files that are there.
        """

    # A place may have ``is_service``, ``is_here`` and ``check``, too: see ``is_service``, ``has_our_environments`` and
    # ``check_place``.

    def start(self, spec: Spec, *, own: bool) -> Running:
        """Start a worker, ``python -m lollms_modalities.workers.worker FD`` with FD its end of the connection.

        The process must lead a process group of its own, which the worker ends when the connection does. A start may
        take its time, within ``spec.policy.start_timeout``: calls that other workers run are not held up.

        Args:
            spec: what it is for. ``spec.python`` is the interpreter, ``spec.environment`` the environment's name where
                one was asked for, ``spec.variables(own=own)`` what this program's environment gives to it, and what it
                prints is fed to ``spec.output()``.
            own: whether it is to be the Python that runs here, or its like.

        Raises:
            OSError: it could not be started; told as a ``WorkerCrashedError``.
            LollmsError: anything else that is wrong, which reaches the caller as it is.
        """


def is_service(place: Place) -> bool:
    """Whether a place has bindings that others have made and share, as a server has.

    Such a one is given no environment variable of this program's, and no setting that was not given for this binding.
    """
    return bool(getattr(place, "is_service", False))


def has_our_environments(place: Place) -> bool:
    """Whether ``environment=`` names an environment of this machine there, which is looked for here.

    So it is where files are shared, and at a place of this machine that keeps them apart: one with ``is_here``.
    """
    return place.shares_files or bool(getattr(place, "is_here", False))


def check_place(place: Place) -> None:
    """Raise the ``LollmsError`` that says what a place lacks here, if it has a ``check`` of its own. Starts nothing."""
    check = getattr(place, "check", None)
    if callable(check):
        check()


def is_leaving(running: Running) -> bool:
    """Whether a worker is to be given nothing more to do: its place says so by ``leaving``, a reason.

    So does one whose machine is about to be taken away. What it runs ends there.
    """
    return bool(getattr(running, "leaving", ""))


def tell_starting(running: Running) -> None:
    """Called by a place while its ``start`` runs: ``kill`` of this one ends the start, if nobody wants it any more."""
    if (starting := STARTING.get()) is not None:
        starting(running)


class ProcessPlace:
    """A process of this machine, in a session of its own. A place that adds something to that may derive from it."""

    name = "process"
    shares_files = True

    def start(self, spec: Spec, *, own: bool) -> WorkerProcess:
        """Start the interpreter of ``spec``."""
        return WorkerProcess(spec.python, spec.output(), spec.variables(own=own), own=own, lock=spec.lock)


PROCESS = ProcessPlace()
STARTING: ContextVar[Callable[[Running], object] | None] = ContextVar("lollms_starting", default=None)
"""While a place's ``start`` runs, takes what it has begun, which may have to be killed before."""
PlaceGiven = Place | str | Mapping[str, Any]  # as ``finding_places.find_place`` takes it
