"""Programs and files beside the call: none is left, none is shared, and no shell reads what a caller gives."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.testing.contract import applies, contract, works
from lollms_modalities.testing.suite import Suite
from lollms_modalities.testing.watch import family, orphans_kept, watching


def _elsewhere(path: str, desk: Path) -> bool:
    """Whether it is a file outside the desk that holds something: no device, lock or log."""
    outside = os.path.isabs(path) and not path.startswith((f"{desk}{os.sep}", "/dev/", "/proc/", "/sys/"))
    return outside and not path.endswith((".lock", ".log"))


class ProgramTests(Suite):
    """For engines that are programs, or that write files; others have nothing to do for these."""

    @pytest.fixture
    def desk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """An empty folder, which is the current one and the one for temporary files."""
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.setenv(name, str(tmp_path))
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @applies(lambda suite: os.name == "posix")
    def test_no_process_is_left(self, make: Callable[..., Any], isolated: bool) -> None:
        """End a program with its call, however that ends, and wait for it; ``kit.program.run`` does both. What serves
        several calls ends in ``free_model``."""
        with orphans_kept():
            at_first = family()
            binding = make()
            self.brief(binding)
            before = family()
            self.brief(binding)
            self._gone(before, "A call leaves no process, running or not waited for.")
            token = CancelToken()
            self.quietly(lambda: self.call(binding, **self.long(cancel=token, progress=lambda p: token.cancel())))
            if not isolated:  # whose worker may have been ended and begun again
                self._gone(before, "A call that is stopped leaves no process.")
            binding.close()
            if not isolated:
                self._gone(at_first, "close() leaves no process.")

    def _gone(self, before: dict[int, str], sentence: str) -> None:
        until = time.monotonic() + self.patience
        while (left := {p: s for p, s in family().items() if p not in before}) and time.monotonic() < until:
            time.sleep(0.02)
        contract(not left, sentence, "programs", left)

    def test_close_leaves_no_thread(self, make: Callable[..., Any]) -> None:
        """End in ``free_model`` or ``close`` the threads that the binding has begun."""
        before = set(threading.enumerate())
        for _ in range(2):
            with make() as binding:
                self.brief(binding)
        until = time.monotonic() + self.patience
        while len(left := [t for t in threading.enumerate() if t not in before]) >= 2 and time.monotonic() < until:
            time.sleep(0.02)
        contract(len(left) < 2, "close() leaves no thread.", "programs", left)

    def test_two_calls_share_no_file(self, make: Callable[..., Any], desk: Path, isolated: bool) -> None:
        """Write temporary files into a folder of the call's own: ``tempfile.TemporaryDirectory()``."""
        binding = make()
        self.call(binding)  # whatever a library keeps for the whole process is there now
        there = {str(path) for path in desk.rglob("*")}
        seen: list[set[str]] = []
        for _ in range(2):
            with watching() as watcher:
                before, lying = set(map(str, desk.rglob("*"))), set[str]()
                self.call(binding, progress=lambda p, lying=lying: lying.update(map(str, desk.rglob("*"))))
                lying -= before  # what an earlier call has left is told elsewhere
            words = (word for command in watcher.commands for part in command for word in re.split(r"[\s'\"=]+", part))
            named = (word for word in words if os.path.isabs(word))  # of others nobody knows whether they are files
            used = {str(desk / name) for name in (*watcher.written, *named)}
            here = {p for p in used | lying if p.startswith(f"{desk}{os.sep}")} - there
            seen.append(here | {p for p in watcher.written if _elsewhere(p, desk)})
        shared = sorted(seen[0] & seen[1])
        contract(not shared, "Two calls never write the same file: they may run at the same time.", "programs", shared)

    def test_no_shell_reads_what_is_given(self, bound: Any, desk: Path, isolated: bool) -> None:
        """Start programs from a list of arguments, without a shell, with ``--`` or ``-option=`` before what a
        caller gives."""
        for given in self.for_a_shell(desk):
            with works("What a shell or a program would take for its own is taken as it is.", "programs"):
                self.checked(self.call(bound, **given), given)
        marked = [p.name for p in desk.rglob("*") if "sesame" in p.name]
        contract(not marked, "No shell reads what a caller gives.", "programs", marked)

    def for_a_shell(self, desk: Path) -> Iterator[dict[str, Any]]:
        """Arguments that would do harm in a shell, or as options of a program: a file named sesame shows it."""
        name = getattr(self, "content", "")
        for text in ("$(touch sesame) said `touch sesame`", "said '; touch sesame; '", 'said "; touch sesame; "',
                     "--help", "100 % of %s {0} {name} %d"):  # fmt: skip
            yield {name: text}

    def checked(self, result: Any, given: dict[str, Any]) -> None:
        """Fail unless the result is one of what was given."""
        self.check(result)
