"""Threads in which the steps of calls run.

What an executor of Python's does, with two differences that count where calls are short: the event loop is woken once
for all steps that have ended since, and a further thread is begun only when none has come free for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
_AT_ONCE = 2  # threads that are begun as soon as there is work for them
_MOMENT = 0.001  # seconds after which a step that no thread has taken gets one of its own


class Step(Generic[_T]):
    """A function on its way through a thread. Whoever waits for it may leave: it ends when it ends.

    Attributes:
        ended: whether the function has ended, or never will begin. Changes on the event loop alone.
        error: what it raised, once it has ended.
    """

    def __init__(self, fn: Callable[..., _T], args: tuple[Any, ...]) -> None:
        self.ended = False
        self.error: BaseException | None = None
        self._value: Any = None
        # Whoever takes it out has it: the thread that runs it, or the event loop that drops it.
        self._work = [(contextvars.copy_context(), fn, args)]
        self._future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._over: asyncio.Event | None = None

    async def result(self) -> _T:
        """What the function returns or raises. A task that is cancelled meanwhile does not wait for its end; what has
        not begun then never begins."""
        try:
            return await self._future
        except asyncio.CancelledError:
            if self._work:
                with contextlib.suppress(IndexError):
                    self._work.pop()
                    self._settle()
            raise

    async def end(self) -> Any:
        """Wait until it has ended; what it returned, None where it raised or never began."""
        if not self.ended:
            self._over = self._over or asyncio.Event()
            await self._over.wait()
        return self._value

    def run(self) -> bool:
        """Run it, in this thread; whether there was something to run."""
        try:
            context, fn, args = self._work.pop()
        except IndexError:
            return False
        try:
            self._value = context.run(fn, *args)
        except StopIteration as exc:  # which no future takes
            self.error = RuntimeError("a StopIteration has ended the call")
            self.error.__cause__ = exc
        except BaseException as exc:
            self.error = exc
        return True

    def _settle(self) -> None:
        self.ended = True
        if not self._future.done():
            if self.error is not None:
                self._future.set_exception(self.error)
                if self._over is not None:
                    self._future.exception()  # nobody else waits for it
            else:
                self._future.set_result(self._value)
        if self._over is not None:
            self._over.set()


class Threads:
    """So many threads at most. Steps are given to them on the event loop on which they were made.

    Args:
        most: how many there may be.
        name: of the threads.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._steps: SimpleQueue[Step[Any] | None] = SimpleQueue()
        self._begun = 0  # threads
        self._under_way = 0  # steps
        self._growing = False
        self._closed = False
        self._ended: deque[Step[Any]] = deque()
        self._told = False  # the loop will look at them

    def submit(self, fn: Callable[..., _T], *args: Any) -> Step[_T]:
        """Run a function in one of them, in a copy of this context.

        Raises:
            RuntimeError: they were closed.
        """
        if self._closed:
            raise RuntimeError(f"the threads {self._name!r} were closed")
        step = Step(fn, args)
        self._under_way += 1
        self._steps.put(step)
        if self._under_way > self._begun < self._most:
            if self._begun < _AT_ONCE:
                self._begin()
            elif not self._growing:
                self._growing = True
                self._loop.call_later(_MOMENT, self._grow)
        return step

    def _grow(self) -> None:
        """As many threads as steps that nobody has taken meanwhile."""
        self._growing = False
        for _ in range(min(self._steps.qsize(), self._most - self._begun)):
            self._begin()

    def _begin(self) -> None:
        if not self._closed:
            self._begun += 1
            threading.Thread(target=self._work, name=f"{self._name}_{self._begun}").start()

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            step.run()
            self._ended.append(step)
            del step  # what it holds is not kept until the next comes
            if not self._told:
                self._told = True
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._settle)
        self._steps.put(None)  # for the next

    def _settle(self) -> None:
        self._told = False  # before they are taken: one that comes now tells anew
        while self._ended:
            step = self._ended.popleft()
            self._under_way -= 1
            if not step.ended:
                step._settle()

    def close(self) -> None:
        """Begin no thread any more; those that there are end after what they were given."""
        self._closed = True
        self._steps.put(None)
