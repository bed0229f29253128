"""A call from its arrival to its end: counted, queued, given a loaded binding, run, stopped, released.

Its place is given back when the engine has really ended, also where nobody waits for the result any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lollms_modalities import (
    AudioChunk,
    CallTimeout,
    EncodedStream,
    LollmsBinding,
    LollmsError,
    Segment,
    WorkerRestartError,
)

from lollms_server.room.ahead import Ahead
from lollms_server.room.asked import Asked
from lollms_server.room.callers import Caller
from lollms_server.room.errors import Ending, Later, QueueFull
from lollms_server.room.log import log_call
from lollms_server.room.metrics import Metrics, outcome_of, sound_of
from lollms_server.room.models import Chosen
from lollms_server.room.recorded import RecordedVoices
from lollms_server.room.residency import Residency
from lollms_server.room.running import RunningCall
from lollms_server.room.streaming import OnLoop, RoomStream
from lollms_server.room.tasks import Tasks
from lollms_server.room.threads import Step
from lollms_server.room.usage import Usage


class Calling:
    """The calls under way in a room."""

    def __init__(self, residency: Residency, usage: Usage, metrics: Metrics, recorded: RecordedVoices) -> None:
        self.calls: dict[str, RunningCall] = {}
        self.ending = False
        self.idle = asyncio.Event()  # set while no call is under way
        self.idle.set()
        self._residency = residency
        self._usage = usage
        self._metrics = metrics
        self._recorded = recorded
        self._having: Counter[str] = Counter()  # calls under way, by caller
        self._stopping = ThreadPoolExecutor(4, "lollms-stopping")
        self._tasks = Tasks()

    async def call(self, chosen: Chosen, caller: Caller, request_id: str | None, asked: Asked) -> Any:
        """Run a verb that gives one result."""
        resident = await self._residency.of(chosen)
        call = self._arrived(RunningCall(request_id, chosen, caller, asked, resident))
        binding = await self._begun(call)
        step: Step[Any] | None = None
        result: Any = None
        error: BaseException | None = None
        try:
            step = resident.submit(self._bound(call, binding))
            result = await step.result()
            return result
        except asyncio.CancelledError as exc:
            error = exc
            self.stop(call, "whoever asked has gone")
            raise
        except Exception as exc:
            error = exc
            raise
        finally:
            if step is None or step.ended:
                self._ended(call, error, sound_of(result))
            else:
                self._tasks.start(self._ended_with(call, step, error))

    async def items(
        self, stream: RoomStream, chosen: Chosen, caller: Caller, request_id: str | None, asked: Asked
    ) -> AsyncIterator[list[Any]]:
        """Run a verb that gives a stream: its items, of which those that come together are given together."""
        resident = await self._residency.of(chosen)
        call = self._arrived(RunningCall(request_id, chosen, caller, asked, resident))
        binding = await self._begun(call)
        opened: Any = None
        ahead: Ahead | None = None
        step: Step[Any] | None = None
        error: BaseException | None = None
        sound = 0.0
        watch: asyncio.TimerHandle | None = None
        try:
            opened = await (step := resident.submit(self._bound(call, binding))).result()
            ahead = Ahead(opened, resident.submit)
            if call.until is not None:
                watch = asyncio.get_running_loop().call_later(
                    call.until - time.monotonic(), self._overdue, call, opened, ahead
                )
            while items := await ahead.several():
                if call.first is None:
                    call.first = time.monotonic()
                if isinstance(opened, EncodedStream):
                    sound, items = opened.duration, [b"".join(items)]
                else:
                    sound = _heard(sound, items)
                call.resting = True
                yield items
                call.resting = False
                if call.overdue is not None:
                    raise call.overdue
            stream.provenance = opened.provenance
        except (asyncio.CancelledError, GeneratorExit) as exc:
            error = exc
            self.stop(call, "whoever asked has gone")
            raise
        except Exception as exc:
            error = exc
            raise
        finally:
            if watch is not None:
                watch.cancel()
            last, failed = (step, step and step.error) if ahead is None else (ahead.step, ahead.error)
            if step is None or error is None or error is failed:
                self._ended(call, error, sound or None)
            else:
                self._tasks.start(self._stream_ended(call, last, opened, error))

    def _overdue(self, call: RunningCall, opened: Any, ahead: Ahead) -> None:
        """A stream is out of time. If nobody takes its items, nobody would give its place back."""
        if call.resting and call.id in self.calls:
            call.overdue = CallTimeout(
                f"{call.chosen.name}: the stream was not read to its end in time.", hint="Read faster, or ask for less."
            )
            self._tasks.start(self._stream_ended(call, ahead.step, opened, call.overdue))

    def stop(self, call: RunningCall, why: str) -> None:
        """Cancel a call, in the queue or in the engine."""
        call.stop(why)
        # In a thread: what is called at a cancel may write to a worker that does not read.
        with contextlib.suppress(RuntimeError):  # after the end, when all have been cancelled
            self._stopping.submit(call.token.cancel, why)

    def _arrived(self, call: RunningCall) -> RunningCall:
        if call.id in self.calls:
            call.id = secrets.token_hex(16)
        caller = call.caller
        try:
            if self.ending:
                raise Ending("The server ends.", hint="Ask again in a while.", retry_after=10.0)
            self._usage.check(caller)
            if caller.at_once is not None and self._having[caller.who] >= caller.at_once:
                raise QueueFull(
                    f"{caller.at_once} calls with this key are under way, which is as many as may be.",
                    hint="Ask again when one has ended.",
                    retry_after=call.resident.queue.next_end(),
                )
        except Later as exc:
            self._refused(call, exc)
            raise
        self.calls[call.id] = call
        self._having[caller.who] += 1
        self.idle.clear()
        return call

    async def _begun(self, call: RunningCall) -> LollmsBinding:
        """Wait for the call's turn and for its binding."""
        resident, asked = call.resident, call.asked
        queue, entered, holding = resident.queue, False, False
        limit = asked.seconds(call.chosen.served.timeout)
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
                await asked.check(resident, binding, call.chosen, call.caller, self._recorded)
                call.scope = None
                if asked.begun is not None:
                    asked.begun(binding)
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
                self._residency.ended(resident, exc)
            if entered:
                queue.leave(call, None)
            self._forget(call)
            self._refused(call, error)
            if error is exc:
                raise
            raise error from None

    def _bound(self, call: RunningCall, binding: LollmsBinding) -> Callable[[], Any]:
        asked = call.asked
        controls: dict[str, Any] = {"cancel": call.token}
        if call.until is not None:
            controls["timeout"] = max(0.001, call.until - time.monotonic())
        if asked.progress is not None:
            controls["progress"] = OnLoop(call, asked.progress)
        return lambda: getattr(binding, asked.verb)(*asked.args, **asked.options, **controls)

    async def _ended_with(self, call: RunningCall, step: Step[Any], error: BaseException | None) -> None:
        await step.end()
        self._ended(call, error)

    async def _stream_ended(self, call: RunningCall, step: Step[Any] | None, opened: Any, error: BaseException) -> None:
        if step is not None:
            came = await step.end()
            opened = came if opened is None else opened
        if opened is not None:
            await call.resident.submit(opened.close).end()
        self._ended(call, error)

    def _ended(self, call: RunningCall, error: BaseException | None, sound: float | None = None) -> None:
        if self.calls.get(call.id) is not call:
            return  # it was out of time, and nobody read it
        wanted, keep_alive = call.asked.keep_alive, call.resident.served.keep_alive
        # Of a call of which nothing was run the time tells nothing.
        seconds = call.resident.queue.leave(call, None if isinstance(error, WorkerRestartError) else call.loading)
        if wanted is not None and (call.caller.is_admin or keep_alive is None or wanted < keep_alive):
            keep_alive = wanted
        self._residency.done(call.resident, keep_alive)
        self._residency.ended(call.resident, error)
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
        self._metrics.refused(call.chosen.served, error)
        self._log(call, error, None)

    def _log(self, call: RunningCall, error: BaseException | None, seconds: float | None) -> None:
        began = call.began
        log_call(
            request=call.request_id,
            key=call.caller.key_name,
            address=None if call.caller.key_name else call.caller.address,
            modality=call.chosen.served.modality,
            model=call.chosen.name,
            verb=call.asked.verb,
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


def _heard(sound: float, items: list[Any]) -> float:
    """Seconds of sound so far, with those of items of a stream."""
    for item in items:
        if isinstance(item, AudioChunk):
            sound += len(item.pcm) / (2 * item.channels * item.sample_rate)  # without numpy, which `duration` needs
        elif isinstance(item, Segment):
            sound = max(sound, item.end or 0.0)
    return sound
