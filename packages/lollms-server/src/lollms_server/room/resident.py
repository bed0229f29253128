"""One served model at run time: its binding, made when it is needed, and the threads in which that is asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import lollms_modalities
from lollms_modalities import BindingManager, IsolatedBinding, LollmsBinding, PoolState, WorkerPolicy

from lollms_server.room.admission import Admission
from lollms_server.room.models import ServedModel
from lollms_server.room.threads import Step, Threads

_T = TypeVar("_T")
_LOCAL = "local_files_only"
_ASIDE = 4  # threads for what is no call: making and ending the binding, lists, settings


def manager_of(modality: str) -> BindingManager[Any]:
    """The manager of a modality."""
    manager: BindingManager[Any] = getattr(lollms_modalities, f"Lollms{modality.upper()}BindingManager")()
    return manager


class Resident:
    """One served model at run time. Its state is changed on the event loop alone.

    Attributes:
        served: what it is.
        binding: while it is made, else None.
        loaded: whether it was used or loaded, or is about to be, so that it takes the memory that it takes.
        used: whether a call has shown that it is loaded.
        at_work: how many calls use the binding.
        last_used: seconds of the loop's clock at which its last call ended.
        keep_alive: seconds that are kept after the last call; None for ever.
        timer: what ends it then.
        description: of its class, since it was made for the first time.
        changes: settings that were changed while it was served.
        lists: its voices and models, as they were last seen.
        queue: for its calls.
    """

    def __init__(self, served: ServedModel) -> None:
        self.served = served
        self.binding: LollmsBinding | None = None
        self.loaded = False
        self.used = False
        self.at_work = 0
        self.last_used = 0.0
        self.keep_alive = served.keep_alive
        self.timer: asyncio.TimerHandle | None = None
        self.description: dict[str, Any] | None = None
        self.changes: dict[str, Any] = {}
        self.lists: dict[str, frozenset[str]] = {}
        self.queue = Admission(served.name, self.at_once, served.max_queue)
        self._aside = ThreadPoolExecutor(_ASIDE, f"lollms-{served.name}-aside")
        self._engine: Threads | None = None
        self._changing: asyncio.Task[None] | None = None  # makes the binding, or ends it

    @property
    def at_once(self) -> int:
        """How many calls it runs side by side: what the binding declares, once that is known, times its pool.

        Of an elastic pool it is what it may have at most: it grows for those who wait in it, and has a queue of its own
        for them. Its waiting is in the time that a call takes, and so in what ``Retry-After`` is reckoned from.
        """
        concurrency = 1 if self.description is None else int(self.description.get("concurrency", 1))
        return concurrency * self.served.most

    def submit(self, fn: Callable[..., _T], *args: Any) -> Step[_T]:
        """Run a step of a call, for which the binding was made, in a thread of its engine's."""
        if self._engine is None:
            self._engine = Threads(self.at_once, f"lollms-{self.served.name}")
        return self._engine.submit(fn, *args)

    async def aside(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Run what is no call, and may take long. A task that is cancelled does not wait for its end."""
        return await asyncio.wrap_future(self._aside.submit(fn, *args))

    async def made(self) -> LollmsBinding:
        """The binding, made if need be. Whoever is cancelled meanwhile leaves it to the others.

        Raises:
            LollmsError: it is not to be had, or not with these settings.
        """
        while self.binding is None:
            if (changing := self._under_way()) is None:
                changing = self._change(self._make())
            await asyncio.shield(changing)
        return self.binding

    async def end(self) -> None:
        """End the binding, and with it its processes; the next call makes it again."""
        while (changing := self._under_way()) is not None:
            with contextlib.suppress(Exception):  # it could not be made: that is for those who asked for it
                await asyncio.shield(changing)
        # At once, so that no call is given a binding that is about to end.
        binding, self.binding, self.loaded, self.used = self.binding, None, False, False
        if binding is not None:
            await asyncio.shield(self._change(self.aside(binding.close)))

    def _under_way(self) -> asyncio.Task[None] | None:
        """What changes the binding now. One that is done is none, also before anybody was told of it."""
        return None if self._changing is None or self._changing.done() else self._changing

    def _change(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._changing = asyncio.get_running_loop().create_task(coroutine)
        # Those who wait raise it; perhaps nobody does any more.
        self._changing.add_done_callback(_retrieve)
        return self._changing

    async def _make(self) -> None:
        self.binding, self.description = await self.aside(self._open)

    def _open(self) -> tuple[LollmsBinding, dict[str, Any]]:
        served = self.served
        elsewhere = served.environment is not None or served.place is not None
        isolated = served.isolated or elsewhere
        policy = None
        if isolated:
            policy = WorkerPolicy(
                pool=served.pool, wait_target=served.wait_target, idle_timeout=served.idle_timeout,
                pass_variables=served.variables,
            )  # fmt: skip
        make = manager_of(served.modality).maker(
            served.binding, environment=served.environment, isolated=isolated and not elsewhere,
            place=served.place, policy=policy,
        )  # fmt: skip
        description = make.describe()
        settings = {**served.settings, **self.changes}
        if _LOCAL in description["settings"].get("properties", {}):
            settings.setdefault(_LOCAL, True)  # nothing is fetched because a request names it
        return make(settings), description

    def takes(self, served: ServedModel) -> bool:
        """Be served like this from now on, where that needs no other binding; else False, and all is as before."""
        mine = self.served
        same = ("binding", "settings", "environment", "place", "isolated", "pool", "wait_target",
                "idle_timeout", "variables")  # fmt: skip
        if any(getattr(mine, name) != getattr(served, name) for name in same):
            return False
        self.served = served
        self.queue.max_queue = served.max_queue
        return True

    def idle_seconds(self) -> float | None:
        """Seconds since its last call ended; None while one is at work, and where there was none."""
        if self.at_work or not self.last_used:
            return None
        return round(asyncio.get_running_loop().time() - self.last_used, 1)

    def close(self) -> None:
        """No thread is started any more."""
        self._aside.shutdown(wait=False)
        if self._engine is not None:
            self._engine.close()

    def memory(self) -> int:
        """Bytes in memory of its processes; 0 where it has none of its own."""
        binding = self.binding
        return binding.memory() if isinstance(binding, IsolatedBinding) else 0

    def workers(self) -> PoolState:
        """Its processes, and who waits for one of them."""
        binding = self.binding
        return binding.pool_state() if isinstance(binding, IsolatedBinding) else PoolState(0, 0, 0)


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
