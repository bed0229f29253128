"""The host's side of one worker."""

from __future__ import annotations

import os
import time
from queue import Empty
from typing import TYPE_CHECKING

from lollms_modalities.calls.handlers import raised_by_handler
from lollms_modalities.errors import BindingIncompatibleError, LollmsError, WorkerCrashedError
from lollms_modalities.version import __version__
from lollms_modalities.workers import protocol
from lollms_modalities.workers.channel import Channel
from lollms_modalities.workers.exchange import Disconnected
from lollms_modalities.workers.interpreter import core_mend
from lollms_modalities.workers.masking import declared_variables
from lollms_modalities.workers.paths_here import paths_here
from lollms_modalities.workers.places import STARTING, is_leaving, is_service
from lollms_modalities.workers.pulse import FramePulse, give_pulse
from lollms_modalities.workers.request import Request
from lollms_modalities.workers.values import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from lollms_modalities.calls.call import Call
    from lollms_modalities.workers.places import Running
    from lollms_modalities.workers.policy import Spec
    from lollms_modalities.workers.protocol import Buffer, Json


class Worker:
    """One worker: what its place has started, and the connection to it.

    Attributes:
        process: what its place has started.
        ready: what it said of the binding when that was made.
        started: whether it has the binding, with the settings of now: others than its starter may ask it.
        users: whose requests it runs now, and whether they are verbs; ``done``: how many it has ended.
        begun: whether its place has started it; before that it has neither ``process`` nor ``channel``.
        unfit: whether it did not take settings that the others have: it ends with its last request.
        idle_since: the time of ``time.monotonic`` since which it runs no request, where it runs none.
        on_end: called in a thread when its process has ended.
    """

    process: Running
    channel: Channel

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.begun = False
        self._starting: Running | None = None  # what its place has started so far
        self._unwanted = ""  # why it is not to be begun any more
        self.ready: Json = {}
        self.started = False
        # A dict, so that whoever was interrupted while giving it back may do so again.
        self.users: dict[object, bool] = {}
        self.done = 0
        self.memory = 0
        self.first_memory = 0
        self.reported = False
        self.unfit = False
        self.idle_since = 0.0
        self.on_end: Callable[[], object] | None = None

    def begin(self, *, own: bool) -> None:
        """Have its place start it.

        Raises:
            WorkerCrashedError: it could not be started; and what the place raises.
        """
        try:
            self._start(own)
            self.channel = Channel(self.process.sock)
            self.channel.begin()
            if getattr(self.process, "wants_pulse", False):
                give_pulse(FramePulse(self.channel))
            # What the engine has started may keep the connection open: it ends with the worker itself.
            self.process.reap(self._ended)
            self.begun = True
        except BaseException:  # Ctrl-C: nobody else knows of it yet
            if (process := vars(self).get("process")) is not None:
                process.kill("it could not be started", 0.0)
                process.reap(lambda: None)
            raise
        if self._unwanted:
            self.process.kill(self._unwanted, 0.0)

    def _start(self, own: bool) -> None:
        # The place may pass them on in ways of its own.
        self.spec.secrets.note_variables(self.spec.policy.variables)
        told = STARTING.set(self._starts)
        try:
            self.process = self.spec.place.start(self.spec, own=own)
        except LollmsError as exc:  # also where it is an OSError
            if self._unwanted:  # which is why it failed
                raise WorkerCrashedError(f"{self.spec} is gone: {self._unwanted}.", cause=self._unwanted) from exc
            raise
        except OSError as exc:
            if raised_by_handler(exc):
                raise
            raise WorkerCrashedError(
                f"{self.spec} could not be started: {exc}.",
                hint="Look whether its interpreter is still there, and whether the system has room for a process.",
                cause=str(exc),
            ) from exc
        finally:
            STARTING.reset(told)

    def abandon(self) -> None:
        """Whoever waits for its start does so no more. One that has begun is told by its requests."""
        if not self.begun:
            self.kill("it is not wanted any more", 0.0)

    def _starts(self, process: Running) -> None:
        self._starting = process
        if self._unwanted:
            process.kill(self._unwanted, 0.0)

    def _ended(self) -> None:
        self.channel.close()
        if self.on_end is not None:
            self.on_end()

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End it at once, or as soon as it has begun. As ``Running.kill``."""
        self._unwanted = because
        if self.begun:
            self.process.kill(because, wait)
        elif self._starting is not None:
            self._starting.kill(because, wait)

    def forget(self) -> None:
        """In a forked child: it is the parent's."""
        if self.begun:
            self.channel.forget()
            self.process.forget()

    @property
    def calls(self) -> int:
        """How many verbs it runs now."""
        return sum(self.users.values())

    def worn(self) -> bool:
        """Whether it has run as many calls, or grown by as many bytes, as it may."""
        policy, grown = self.spec.policy, self.memory - self.first_memory
        if policy.max_calls is not None and self.done >= policy.max_calls:
            return True
        return policy.max_growth is not None and grown > policy.max_growth

    @property
    def leaving(self) -> bool:
        """Whether it is to get no more requests, since its place is about to take it away."""
        return self.begun and is_leaving(self.process)

    @property
    def alive(self) -> bool:
        """Whether requests can be sent to it, now or when it has begun."""
        return not self.begun or not self.channel.closed

    def open(self, call: Call) -> None:
        """Wait until it has found the binding's class.

        Raises:
            BindingIncompatibleError: it speaks another protocol.
            BindingUnavailableError: the binding is not to be had there.
            WorkerCrashedError: it ended, or took too long.
        """
        hello = {
            "type": protocol.HELLO,
            "protocol": protocol.VERSION,
            "minor": protocol.MINOR,
            "core": __version__,
            "modality": self.spec.modality,
            "name": self.spec.name,
            "directory": self.spec.directory if self.spec.place.shares_files else None,
            "distribution": self.spec.distribution,
            "shares_files": self.spec.place.shares_files,
        }
        self.ready = self._begin(call, hello, [])
        self.channel.minor = min(protocol.MINOR, self.ready.get("minor", 0))
        if self.ready["protocol"] != protocol.VERSION:
            self.process.kill("it speaks another protocol")
            raise BindingIncompatibleError(
                f"{self.spec} has lollms-modalities-core {self.ready['core']}, which speaks version "
                f"{self.ready['protocol']} of the protocol. Here is {__version__}, with version {protocol.VERSION}.",
                hint=core_mend(self.spec),
            )

    def make(self, call: Call) -> None:
        """Wait until it has made the binding. Raises what that raised, or ``WorkerCrashedError``."""
        described = self.ready["description"]["settings"]
        for given in (self.spec.settings, self.spec.shared):
            self.spec.secrets.note(given, described)
        # A service's binding was made by others: it is told neither what this program's environment holds nor the
        # settings, keys among them, that are meant for whatever takes them.
        service = is_service(self.spec.place)
        variables = [] if service else declared_variables(described)
        declared = {n: os.environ[n] for n in variables if n in os.environ}
        self.spec.secrets.note_variables(declared)
        out: list[Buffer] = []
        message = {
            "type": protocol.MAKE,
            "variables": {n: v for n, v in declared.items() if n not in self.spec.policy.variables},
            "settings": pack(self.spec.settings, out),
            "shared": pack({} if service else self.spec.shared, out),
        }
        if not service and not self.spec.place.shares_files:
            message["here"] = paths_here({**self.spec.shared, **(self.spec.settings or {})}, described)
        self.ready |= self._begin(call, message, out)

    def catch_up(self, call: Call) -> None:
        """Take over settings that were changed while it started."""
        out: list[Buffer] = []
        message = {
            "type": protocol.CALL,
            "name": "set_settings",
            "positional": pack([self.spec.settings], out),
            "arguments": {},
        }
        self._begin(call, message, out)

    def _begin(self, call: Call, message: Json, out: list[Buffer]) -> Json:
        try:
            # Nothing of the user's runs yet, so that there is nothing to be gentle with.
            return Request(self, call, message, out, grace=0.0, limit=self.spec.policy.start_timeout).result()[0]
        except BaseException:
            self.process.kill("it could not be started")
            raise

    def stop(self) -> None:
        """End it: the binding is closed, and what does not end in time is killed."""
        if not self.begun:
            self.kill("it was stopped")
            return
        if self.alive and self.started:
            exchange = self.channel.exchange()
            until = time.monotonic() + self.spec.policy.grace
            try:
                exchange.send({"type": protocol.BYE}, (), lambda: _in_time(until))
                exchange.get(timeout=self.spec.policy.grace)
                self.process.wait(0.5)
            except (Disconnected, Empty, _Late):
                pass  # it is killed below
            except BaseException:  # Ctrl-C: whoever stops it has let go of it
                self.process.kill("it was stopped", 0.0)
                raise
        self.process.kill("it was stopped")
        self.channel.close()
        self.process.wait(5.0)
        self.channel.ended.wait(5.0)

    def crash(self) -> WorkerCrashedError:
        """The error that says how it ended."""
        self.channel.ended.wait(1.0)  # what it has said is read to its end, which may tell why
        cause = self.process.cause()
        if self.channel.stolen and not self.process.killed_because:
            cause = "the connection to it was closed"
        elif self.channel.fault:
            cause = f"it said what nobody understands ({self.spec.secrets.clean(self.channel.fault):.200})"
        lines = self.process.last_lines()
        hint = "" if lines else "It printed nothing."
        if is_service(self.spec.place):
            hint = "The next call opens another session."
        said = "".join(f"\n  {line}" for line in lines)
        return WorkerCrashedError(
            f"{self.spec} is gone: {cause}." + (f" It last printed:{said}" if lines else ""),
            hint=hint,
            cause=cause,
            exit_code=self.process.exit_code,
            last_lines=lines,
        )


class _Late(Exception):
    """It takes nothing in, and its time is over."""


def _in_time(until: float) -> None:
    if time.monotonic() >= until:
        raise _Late
