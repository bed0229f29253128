"""The process is the caller's: its directory, signals, environment, logging, standard input, random numbers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lollms_modalities.errors import LollmsError
from lollms_modalities.testing.contract import applies, contract
from lollms_modalities.testing.control_c import interrupting
from lollms_modalities.testing.household import callers_own, changes, generators, household, seed_generators
from lollms_modalities.testing.smoke import Smoke
from lollms_modalities.testing.suite import Suite

_KEPT = b"this is for the caller\n"


class ProcessTests(Suite):
    """What a binding leaves as it was."""

    def test_the_process_is_left_as_it_was(self, make: Callable[..., Any], smoke: Smoke, tmp_path: Path) -> None:
        """Give programs ``cwd=`` and ``env=`` of their own; leave ``os.chdir``, ``os.environ``, ``signal``,
        ``warnings`` and ``logging`` alone. Where a library changes them, put back in ``finally`` what was there."""
        during: list[dict[str, Any]] = []
        with callers_own(tmp_path, smoke.environment):
            before = household()
            binding = make()
            binding.load()
            self.call(binding, progress=lambda p: during.append(household()) if len(during) < 3 else None)
            binding.close()
            found = changes(before, household())
        sentence = "Making, loading, calling and closing a binding leaves the process as it was."
        contract(not found, sentence, "the-process", found)
        # Other threads of the caller would see these while the call runs.
        seen = ("the current directory", "the environment", "logging.disable()", "the signal handlers", "the locale",
                "sys.stdin, stdout, stderr", "the caller's loggers")  # fmt: skip
        for state in during:
            found = {name: change for name, change in changes(before, state).items() if name in seen}
            contract(
                not found, "While a call runs the process is as it was, for its other threads.", "the-process", found
            )

    def test_the_random_numbers_of_the_process_are_left_alone(self, make: Callable[..., Any], bound: Any) -> None:
        """Make a generator for each call (``random.Random(seed)``, ``numpy.random.default_rng(seed)``), or
        use ``kit.seeded``."""
        sentence = "Loading and calling do not seed the random generators of the process, or put their state back."
        for what in (lambda: make().load(), lambda: self.brief(bound)):
            seeded = _seeded(what)
            seed_generators(int.from_bytes(os.urandom(4), "big"))
            contract(not seeded, sentence, "the-process", seeded)

    @applies(lambda suite: os.name == "posix")
    def test_standard_input_is_the_callers(self, bound: Any, isolated: bool) -> None:
        """Start programs with ``stdin=subprocess.DEVNULL``, as ``kit.program.run`` does."""
        with _stdin_of(_KEPT) as left:
            error, _ = self.stopped(lambda: self.brief(bound))
            kept = left()
        contract(error is None, "A call does not wait for standard input.", "the-process", error)
        contract(kept == _KEPT, "A call does not read the standard input of the process.", "the-process", kept)

    def test_control_c_ends_the_call(self, bound: Any, isolated: bool) -> None:
        """Let ``KeyboardInterrupt`` through: catch ``Exception``, never ``BaseException`` or everything."""
        if threading.current_thread() is not threading.main_thread():
            pytest.skip("Only the main thread is interrupted.")
        sentence = "Ctrl-C during a call is a KeyboardInterrupt for the caller."
        pressed: list[Any] = []

        def press(progress: Any) -> None:
            if not pressed:
                pressed.append(progress)
                signal.raise_signal(signal.SIGINT)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            contract(self._interrupted(bound, press) or not pressed, sentence, "the-process")
            if not isolated:  # where no code of the engine's is to be interrupted
                with interrupting() as interrupt:
                    contract(self._interrupted(bound, interrupt) or not interrupt.sent, sentence, "the-process")
        finally:
            signal.signal(signal.SIGINT, before)
        self.check(self.brief(bound))

    def _interrupted(self, bound: Any, press: Callable[[Any], None]) -> bool:
        try:
            self.call(bound, **self.long(progress=press))
        except KeyboardInterrupt:
            return True
        except (LollmsError, SystemExit):
            return False
        return False


def _seeded(run: Callable[[], object]) -> list[str]:
    """Names of the generators whose state after ``run`` is the same, whatever it was before."""
    after: list[dict[str, Any]] = []
    for seed in (101, 202):
        seed_generators(seed)
        before = generators()
        run()
        after.append(generators())
        if all(after[0].get(name) == state for name, state in before.items()):
            return []  # left alone
    return [name for name, state in after[0].items() if state == after[1].get(name)]


@contextmanager
def _stdin_of(data: bytes) -> Iterator[Callable[[], bytes]]:
    """Descriptor 0 gives ``data`` and then its end; what is given tells what has not been read."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    saved, own = os.dup(0), sys.stdin
    os.dup2(read, 0)
    os.close(read)
    sys.stdin = os.fdopen(os.dup(0))  # pytest's own refuses to be read, which an engine would see
    try:
        yield lambda: os.read(0, len(data) + 1)
    finally:
        sys.stdin.close()
        sys.stdin = own
        os.dup2(saved, 0)
        os.close(saved)
