"""The life of an instance's model: loaded once, when it is first needed; freed when told, when idle, at the end."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Self

from lollms_modalities.calls import fork
from lollms_modalities.calls.askers import waits_for_this
from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.calls.locks import CallLock
from lollms_modalities.calls.scheduler import Scheduler
from lollms_modalities.contract.holding import Holding
from lollms_modalities.errors import BusyError, GenerationError, UnsupportedError

if TYPE_CHECKING:
    from types import TracebackType

    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.progress import ProgressCallback
    from lollms_modalities.calls.scheduler import Ticket
    from lollms_modalities.contract.plan import Plan

_reaper = Scheduler("lollms-reaper")
_UNLOADED: Any = object()
_all: weakref.WeakSet[ModelLife] = weakref.WeakSet()


class ModelLife(Holding):
    """What has a model. A base of ``LollmsBinding``."""

    def __init__(self) -> None:
        super().__init__()
        self._loading = CallLock()
        self._settling = threading.RLock()
        self._model: Any = _UNLOADED
        self._loaded_in = 0  # the generation of the process that loaded the model
        self._loader: int | None = None  # the thread that loads it now
        self._ended = False  # closed, to the end
        self._reaping: Ticket | None = None
        _all.add(self)

    # -- for authors -------------------------------------------------------------------------------------------------

    def load_model(self) -> Any:
        """Load the model by the current settings and return it. For authors.

        A ``SharedModel`` or a ``ModelCache`` in its place is let go of by the core.

        Changes nothing else, so that a failure leaves all as it was. Runs once at a time, at the first call or
        ``load()``.
        """
        return None

    def free_model(self, model: Any) -> None:
        """Free what ``load_model`` returned beyond dropping it; not asked where the core lets go of it. For authors."""

    @classmethod
    def has_model(cls) -> bool:
        """Whether the class says how a model is loaded."""
        return cls.load_model is not ModelLife.load_model

    # -- for callers -------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Any:
        """The loaded model; loads it if need be."""
        if self._model is not _UNLOADED and self._loaded_in == fork.generation:
            return _value(self._model)
        outer = CURRENT.get()
        if outer is not None:
            return _value(self._usable(outer))
        call = Call("load", self)
        with self._within(call):
            while self._model is _UNLOADED and (loader := self._loader) is not None and loader != threading.get_ident():
                # A thread that load_model has started does not know of the call that it works for.
                if waits_for_this(loader):
                    raise self._asks_for_itself()
                time.sleep(0.01)
            return _value(self._usable(call))

    @property
    def loaded(self) -> bool:
        """Whether the model is loaded."""
        return self.is_loaded()

    def is_loaded(self) -> bool:
        """As ``loaded``."""
        return self._model is not _UNLOADED and self._loaded_in == fork.generation

    def load(
        self,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> None:
        """Load the model now rather than at the first call. Does nothing if it is loaded."""
        outer = CURRENT.get()
        if outer is not None and outer.holds(self):
            self._usable(outer)
            return
        call = Call("load", self, None, outer)
        call.control(progress, cancel, timeout)
        with self._during(call, exclusive=False):
            self._usable(call)

    def unload(self) -> None:
        """Free the model, after the calls under way have ended; the next call loads it again.

        Raises:
            BusyError: the asker is itself inside a call or has a stream open.
        """
        with self._alone("unload"):
            self._unload()

    def close(self) -> None:
        """Cancel the calls under way, wait for their end, free the model. Later calls raise ``BindingClosedError``.

        What has been interrupted may be asked for again; of two threads that close, both wait for the end.
        """
        if self._ended:
            return
        outer = CURRENT.get()
        if outer is not None and outer.holds(self):
            raise BusyError(f"{self.binding_name}: close was asked for from inside one of its own calls.")
        self._closed = True
        for call in self._lock.holders:
            if call.verb != "close":  # which another thread has asked for
                call.cancel("the binding was closed")
        with self._alone("close"):
            if not self._ended:
                self._unload()
                self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- loading and freeing -----------------------------------------------------------------------------------------

    def _enter(self, call: Call, plan: Plan) -> None:
        """Hold what the call needs: the instance, the model, and the model's own lock where others share it."""
        call.begin()
        call.check()
        self._hold(call, self._lock)
        if self._closed:
            raise self._closed_error(call)
        if self._reaping is not None:
            self._reaping.cancel()
            self._reaping = None
        if plan.loads:
            model = self._usable(call)
            lock = getattr(model, "lock", None)
            if isinstance(lock, CallLock) and self.concurrency == 1:
                self._hold(call, lock)

    def _usable(self, call: Call) -> Any:
        """The model, loaded if need be, unless it is another process's."""
        if self._closed:
            raise self._closed_error(call)
        if self._model is _UNLOADED:
            return self._load(call)
        if self._loaded_in != fork.generation:
            raise UnsupportedError(
                f"{self.binding_name}: {call.verb} needs the model that the process which this one was forked from has "
                "loaded. Its engine's threads are not here.",
                hint="Make a binding of its own in this process, or fork before the model is loaded.",
            )
        return self._model

    def _load(self, call: Call) -> Any:
        if self._loading.held_by(call):
            raise self._asks_for_itself()
        try:
            self._loading.acquire(call)
            if self._model is _UNLOADED:
                model = fork.load_apart(self._do_load)
                self._model, self._loaded_in = model, fork.generation
            return self._model
        finally:
            try:
                self._loading.release(call)
            except BaseException:  # interrupted
                self._loading.release(call)
                raise

    def _do_load(self) -> Any:
        self._loader = threading.get_ident()
        try:
            return self.load_model()
        finally:
            self._loader = None

    def _asks_for_itself(self) -> GenerationError:
        return GenerationError(
            f"{type(self).__name__}.load_model() asks for the model that it is to load.",
            hint="This is a fault of the binding; tell its authors.",
        )

    def _unload(self) -> None:
        model, self._model = self._model, _UNLOADED
        if model is not _UNLOADED and self._loaded_in == fork.generation:
            self._free(model)

    def _free(self, model: Any) -> None:
        from lollms_modalities.models import ModelCache, SharedModel

        if isinstance(model, SharedModel):
            model.release()
        elif isinstance(model, ModelCache):
            model.clear()
        else:
            self.free_model(model)

    @property
    def _holds_model(self) -> bool:
        """Whether it is loaded, by this process or by the one that this was forked from."""
        return self._model is not _UNLOADED

    def _exchange(self) -> None:
        """Load the model anew, by the settings of now; the old one stays where that fails."""
        model = fork.load_apart(self.load_model)
        old, self._model = self._model, model
        self._free(old)

    # -- when idle ---------------------------------------------------------------------------------------------------

    def _left(self) -> None:
        if self._model is not _UNLOADED or self._reaping is not None:
            self._reap_when_idle()

    def _reap_when_idle(self) -> None:
        """Count anew the time after which the model is unloaded, as the settings have it now."""
        keep_alive = self.settings.keep_alive
        if keep_alive is not None and self._model is not _UNLOADED:
            self._reap_in(keep_alive)
        elif self._reaping is not None:
            self._reaping.cancel()
            self._reaping = None

    def _reap_in(self, seconds: float) -> None:
        if self._reaping is not None:
            self._reaping.cancel()
        self_ = weakref.ref(self)

        def reap() -> None:
            binding = self_()
            if binding is not None:
                binding._reap()

        self._reaping = _reaper.at(time.monotonic() + seconds, reap)

    def _reap(self) -> None:
        call = Call("unload", self)
        try:
            if self._lock.try_acquire(call, exclusive=True) and self.settings.keep_alive is not None:
                self._unload()
        finally:
            self._lock.release(call)


def _value(model: Any) -> Any:
    from lollms_modalities.models import SharedModel

    return model.value if isinstance(model, SharedModel) else model


def _after_fork() -> None:
    for binding in list(_all):
        binding._settling = threading.RLock()
        binding._reaping = None
        binding._loader = None
        if binding._model is not _UNLOADED:
            fork.keep(binding._model)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
