"""Weights that several bindings use: loaded once, counted, freed with the last user, and locked together."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from lollms_modalities.calls import fork, sweeping
from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.calls.locks import CallLock, held
from lollms_modalities.errors import UnsupportedError

_M = TypeVar("_M")
_N = TypeVar("_N", bound=Hashable)

_registry: dict[Hashable, _Entry] = {}
# An RLock: a signal handler may let go of a model in the middle of another operation of the same thread.
_registry_lock = threading.RLock()


class _Entry:
    def __init__(self) -> None:
        self.users = 0
        self.loading = CallLock()
        self.loaded = False
        self.value: Any = None
        self.lock = CallLock()


class SharedModel(Generic[_M]):
    """One user's hold on a model that may have others. Return one from ``load_model`` and the core does the rest.

    Args:
        key: what makes two models the same, such as ``(path, revision, device, dtype)``.
        load: makes the model; called by the first user, while later ones wait, until they are told to stop.
        free: called with the model when the last user has let go.
    """

    _held = False

    def __init__(self, *, key: Hashable, load: Callable[[], _M], free: Callable[[_M], object] | None = None) -> None:
        self._key = key
        self._free = free
        self._made_in = fork.generation
        sweeping.prepare()
        with _registry_lock:
            entry = self._entry = _registry.setdefault(key, _Entry())
            entry.users += 1
            self._held = True
        try:
            with _asking("load") as call, held(entry.loading, call):
                if not entry.loaded:
                    entry.value = fork.load_apart(load)
                    entry.loaded = True
        except BaseException:
            self.release()
            raise

    @property
    def value(self) -> _M:
        """The model.

        Raises:
            UnsupportedError: it was loaded by the process that this one was forked from.
        """
        if self._made_in != fork.generation:
            raise UnsupportedError(
                f"The model {self._key!r} was loaded by the process that this one was forked from.",
                hint="Load one in this process.",
            )
        if not self._held:
            raise RuntimeError(f"The model {self._key!r} was released by this user.")
        return self._entry.value  # type: ignore[no-any-return]

    @property
    def lock(self) -> CallLock:
        """The model's lock, which a call holds while it uses the model."""
        return self._entry.lock

    @property
    def users(self) -> int:
        """How many hold the model."""
        return self._entry.users

    def release(self) -> None:
        """Let go of the model; the last one to do so frees it. Again does nothing."""
        if self._made_in != fork.generation:
            return
        with _registry_lock:
            if not self._held:
                return
            self._held = False
            entry = self._entry
            entry.users -= 1
            if entry.users:
                return
            if _registry.get(self._key) is entry:
                del _registry[self._key]
            if not entry.loaded:
                return
            value, entry.value = entry.value, None
        if self._free is not None:
            self._free(value)

    def __del__(self) -> None:
        if self._held and not sys.is_finalizing():  # when the process ends, nothing is left to free it with
            sweeping.soon(self.release)


class ModelCache(Generic[_N, _M]):
    """The models that one binding has in memory, by what they are made from; each is shared with other bindings.

    Args:
        load: makes a model, such as of its path.
        key: what else makes two models the same: the engine's name, the device, the precision.
        limit: how many are kept; the least recently used goes first, after the new one is loaded.
        free: called with a model when its last user has let go.
    """

    def __init__(
        self,
        load: Callable[[_N], _M],
        *,
        key: tuple[Hashable, ...],
        limit: int = 1,
        free: Callable[[_M], object] | None = None,
    ) -> None:
        self._load = load
        self._key = key
        self._limit = limit
        self._free = free
        self._models: OrderedDict[_N, _Cached[_M]] = OrderedDict()
        self._lock = CallLock()

    def get(self, name: _N) -> _M:
        """The model, loaded if need be. If that fails, those that are loaded stay. A path is resolved first.

        The call that asks keeps it in memory until it ends, whatever others are loaded meanwhile.
        """
        return self._shared(name).value

    @contextmanager
    def using(self, name: _N) -> Iterator[_M]:
        """The model, for the current call alone: for engines whose models serve one at a time.

        Waiting for other bindings that use it ends when the call is stopped. Nothing may be yielded from inside to a
        caller, who would keep the model from them.
        """
        with _asking("using") as call:
            shared = self._shared(name)
            with held(shared.lock, call):
                yield shared.value

    def _shared(self, name: _N) -> SharedModel[_M]:
        if isinstance(name, Path):
            name = cast("_N", name.resolve())
        with _asking("load") as call, held(self._lock, call):
            if name not in self._models:
                load = self._load
                shared = SharedModel(key=(*self._key, name), load=lambda: load(name), free=self._free)
                self._models[name] = _Cached(shared)
                while len(self._models) > self._limit:
                    self._models.popitem(last=False)[1].drop()
            self._models.move_to_end(name)
            cached = self._models[name]
            if call.active:
                cached.use(call)
            return cached.shared

    def __len__(self) -> int:
        return len(self._models)

    def clear(self) -> None:
        """Let go of all."""
        with _asking("unload") as call, held(self._lock, call):
            while self._models:
                self._models.popitem()[1].drop()


@contextmanager
def _asking(verb: str) -> Iterator[Call]:
    """The call that runs here. Outside any, one is made, so that it is seen who waits for whom."""
    before = CURRENT.get()
    if before is not None:
        yield before
        return
    try:
        CURRENT.set(call := Call(verb))
        yield call
    finally:
        CURRENT.set(None)


class _Cached(Generic[_M]):
    """A model of a cache, and the calls that have been given it: as long as one of them runs, it is kept."""

    def __init__(self, shared: SharedModel[_M]) -> None:
        self.shared = shared
        self._calls: set[Call] = set()
        self._dropped = False

    def use(self, call: Call) -> None:
        if call not in self._calls:
            self._calls.add(call)
            call.at_end(lambda: self._ended(call))

    def drop(self) -> None:
        self._dropped = True
        if not self._calls:
            self.shared.release()

    def _ended(self, call: Call) -> None:
        self._calls.discard(call)
        if self._dropped and not self._calls:
            self.shared.release()


def _after_fork() -> None:
    global _registry_lock
    _registry_lock = threading.RLock()
    for entry in _registry.values():
        fork.keep(entry.value)
    _registry.clear()  # what is loaded here is another


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
