"""Loading, unloading, closing, many at once, and what is left."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lollms_modalities.errors import BindingClosedError
from lollms_modalities.testing.contract import applies, contract, raises
from lollms_modalities.testing.suite import Suite
from lollms_modalities.testing.watch import use


class LifeTests(Suite):
    """From the first load to the end, and back again."""

    calls = 25
    """How many calls the tests of growth make."""

    def test_listing_loads_nothing(self, make: Callable[..., Any]) -> None:
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
        binding = make()
        binding.load()
        contract(binding.loaded, "load() loads the model.", "life")
        began = time.monotonic()
        binding.load()
        contract(binding.loaded and time.monotonic() - began < 5, "load() again does nothing.", "life")
        self.check(self.call(binding))

    def test_unloaded_and_used_again(self, make: Callable[..., Any], result: Any) -> None:
        binding = make()
        self.call(binding)
        binding.unload()
        contract(not binding.loaded, "unload() frees the model.", "life")
        binding.unload()
        contract(self.same(self.call(binding), result), "After unload() the next call loads the model again.", "life")

    def test_unloading_waits_for_the_call_under_way(self, make: Callable[..., Any]) -> None:
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
        self.check(self.call(binding))

    def test_used_after_close(self, make: Callable[..., Any]) -> None:
        binding = make()
        self.call(binding)
        binding.close()
        with raises(BindingClosedError, "A binding that was closed raises BindingClosedError.", "life"):
            self.call(binding)
        binding.close()
        contract(not binding.loaded, "close() frees the model.", "life")

    def test_a_with_statement_closes_it(self, make: Callable[..., Any]) -> None:
        with make() as binding:
            self.check(self.call(binding))
        with raises(BindingClosedError, "After its with statement a binding is closed.", "life"):
            self.call(binding)

    @applies(lambda suite: suite.binding.has_model())
    def test_unloaded_when_nobody_asks(self, make: Callable[..., Any]) -> None:
        binding = make(keep_alive=0.2)
        self.call(binding)
        until = time.monotonic() + 15
        while binding.loaded and time.monotonic() < until:
            time.sleep(0.02)
        contract(not binding.loaded, "After keep_alive seconds without a call the model is unloaded.", "life")
        self.check(self.call(binding))

    def test_eight_threads_each_get_their_answer(self, bound: Any) -> None:
        variants = (self.variants() * 8)[:8]
        expected = [self.call(bound, **v) for v in variants[: len(self.variants())]]
        expected = (expected * 8)[:8]
        found: list[Any] = [None] * 8

        def ask(n: int) -> None:
            try:
                found[n] = self.call(bound, **variants[n])
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
                "Eight threads on one instance each get the answer to what they asked.",
                "concurrency",
                mine,
            )

    def test_nothing_grows_with_calls(self, make: Callable[..., Any], isolated: bool) -> None:
        binding = make()
        for _ in range(max(5, self.calls // 3)):
            self.call(binding)
        pids = tuple(w.process.pid for w in binding._workers.all()) if isolated else ()
        before = use(pids)
        for _ in range(self.calls):
            self.call(binding)
        until = time.monotonic() + 2
        while (after := use(pids)).threads > before.threads and time.monotonic() < until:
            time.sleep(0.05)
        grown = after.memory - before.memory
        contract(
            grown <= self.growth,
            f"{self.calls} calls leave no more than {self.growth / 1e6:.0f} MB in memory.",
            "leaks",
            f"{grown / 1e6:.0f} MB",
        )
        contract(after.threads <= before.threads + 1, "Calls leave no threads.", "leaks", (before, after))
        contract(after.descriptors <= before.descriptors + 1, "Calls leave no open files.", "leaks", (before, after))

    def test_no_temporary_files_are_left(
        self, make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.setenv(name, str(tmp_path))
        monkeypatch.setattr(tempfile, "tempdir", None)
        with make() as binding:
            self.call(binding)
            # What an engine's library keeps for the whole process is no leak.
            before = {*tmp_path.rglob("*"), *Path().iterdir()}
            for _ in range(3):
                self.call(binding)
        left = [str(p) for p in {*tmp_path.rglob("*"), *Path().iterdir()} - before]
        contract(not left, "Calls leave no files, neither temporary ones nor in the current folder.", "leaks", left)
