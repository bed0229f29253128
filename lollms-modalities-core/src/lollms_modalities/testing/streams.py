"""Streams and awaitable twins."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Any, Self

from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.calls.progress import Progress
from lollms_modalities.errors import CallCancelled, LollmsError
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.stopwatch import Stopwatch
from lollms_modalities.testing.suite import Suite


class StreamTests(Suite):
    """For verbs that stream; and the twins, which all have."""

    def stream(self, binding: Any, **more: Any) -> Any:
        """Begin a stream of the sample."""
        return getattr(binding, str(self.stream_verb))(**self.arguments(**more))

    def joined(self, items: list[Any]) -> Any:
        """The whole of a stream's items, comparable with a result."""
        raise NotImplementedError

    def comparable(self, result: Any) -> Any:
        """What of a result the items of a stream make up."""
        raise NotImplementedError

    @crosses
    @applies(lambda suite: suite.stream_verb)
    def test_the_stream_is_the_whole_in_parts(self, bound: Any, result: Any) -> None:
        """Make the whole of the stream (``Audio.from_chunks``, ``Transcript.from_segments``), or both of the same
        code."""
        stream = self.stream(bound)
        items = list(stream)
        contract(items, "A stream gives at least one item.", "streams")
        contract(
            self.joined(items) == self.comparable(result),
            "The parts of a stream are the whole, sample for sample.",
            "streams",
        )
        contract(stream.provenance is not None, "A stream that has ended has its provenance.", "streams")

    @applies(lambda suite: suite.stream_verb)
    def test_a_stream_heeds_what_is_asked_for(self, bound: Any) -> None:
        """Give the engine in the stream the same arguments as for the whole, or make the whole of the stream."""
        for name, value in self.others(bound).items():
            try:
                asked = {**self.variants()[0], name: value}
                whole = self.call(bound, **asked)
            except LollmsError:
                continue  # an engine of few values says so
            contract(
                self.joined(list(self.stream(bound, **asked))) == self.comparable(whole),
                f"A stream heeds {name}, as the whole does.",
                "streams",
                value,
            )

    @applies(lambda suite: suite.stream_verb and suite.capabilities().streaming)
    def test_the_first_part_comes_before_the_whole_is_done(self, bound: Any) -> None:
        """Yield each part when it is made; or do not declare ``streaming``."""
        items: list[Any] = []
        times: list[float] = []
        seen: list[Progress] = []
        done_at_first: list[Progress] = []
        began = time.monotonic()
        with self.stream(bound, **self.long(progress=seen.append)) as stream:
            for item in stream:
                if not items:
                    done_at_first = seen[-1:]
                items.append(item)
                times.append(time.monotonic() - began)
                if len(items) > 1 and done_at_first:
                    break  # the rest would show nothing more
        contract(len(items) > 1, "A binding that declares streaming gives a long input in several parts.", "streams")
        sentence = "A binding that declares streaming gives its first part before the whole is done."
        contract(all(p.done != p.total for p in done_at_first), sentence, "streams", done_at_first)
        # By the clock only where nothing was reported that tells, and there is something to measure.
        contract(bool(done_at_first) or times[-1] < 0.5 or times[0] < times[-1] * 0.9, sentence, "streams", times)

    @applies(lambda suite: suite.stream_verb)
    def test_a_stream_closed_early_frees_everything(self, bound: Any) -> None:
        """Free in ``finally``; a generator is closed at its ``yield``."""
        with self.stream(bound, **self.long()) as stream:
            next(stream)
        began = time.monotonic()
        self.check(self.brief(bound, timeout=120))
        contract(
            list(stream) == [] and time.monotonic() - began < 120,
            "A stream that was closed gives nothing more, and the binding is free.",
            "streams",
        )

    @crosses
    @applies(lambda suite: suite.stream_verb)
    def test_a_stream_stops_when_it_is_told_to(self, bound: Any) -> None:
        """Call ``report_progress`` or ``current_call().check()`` between the parts."""
        token = CancelToken()
        stream = self.stream(bound, **self.long(cancel=token))
        next(stream)
        watch = Stopwatch()
        token.cancel()
        with watch, raises(CallCancelled, "A stream that is cancelled raises CallCancelled.", "streams"):
            for _ in stream:
                pass
        taken = watch.seconds()
        contract(
            taken <= self.stop_within,
            f"A stream that is cancelled stops within {self.stop_within} s.",
            "streams",
            f"{taken:.1f} s",
        )
        self.check(self.brief(bound))

    def test_the_twin_is_awaited_and_the_loop_stays_free(self, bound: Any, result: Any) -> None:
        """Leave the awaitable twins to the core: they run the verb in a thread."""

        async def main() -> tuple[Any, float, float]:
            with _Beats() as elsewhere:
                mine = _Beats()
                heart = asyncio.create_task(mine.beat())
                await asyncio.sleep(0.02)
                began = time.monotonic()
                try:
                    awaited = await getattr(bound, f"a{self.verb}")(**self.arguments())
                finally:
                    taken = time.monotonic() - began
                    await asyncio.sleep(0.02)
                    heart.cancel()
            return awaited, max(mine.lates), 2 * max(elsewhere.lates) + max(0.25, taken * 0.5)

        # A busy machine holds each loop now and then, but not three times this one and not the other.
        for _ in range(3):
            awaited, held, allowed = asyncio.run(main())
            contract(self.same(awaited, result), "The awaitable twin gives what the verb gives.", "streams")
            if held < allowed:
                break
        contract(
            held < allowed,
            "While an awaitable twin runs, the event loop stays free.",
            "streams",
            f"the loop was held for {held:.2f} s, where {allowed:.2f} s are allowed",
        )

    def test_cancelling_the_task_cancels_the_call(self, bound: Any) -> None:
        """Leave the awaitable twins to the core."""

        async def main() -> float:
            began = asyncio.Event()
            loop = asyncio.get_running_loop()
            arguments = self.arguments(**self.long(progress=lambda p: loop.call_soon_threadsafe(began.set)))
            task = asyncio.create_task(getattr(bound, f"a{self.verb}")(**arguments))
            await asyncio.wait([asyncio.create_task(began.wait()), task], return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            cancelled = time.monotonic()
            began.set()
            await asyncio.wait([task])
            contract(
                task.cancelled() or not task.exception(),
                "A task that is cancelled ends as a cancelled task.",
                "streams",
            )
            return cancelled

        cancelled = asyncio.run(main())
        self.check(self.brief(bound))  # waits for the engine, if it goes on
        contract(
            time.monotonic() - cancelled <= self.stop_within + 60,
            "Cancelling the task of a twin cancels its call.",
            "streams",
        )

    @crosses
    @applies(lambda suite: suite.stream_verb)
    def test_the_twin_of_the_stream(self, bound: Any, result: Any) -> None:
        """Leave the awaitable twins to the core."""

        async def main() -> list[Any]:
            return [item async for item in getattr(bound, f"a{self.stream_verb}")(**self.arguments())]

        contract(
            self.joined(asyncio.run(main())) == self.comparable(result),
            "The awaitable twin of a stream gives the same parts.",
            "streams",
        )


class _Beats:
    """How late an event loop is with what it should do each 5 ms. In a ``with`` statement: a loop in another thread."""

    def __init__(self) -> None:
        self.lates: list[float] = [0.0]
        self._ended = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self.beat()), daemon=True)

    async def beat(self) -> None:
        """Go on until told to end, or cancelled."""
        while not self._ended:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            self.lates.append(time.monotonic() - began)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join()
