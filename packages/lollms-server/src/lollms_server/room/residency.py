"""What is loaded, and what makes room for it: the model that was idle longest goes first, never one at work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from lollms_modalities import BindingClosedError, LollmsBinding, WorkerCrashedError

from lollms_server.room.asked import takes_model
from lollms_server.room.errors import Ending
from lollms_server.room.models import Chosen, ServedModel
from lollms_server.room.resident import Resident
from lollms_server.room.tasks import Tasks
from lollms_server.room.variants import variant_of

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_END = 8.0  # seconds that a binding may take to end when the server does
_LOOKED_AT = 60.0  # seconds that a binding stays which was made to be asked what it is


class Residency:
    """The served models at run time. All of it runs on the event loop.

    Args:
        max_loaded: how many may be loaded at once; None for any number.
        memory_limit: bytes that the loaded ones may take together; None for any. It is known after a model is loaded,
            so that it is kept to by unloading, and before that by what the model took the last time.
        log: told of each that is loaded and unloaded: the model and why.
        patience: seconds that a model which has no room waits for another to become idle. After them no calls begin on
            those that are loaded until it has room: a busy one would keep it out for ever.
    """

    def __init__(
        self, max_loaded: int | None, memory_limit: int | None,
        log: Callable[[ServedModel, str], object] = lambda served, what: None, patience: float = 5.0,
    ) -> None:  # fmt: skip
        self.max_loaded = max_loaded
        self.memory_limit = memory_limit
        self.residents: dict[tuple[str, str], Resident] = {}
        self.preloading = 0  # how many are being loaded since they are to be there from the start
        self._closed = False
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

    def at_once(self, served: ServedModel) -> int:
        """How many calls a served model works on side by side."""
        resident = self.residents.get(served.key)
        return served.most if resident is None else resident.at_once

    async def of(self, chosen: Chosen) -> Resident:
        """What is to be asked: the served model, or where a call of its binding cannot say which of the binding's own
        models is meant, a binding of its own for that one.

        Raises:
            Ending: it is served no longer.
            ModelNotServed: the binding has no such model, or no choice.
        """
        base = self.residents.get(chosen.served.key)
        if base is None:
            raise Ending(f"{chosen.name} is no longer served here.", hint="Ask which models are.", retry_after=1.0)
        if chosen.model is None:
            return base
        if base.description is None:
            await self.look(base, lambda binding: binding.get_settings())
        assert base.description is not None
        options = base.description["options"]
        if any(takes_model({"options": options, **verb}) for verb in base.description["verbs"].values()):
            return base
        served = await self.look(base, lambda binding: variant_of(base.served, binding, chosen.model or ""))
        if (resident := self.residents.get(served.key)) is None:
            resident = self.residents[served.key] = Resident(served)
            resident.changes.update(base.changes)
        return resident

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
            resident.used = True
        finally:
            self.done(resident, resident.served.keep_alive)

    def preload(self) -> None:
        """Load those that are to be there from the start, and are not."""
        for resident in self.residents.values():
            if resident.served.preload and not resident.loaded:
                self.preloading += 1
                self._tasks.start(self._preloaded(resident))

    async def _preloaded(self, resident: Resident) -> None:
        try:
            await self.load(resident)
        except Exception as exc:  # it is told again to whoever asks for it
            _log.error("%s could not be preloaded: %s", resident.served.name, exc)
        finally:
            self.preloading -= 1

    async def begin(self, resident: Resident) -> LollmsBinding:
        """The binding for a call, made if need be, once there is room; it stays until ``done``.

        Raises:
            LollmsError: it is not to be had.
        """
        self._check_open()
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
                        self._log(resident.served, "loaded")
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

    def ended(self, resident: Resident, error: BaseException | None) -> None:
        """A call was refused or has ended, which tells whether the model is loaded; or else it is asked."""
        if error is None:
            resident.used = True
        elif isinstance(error, WorkerCrashedError) and resident.served.most == 1:
            resident.used = False
        if not resident.used and resident.loaded and not resident.at_work and resident.binding is not None:
            self._tasks.start(self._looked_at(resident, resident.binding))

    async def _looked_at(self, resident: Resident, binding: LollmsBinding) -> None:
        with contextlib.suppress(Exception):  # it ends meanwhile; or is asked again after the next call
            is_loaded = await resident.aside(binding.is_loaded)
            if not (is_loaded or resident.used or resident.at_work) and resident.binding is binding:
                resident.loaded = False

    async def look(self, resident: Resident, fn: Callable[[LollmsBinding], _T]) -> _T:
        """Ask the binding something that is no call. That is no use of the model, and loads none."""
        try:
            while True:
                self._check_open()
                with contextlib.suppress(BindingClosedError):  # it was unloaded meanwhile
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
            self._log(resident.served, why)
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
            resident.timer = asyncio.get_running_loop().call_later(seconds, self._idle_for_long, resident)

    def _idle_for_long(self, resident: Resident) -> None:
        resident.timer = None
        self._tasks.start(self.unload(resident, "unloaded when idle"))

    def _stop_timer(self, resident: Resident) -> None:
        if resident.timer is not None:
            resident.timer.cancel()
            resident.timer = None

    def _check_open(self) -> None:
        if self._closed:
            raise Ending("The server ends.", hint="Ask again in a while.", retry_after=10.0)

    async def close(self) -> None:
        """End all, those at work too."""
        self._closed = True
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
            self._log(resident.served, f"could not be ended: {type(exc).__name__}")
        finally:
            resident.close()


def _longest_idle(residents: Iterable[Resident]) -> Resident | None:
    return min((r for r in residents if r.at_work == 0), key=lambda r: r.last_used, default=None)
