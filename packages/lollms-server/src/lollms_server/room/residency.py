"""What is loaded, and what makes room for it: the model that was idle longest goes first, never one at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from lollms_modalities import BindingClosedError, LollmsBinding

from lollms_server.room.models import ServedModel
from lollms_server.room.resident import Resident
from lollms_server.room.tasks import Tasks

_T = TypeVar("_T")
_END = 8.0  # seconds that a binding may take to end when the server does
_LOOKED_AT = 60.0  # seconds that a binding stays which was made to be asked what it is


class Residency:
    """The served models at run time. All of it runs on the event loop.

    Args:
        max_loaded: how many may be loaded at once; None for any number.
        memory_limit: bytes that the loaded ones may take together; None for any. It is known after a model is loaded,
            so that it is kept to by unloading, and before that by what the model took the last time.
        log: told of each that is loaded and unloaded: the model's name and why.
        patience: seconds that a model which has no room waits for another to become idle. After them no calls begin on
            those that are loaded until it has room: a busy one would keep it out for ever.
    """

    def __init__(
        self, max_loaded: int | None, memory_limit: int | None,
        log: Callable[[str, str], object] = lambda name, why: None, patience: float = 5.0,
    ) -> None:  # fmt: skip
        self.max_loaded = max_loaded
        self.memory_limit = memory_limit
        self.residents: dict[tuple[str, str], Resident] = {}
        self._leaving: list[Resident] = []  # no longer served; their last calls are under way
        self._log = log
        self._patience = patience
        self._trimming = False  # it is to be looked whether they take too much
        self._pressed = False  # a model has waited for room for so long
        self._freeing = asyncio.Lock()
        self._idle = asyncio.Event()  # set when one has become idle
        self._footprints: dict[tuple[str, str], int] = {}
        self._tasks = Tasks()

    def serve(self, models: Iterable[ServedModel]) -> None:
        """Serve these from now on. What is served as before stays as it is; what is not, ends with its last call."""
        old, self.residents = self.residents, {}
        for model in models:
            resident = old.get(model.key)
            if resident is None or not resident.takes(model):
                resident = Resident(model)
            self.residents[model.key] = resident
        kept = list(self.residents.values())
        for resident in old.values():
            if resident not in kept:
                self._leaving.append(resident)
                self._tasks.start(self._let_go(resident))

    async def _let_go(self, resident: Resident) -> None:
        await resident.queue.empty()
        await self.unload(resident, "no longer served")
        resident.close()
        self._leaving.remove(resident)

    async def load(self, resident: Resident) -> None:
        """Load it now.

        Raises:
            LollmsError: it cannot be loaded.
        """
        binding = await self.begin(resident)
        try:
            await resident.aside(binding.load)
        finally:
            self.done(resident, resident.served.keep_alive)

    async def begin(self, resident: Resident) -> LollmsBinding:
        """The binding for a call, made if need be, once there is room; it stays until ``done``.

        Raises:
            LollmsError: it is not to be had.
        """
        while self._pressed:
            async with self._freeing:  # behind the one that waits for room
                pass
        resident.at_work += 1
        self._stop_timer(resident)
        try:
            if not resident.loaded:
                async with self._freeing:  # one at a time, or two would take the same room
                    if not resident.loaded:
                        await self._make_room(resident)
                        resident.loaded = True
                        self._log(resident.served.name, "loaded")
            return await resident.made()
        except BaseException:
            if resident.binding is None:
                resident.loaded = False
            self.done(resident, resident.served.keep_alive)
            raise

    def done(self, resident: Resident, keep_alive: float | None) -> None:
        """A call has ended; ``keep_alive`` seconds from now the model is unloaded, unless it is used again."""
        resident.at_work -= 1
        resident.last_used = asyncio.get_running_loop().time()
        resident.keep_alive = keep_alive
        if resident.at_work == 0:
            self._idle.set()
            self._start_timer(resident, keep_alive)
            if self.memory_limit is not None and not self._trimming:
                self._trimming = True
                self._tasks.start(self._trim())

    async def look(self, resident: Resident, fn: Callable[[LollmsBinding], _T]) -> _T:
        """Ask the binding something that is no call. That is no use of the model, and loads none."""
        try:
            return await resident.aside(fn, await resident.made())
        except BindingClosedError:  # it was unloaded meanwhile
            return await resident.aside(fn, await resident.made())
        finally:
            if not resident.loaded and resident.at_work == 0 and resident.timer is None:
                self._start_timer(resident, _LOOKED_AT)

    async def unload(self, resident: Resident, why: str) -> bool:
        """Unload it unless it is at work; whether that was done."""
        if resident.at_work:
            return False
        self._stop_timer(resident)
        if resident.binding is not None or resident.loaded:
            self._footprints[resident.served.key] = resident.memory()
            self._log(resident.served.name, why)
        resident.loaded = False
        await resident.end()
        return True

    def memory(self) -> int:
        """Bytes that the loaded ones take together, where that can be told."""
        return sum(resident.memory() for resident in self._loaded())

    def _loaded(self) -> list[Resident]:
        return [resident for resident in self.residents.values() if resident.loaded]

    async def _make_room(self, wanted: Resident) -> None:
        impatient = asyncio.get_running_loop().call_later(self._patience, self._press)
        try:
            while (others := [r for r in self._loaded() if r is not wanted]) and self._too_much(wanted, others):
                self._idle.clear()
                if (longest := _longest_idle(others)) is not None:
                    await self.unload(longest, "unloaded to make room")
                else:
                    await self._idle.wait()
        finally:
            impatient.cancel()
            self._pressed = False

    def _press(self) -> None:
        self._pressed = True

    def _too_much(self, wanted: Resident, others: list[Resident]) -> bool:
        if self.max_loaded is not None and len(others) >= self.max_loaded:
            return True
        if self.memory_limit is None:
            return False
        return sum(r.memory() for r in others) + self._footprints.get(wanted.served.key, 0) > self.memory_limit

    async def _trim(self) -> None:
        """Unload the longest idle while the loaded ones take more than they may; one alone may take more."""
        async with self._freeing:
            self._trimming = False
            while self.memory_limit is not None and len(self._loaded()) > 1 and self.memory() > self.memory_limit:
                longest = _longest_idle(self._loaded())
                if longest is None:
                    return
                await self.unload(longest, "unloaded to free memory")

    def _start_timer(self, resident: Resident, seconds: float | None) -> None:
        self._stop_timer(resident)
        if seconds is not None:
            loop = asyncio.get_running_loop()
            resident.timer = loop.call_later(
                seconds, lambda: self._tasks.start(self.unload(resident, "unloaded when idle"))
            )

    def _stop_timer(self, resident: Resident) -> None:
        if resident.timer is not None:
            resident.timer.cancel()
            resident.timer = None

    async def close(self) -> None:
        """End all, those at work too."""
        self._tasks.cancel()
        residents = [*self.residents.values(), *self._leaving]
        for resident in residents:
            self._stop_timer(resident)
            resident.queue.close()
        await asyncio.gather(*(self._end(resident) for resident in residents))

    async def _end(self, resident: Resident) -> None:
        try:
            await asyncio.wait_for(resident.end(), _END)
        except Exception as exc:  # an engine in this process that does not listen, for one
            self._log(resident.served.name, f"could not be ended: {type(exc).__name__}")
        finally:
            resident.close()


def _longest_idle(residents: Iterable[Resident]) -> Resident | None:
    return min((r for r in residents if r.at_work == 0), key=lambda r: r.last_used, default=None)
