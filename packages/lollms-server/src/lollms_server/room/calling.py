"""A call from its arrival to its end: counted, queued, given a loaded binding, run, stopped, released.

Its place is given back when the engine has really ended, also where nobody waits for the result any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from lollms_modalities import (
    AudioChunk,
    CallTimeout,
    LollmsBinding,
    LollmsError,
    Progress,
    Segment,
    UnsupportedError,
)

from lollms_server.room.callers import Caller
from lollms_server.room.errors import Ending, Later, ModelNotServed, QueueFull
from lollms_server.room.inputs import LISTS, check_arguments, check_listed
from lollms_server.room.log import log_call
from lollms_server.room.metrics import Metrics, outcome_of, sound_of
from lollms_server.room.models import Chosen
from lollms_server.room.residency import Residency
from lollms_server.room.resident import Resident
from lollms_server.room.running import RunningCall
from lollms_server.room.streaming import OnLoop, RoomStream
from lollms_server.room.tasks import Tasks
from lollms_server.room.usage import Usage

_END: Any = object()


class Asked:
    """What a surface asks for: a verb with its arguments, and how it is to be treated."""

    def __init__(
        self, verb: str, args: tuple[Any, ...], options: dict[str, Any], *, stream: bool,
        progress: Callable[[Progress], object] | None, deadline: float | None, keep_alive: float | None,
    ) -> None:  # fmt: skip
        self.verb = verb
        self.args = args
        self.options = options
        self.stream = stream
        self.progress = progress
        self.deadline = deadline
        self.keep_alive = keep_alive


class Calling:
    """The calls under way in a room."""

    def __init__(self, residency: Residency, usage: Usage, metrics: Metrics) -> None:
        self.calls: dict[str, RunningCall] = {}
        self.ending = False
        self.idle = asyncio.Event()  # set while no call is under way
        self.idle.set()
        self._residency = residency
        self._usage = usage
        self._metrics = metrics
        self._having: Counter[str] = Counter()  # calls under way, by caller
        self._stopping = ThreadPoolExecutor(4, "lollms-stopping")
        self._tasks = Tasks()

    async def call(
        self, resident: Resident, chosen: Chosen, caller: Caller, request_id: str | None, asked: Asked
    ) -> Any:
        """Run a verb that gives one result."""
        call = self._arrived(resident, chosen, caller, request_id, asked.verb)
        binding = await self._begun(call, resident, asked)
        future: Future[Any] | None = None
        result: Any = None
        error: BaseException | None = None
        try:
            future = resident.submit(self._bound(call, binding, asked))
            result = await asyncio.wrap_future(future)
            return result
        except asyncio.CancelledError as exc:
            error = exc
            self.stop(call, "whoever asked has gone")
            raise
        except Exception as exc:
            error = exc
            raise
        finally:
            sound = sound_of(result)
            if future is None or future.done():
                self._ended(call, resident, asked, sound, error)
            else:
                self._tasks.start(self._ended_with(future, call, resident, asked, error))

    async def items(
        self, stream: RoomStream, resident: Resident, chosen: Chosen, caller: Caller, request_id: str | None,
        asked: Asked,
    ) -> AsyncIterator[Any]:  # fmt: skip
        """Run a verb that gives a stream, step by step."""
        call = self._arrived(resident, chosen, caller, request_id, asked.verb)
        binding = await self._begun(call, resident, asked)
        opened: Any = None
        step: Future[Any] | None = None
        error: BaseException | None = None
        sound = 0.0
        try:
            opened = await asyncio.wrap_future(step := resident.submit(self._bound(call, binding, asked)))
            while (item := await asyncio.wrap_future(step := resident.submit(next, opened, _END))) is not _END:
                if call.first is None:
                    call.first = time.monotonic()
                sound = _heard(sound, item)
                yield item
            stream.provenance = opened.provenance
        except (asyncio.CancelledError, GeneratorExit) as exc:
            error = exc
            self.stop(call, "whoever asked has gone")
            raise
        except Exception as exc:
            error = exc
            raise
        finally:
            if step is None or (step.done() and (error is None or isinstance(error, Exception))):
                self._ended(call, resident, asked, sound or None, error)
            else:
                self._tasks.start(self._stream_ended(step, opened, call, resident, asked, error))

    def stop(self, call: RunningCall, why: str) -> None:
        """Cancel a call, in the queue or in the engine."""
        call.stop(why)
        # In a thread: what is called at a cancel may write to a worker that does not read.
        with contextlib.suppress(RuntimeError):  # after the end, when all have been cancelled
            self._stopping.submit(call.token.cancel, why)

    def _arrived(
        self, resident: Resident, chosen: Chosen, caller: Caller, request_id: str | None, verb: str
    ) -> RunningCall:
        request_id = request_id or secrets.token_hex(16)
        call_id = request_id if request_id not in self.calls else secrets.token_hex(16)
        call = RunningCall(call_id, request_id, chosen, caller, verb)
        try:
            if self.ending:
                raise Ending("The server ends.", hint="Ask again in a while.", retry_after=10.0)
            self._usage.check(caller)
            if caller.at_once is not None and self._having[caller.who] >= caller.at_once:
                raise QueueFull(
                    f"{caller.at_once} calls with this key are under way, which is as many as may be.",
                    hint="Ask again when one has ended.",
                    retry_after=resident.queue.next_end(),
                )
        except Later as exc:
            self._refused(call, exc)
            raise
        self.calls[call.id] = call
        self._having[caller.who] += 1
        self.idle.clear()
        return call

    async def _begun(self, call: RunningCall, resident: Resident, asked: Asked) -> LollmsBinding:
        """Wait for the call's turn and for its binding."""
        queue, entered, holding = resident.queue, False, False
        limit = _least(asked.deadline, call.chosen.served.timeout)
        call.until = None if limit is None else call.began + limit
        try:
            async with asyncio.timeout(limit) as scope:
                call.scope = scope
                await queue.enter(call, call.caller.who)
                entered = True
                call.admitted, call.state = time.monotonic(), "running"
                binding = await self._residency.begin(resident)
                holding = True
                if resident.at_once != queue.at_once:
                    queue.resize(resident.at_once)
                call.loading = time.monotonic() - call.admitted
                await self._check(resident, binding, call.chosen, asked)
                call.scope = None
                return binding
        except BaseException as exc:
            error: BaseException = exc
            if isinstance(exc, TimeoutError) and not isinstance(exc, LollmsError):
                error = call.stopped_error() if call.stopped else CallTimeout(
                    f"{call.chosen.name}: the call waited for its turn for {limit:g} seconds.",
                    hint="Ask again later, or with more time.",
                )  # fmt: skip
            if holding:
                self._residency.done(resident, resident.served.keep_alive)
            if entered:
                queue.leave(call, None)
            self._forget(call)
            self._refused(call, error)
            if error is exc:
                raise
            raise error from None

    async def _check(self, resident: Resident, binding: LollmsBinding, chosen: Chosen, asked: Asked) -> None:
        """Whether the verb is one of the binding's, and its arguments fit for a server."""
        assert resident.description is not None
        verb = _verb(resident.description["verbs"], asked.verb)
        if verb is None or not hasattr(binding, asked.verb):
            raise UnsupportedError(
                f"{chosen.name} cannot do {asked.verb!r:.60}.", hint="Its description lists its verbs."
            )
        if verb["stream"] != asked.stream:
            gives = "a stream" if verb["stream"] else "one result"
            raise UnsupportedError(
                f"{asked.verb!r} gives {gives}.", hint="Its description says which verbs give which."
            )
        described = {"options": resident.description["options"], **verb}
        if chosen.model is not None:
            if "model" not in verb["params"] and "model" not in described["options"].get("properties", {}):
                raise ModelNotServed(
                    f"{chosen.served.name} takes no model for a call, such as {chosen.model!r:.60}.",
                    hint=f"Ask for {chosen.served.name!r}.",
                )
            asked.options["model"] = chosen.model
        check_arguments(described, asked.args, asked.options)
        given = {**dict(zip(verb["params"], asked.args, strict=False)), **asked.options}
        for kind, name in LISTS.items():
            value = given.get(kind)
            if isinstance(value, str) and hasattr(binding, name) and value not in chosen.served.voices.values():
                if value not in resident.lists.get(kind, ()):
                    resident.lists[kind] = frozenset(await resident.aside(getattr(binding, name)))
                check_listed(kind, value, resident.lists[kind])

    def _bound(self, call: RunningCall, binding: LollmsBinding, asked: Asked) -> Callable[[], Any]:
        controls: dict[str, Any] = {"cancel": call.token}
        if call.until is not None:
            controls["timeout"] = max(0.001, call.until - time.monotonic())
        if asked.progress is not None:
            controls["progress"] = OnLoop(call, asked.progress)
        return lambda: getattr(binding, asked.verb)(*asked.args, **asked.options, **controls)

    async def _ended_with(
        self, future: Future[Any], call: RunningCall, resident: Resident, asked: Asked, error: BaseException | None
    ) -> None:
        await _end_of(future)
        self._ended(call, resident, asked, None, error)

    async def _stream_ended(
        self, step: Future[Any], opened: Any, call: RunningCall, resident: Resident, asked: Asked,
        error: BaseException | None,
    ) -> None:  # fmt: skip
        await _end_of(step)
        if opened is None and not step.cancelled() and step.exception() is None:
            opened = step.result()
        if opened is not None:
            await _end_of(resident.submit(opened.close))
        self._ended(call, resident, asked, None, error)

    def _ended(
        self, call: RunningCall, resident: Resident, asked: Asked, sound: float | None, error: BaseException | None
    ) -> None:
        served = resident.served
        seconds = resident.queue.leave(call, call.loading)
        keep_alive = served.keep_alive
        if asked.keep_alive is not None and (
            call.caller.is_admin or keep_alive is None or asked.keep_alive < keep_alive
        ):
            keep_alive = asked.keep_alive
        self._residency.done(resident, keep_alive)
        self._usage.add(call.caller, seconds)
        self._forget(call)
        self._metrics.ended(call, seconds, sound, error)
        self._log(call, error, seconds)

    def _forget(self, call: RunningCall) -> None:
        del self.calls[call.id]
        self._having[call.caller.who] -= 1
        if not self._having[call.caller.who]:
            del self._having[call.caller.who]
        if not self.calls:
            self.idle.set()

    def _refused(self, call: RunningCall, error: BaseException) -> None:
        self._metrics.refused(call.chosen.served.name, error)
        self._log(call, error, None)

    def _log(self, call: RunningCall, error: BaseException | None, seconds: float | None) -> None:
        began = call.began
        log_call(
            request=call.request_id,
            key=call.caller.key_name,
            address=None if call.caller.key_name else call.caller.address,
            modality=call.chosen.served.modality,
            model=call.chosen.name,
            verb=call.verb,
            outcome="refused" if seconds is None else outcome_of(error),
            error=None if error is None else type(error).__name__,
            waited=round((call.admitted or time.monotonic()) - began, 4),
            first=None if call.first is None else round(call.first - began, 4),
            engine=None if seconds is None else round(seconds, 4),
            whole=round(time.monotonic() - began, 4),
        )

    def close(self) -> None:
        """No thread is started any more."""
        self._stopping.shutdown(wait=False)


def _verb(verbs: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A verb of a binding's description, or what the core makes of one."""
    if name == "stream_encoded" and (spoken := verbs.get("stream_audio")) is not None:
        return {**spoken, "params": [*spoken["params"], "output_format"]}
    return verbs.get(name)


async def _end_of(future: Future[Any]) -> None:
    """Wait until it has ended, however."""
    waiter = asyncio.wrap_future(future)
    await asyncio.wait([waiter])
    if not waiter.cancelled():
        waiter.exception()  # which nobody waits for any more


def _heard(sound: float, item: Any) -> float:
    """Seconds of sound so far, with those of an item of a stream."""
    if isinstance(item, AudioChunk):
        return sound + len(item.pcm) / (2 * item.channels * item.sample_rate)  # without numpy, which `duration` needs
    return max(sound, item.end or 0.0) if isinstance(item, Segment) else sound


def _least(*seconds: float | None) -> float | None:
    return min((s for s in seconds if s is not None), default=None)
