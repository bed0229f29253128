"""Weights that several bindings use: loaded once, counted, freed with the last user, and locked together."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from lollms_modalities._locks import CallLock
from lollms_modalities.call import Call, _current

_M = TypeVar("_M")
_N = TypeVar("_N", bound=Hashable)

_registry: dict[Hashable, _Entry] = {}
# An RLock: the garbage collector may let go of a model in the middle of another operation of the same thread.
_registry_lock = threading.RLock()


class _Entry:
    def __init__(self) -> None:
        self.users = 0
        self.loading = threading.Lock()
        self.loaded = False
        self.value: Any = None
        self.lock = CallLock()


class SharedModel(Generic[_M]):
    """One user's hold on a model that may have others. Return one from ``load_model`` and the core does the rest.

    Args:
        key: what makes two models the same, such as ``(path, revision, device, dtype)``.
        load: makes the model; called by the first user, while later ones wait.
        free: called with the model when the last user has let go.
    """

    def __init__(self, *, key: Hashable, load: Callable[[], _M], free: Callable[[_M], object] | None = None) -> None:
        self._held = False
        self._key = key
        self._free = free
        with _registry_lock:
            entry = self._entry = _registry.setdefault(key, _Entry())
            entry.users += 1
        self._held = True
        try:
            with entry.loading:
                if not entry.loaded:
                    entry.value = load()
                    entry.loaded = True
        except BaseException:
            self.release()
            raise

    @property
    def value(self) -> _M:
        """The model."""
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
        with _registry_lock:
            if not self._held:
                return
            self._held = False
            entry = self._entry
            entry.users -= 1
            if entry.users or not entry.loaded:
                if not entry.users and _registry.get(self._key) is entry:
                    del _registry[self._key]
                return
            del _registry[self._key]
            value, entry.value = entry.value, None
        if self._free is not None:
            self._free(value)

    def __del__(self) -> None:
        if not sys.is_finalizing():  # when the process ends, nothing is left to free it with
            self.release()


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
        self._models: OrderedDict[_N, SharedModel[_M]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: _N) -> _M:
        """The model, loaded if need be. If that fails, those that are loaded stay. A path is resolved first."""
        return self._shared(name).value

    @contextmanager
    def using(self, name: _N) -> Iterator[_M]:
        """The model, for the current call alone: for engines whose models serve one at a time.

        Waiting for other bindings that use it ends when the call is stopped. Nothing may be yielded from inside to a
        caller, who would keep the model from them.
        """
        call = _current.get() or Call("using")
        shared = self._shared(name)
        held = call not in shared.lock.holders and shared.lock.acquire(call)
        try:
            yield shared.value
        finally:
            if held:
                shared.lock.release(call)

    def _shared(self, name: _N) -> SharedModel[_M]:
        if isinstance(name, Path):
            name = cast("_N", name.resolve())
        with self._lock:
            if name not in self._models:
                load = self._load
                self._models[name] = SharedModel(key=(*self._key, name), load=lambda: load(name), free=self._free)
                while len(self._models) > self._limit:
                    self._models.popitem(last=False)[1].release()
            self._models.move_to_end(name)
            return self._models[name]

    def __len__(self) -> int:
        return len(self._models)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            while self._models:
                self._models.popitem()[1].release()
