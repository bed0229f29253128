"""Progress bars on stderr, where that is a terminal; elsewhere nothing is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from lollms_modalities.calls.progress import Progress, ProgressCallback

_T = TypeVar("_T")


class Bars:
    """``with Bars(label) as progress``: a function to give to a call, or None where nobody looks.

    Each stage of the call has a bar; all vanish when the call has ended.
    """

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._shown: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> ProgressCallback | None:
        return self._report if sys.stderr.isatty() else None

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.stop()

    def _report(self, progress: Progress) -> None:
        if self._shown is None:
            self._shown = _rich()
            self._shown.start()
        task = self._tasks.get(progress.stage)
        if task is None:
            words = " ".join(filter(None, (self._label, progress.stage)))
            task = self._tasks[progress.stage] = self._shown.add_task(words or "working", total=None, said="")
        said = _said(progress)
        self._shown.update(task, completed=progress.done, total=progress.total, said=said)


def counted(items: Iterable[_T], total: int, label: str, unit: str) -> Iterator[_T]:
    """The items, with a bar that counts them: ``check  3 of 14 bindings``."""
    from lollms_modalities.calls.progress import Progress

    with Bars(label) as progress:
        if progress is not None:
            progress(Progress("", 0, total, unit))
        for done, item in enumerate(items, 1):
            if progress is not None:
                progress(Progress("", done, total, unit))
            yield item


def _said(progress: Progress) -> str:
    def number(value: float) -> str:
        return (
            f"{value / 1e6:.1f} MB"
            if progress.unit == "byte"
            else f"{value:g}"
            if value == int(value)
            else f"{value:.1f}"
        )

    unit = "" if progress.unit in ("byte", "") else f" {progress.unit}"
    return f"{number(progress.done)}{f' of {number(progress.total)}' if progress.total else ''}{unit}"


def _rich() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    # Without rich's redirection, which would keep what goes to stdout from a pipe until the end.
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(), console=Console(stderr=True), transient=True, redirect_stdout=False,
        redirect_stderr=False,
    )  # fmt: skip
