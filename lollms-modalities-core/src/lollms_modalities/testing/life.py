"""Loading, unloading, closing, many at once, and what is left."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from lollms_modalities.errors import BindingClosedError
from lollms_modalities.testing.contract import applies, contract, raises
from lollms_modalities.testing.suite import Suite


def _weakly(binding: Any, other: Any) -> Callable[[], Any] | None:
    """A weak reference to the model of a binding; None for one that can have none, or that another binding shares."""
    if other.loaded and other.model is binding.model:
        return None
    try:
        return weakref.ref(binding.model)
    except TypeError:
        return None


class LifeTests(Suite):
    """From the first load to the end, and back again."""

    def test_listing_loads_nothing(self, make: Callable[..., Any]) -> None:
        """Read files or metadata in ``list_...`` and ``capabilities``, never ``self.model``."""
        binding = make()
        for name in ("list_models", "list_voices", "list_services"):
            if hasattr(binding, name):
                found = getattr(binding, name)()
                kind = dict if name == "list_services" else str
                contract(
                    isinstance(found, list) and all(isinstance(item, kind) for item in found),
                    f"{name}() gives a list of {kind.__name__}.",
                    "life",
                    found,
                )
        _ = binding.capabilities, binding.get_settings(), binding.describe()
        contract(not binding.loaded, "Lists, capabilities and settings load no model.", "life")

    @applies(lambda suite: suite.binding.has_model())
    def test_loaded_twice(self, make: Callable[..., Any]) -> None:
        """Return the model from ``load_model``, and leave ``load`` to the core."""
        binding = make()
        binding.load()
        contract(binding.loaded, "load() loads the model.", "life")
        began = time.monotonic()
        binding.load()
        contract(binding.loaded and time.monotonic() - began < 5, "load() again does nothing.", "life")
        self.check(self.brief(binding))

    def test_unloaded_and_used_again(self, make: Callable[..., Any], bound: Any, result: Any, isolated: bool) -> None:
        """Return the model from ``load_model``, free it in ``free_model``, and keep no other reference to it."""
        binding = make()
        self.call(binding)
        model = None if isolated or not binding.has_model() else _weakly(binding, bound)
        binding.unload()
        gc.collect()
        contract(model is None or model() is None, "unload() leaves nothing of the model in memory.", "life")
        contract(not binding.loaded, "unload() frees the model.", "life")
        binding.unload()
        contract(self.same(self.call(binding), result), "After unload() the next call loads the model again.", "life")

    def test_unloading_waits_for_the_call_under_way(self, make: Callable[..., Any]) -> None:
        """Do the work inside the verb; a thread that goes on by itself is waited for there."""
        binding = make()
        began, results = threading.Event(), list[Any]()
        run = threading.Thread(
            target=lambda: results.append(self.call(binding, progress=lambda p: began.set())), daemon=True
        )
        run.start()
        began.wait(5)
        binding.unload()
        run.join(120)
        contract(results, "unload() lets the call under way come to its end.", "life")
        self.check(results[0])
        self.check(self.brief(binding))

    def test_used_after_close(self, make: Callable[..., Any]) -> None:
        """Call ``super().close()`` where you override ``close``."""
        binding = make()
        self.brief(binding)
        binding.close()
        with raises(BindingClosedError, "A binding that was closed raises BindingClosedError.", "life"):
            self.call(binding)
        binding.close()
        contract(not binding.loaded, "close() frees the model.", "life")

    def test_a_with_statement_closes_it(self, make: Callable[..., Any]) -> None:
        """Leave ``__enter__`` and ``__exit__`` to the core."""
        with make() as binding:
            self.check(self.brief(binding))
        with raises(BindingClosedError, "After its with statement a binding is closed.", "life"):
            self.call(binding)

    @applies(lambda suite: suite.binding.has_model())
    def test_unloaded_when_nobody_asks(self, make: Callable[..., Any]) -> None:
        """Leave ``keep_alive`` and unloading to the core."""
        binding = make(keep_alive=0.2)
        self.brief(binding)
        until = time.monotonic() + 0.2 + self.patience
        while binding.loaded and time.monotonic() < until:
            time.sleep(0.02)
        contract(not binding.loaded, "After keep_alive seconds without a call the model is unloaded.", "life")
        self.check(self.brief(binding))

    def test_eight_threads_each_get_their_answer(self, bound: Any, growing: Any) -> None:
        """Keep what belongs to a call in local variables, or leave ``concurrency`` at 1; nothing in the class."""
        variants = (self.variants() * 8)[:8]
        expected = [self.call(bound, **v) for v in variants[: len(self.variants())]]
        expected = (expected * 8)[:8]
        found: list[Any] = [None] * 8

        def ask(n: int) -> None:
            try:
                found[n] = self.call((bound, growing)[n % 2], **variants[n])
            except Exception as exc:
                found[n] = exc

        threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(180)
        for mine, right in zip(found, expected, strict=True):
            contract(
                not isinstance(mine, Exception) and self.same(mine, right),
                "Eight threads, on one instance or another, each get the answer to what they asked.",
                "concurrency",
                mine,
            )
