"""The smoke test: whether the engine works at all. Where it does not, nothing else is asked."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lollms_modalities.testing.contract import begin, contract
from lollms_modalities.testing.suite import Suite


class Smoke:
    """What came of the first call.

    Attributes:
        bound: the binding that was made.
        result: what the sample gave.
        growing: another binding, made where it is first asked for.
        ailment: why there is no result; "" where there is one.
        told: whether a test has failed for it.
        environment: the variables that there were before it.
    """

    def __init__(self) -> None:
        self.bound: Any = None
        self.result: Any = None
        self.growing: Any = None
        self.ailment = ""
        self.told = False
        self.environment = dict(os.environ)


class SmokeTests(Suite):
    """A binding is made, and the sample gives something."""

    @pytest.fixture(scope="class")
    @classmethod
    def smoke(cls, maker: Callable[..., Any]) -> Iterator[Smoke]:
        """The first call, with a binding that all tests use which leave it as it was."""
        smoke = Smoke()
        try:
            smoke.bound = maker()
            with _at_most(cls.smoke_within):
                smoke.result = cls.call(smoke.bound)
        except Exception as exc:
            smoke.ailment = _chain(exc)
        yield smoke
        for binding in (smoke.bound, smoke.growing):
            if binding is not None:
                binding.close()

    @pytest.fixture(autouse=True)
    def _only_where_the_engine_works(self, request: pytest.FixtureRequest) -> Iterator[None]:
        begin(request.function)
        here, disabled = os.getcwd(), logging.root.manager.disable
        smoke: Smoke = request.getfixturevalue("smoke")  # now, when the author's own fixtures have been set up
        if smoke.ailment and smoke.told:
            pytest.skip("The smoke test failed; what it says is to be mended first.")
        if smoke.ailment:
            # Whichever test is the first fails, so that no engine is missing unseen.
            smoke.told = True
            begin(SmokeTests.test_smoke)
            sentence = "With the suite's settings the engine does the suite's sample."
            contract(False, sentence, "the-smoke-test", smoke.ailment)
        yield
        # What a binding changes is told by the test for that, and by no other.
        os.chdir(here)
        logging.disable(disabled)

    @pytest.fixture
    def bound(self, smoke: Smoke) -> Any:
        """One binding for all tests that leave it as it was."""
        return smoke.bound

    @pytest.fixture
    def growing(self, smoke: Smoke, maker: Callable[..., Any]) -> Any:
        """Another one, for the tests of growth, of which each begins where it stands."""
        if smoke.growing is None:
            smoke.growing = maker()
        return smoke.growing

    @pytest.fixture
    def result(self, smoke: Smoke) -> Any:
        """What the sample gives."""
        return smoke.result

    def test_smoke(self) -> None:
        """Give the suite ``settings`` with which the engine works on this machine, and a ``sample`` that it can do."""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Interrupt the main thread after so long with a TimeoutError, even where it waits for a program."""
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"The first call goes on after {seconds:g} s (smoke_within).")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _chain(exc: BaseException) -> str:
    """The error and what caused it, the nearest first."""
    said: list[str] = []
    one: BaseException | None = exc
    while one is not None and len(said) < 4:
        said.append(f"{type(one).__name__}: {one}")
        one = one.__cause__
    return ", from ".join(said)
