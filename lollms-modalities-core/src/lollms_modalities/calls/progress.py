"""How far a call has come, and whom that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from lollms_modalities.errors import OptionError


class Progress(NamedTuple):
    """How far a call has come.

    Attributes:
        stage: what is being done, such as "load" or "generate"; "" where there is only one stage.
        done: how much is done, in ``unit``.
        total: how much there is in all, or None where that is not known.
        unit: such as "step", "character", "s", "byte".
        preview: an early look at the result where one was asked for, else None.
    """

    stage: str
    done: float
    total: float | None
    unit: str
    preview: Any = None

    @property
    def fraction(self) -> float | None:
        """From 0 to 1, or None where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None


ProgressCallback = Callable[[Progress], object]


class ProgressSink(Protocol):
    def __call__(self, progress: Progress, /) -> object: ...


def checked_sink(progress: object) -> ProgressSink:
    """What ``progress=`` was given besides True. Raises ``OptionError`` where it cannot be called."""
    if not callable(progress):
        raise OptionError(
            f"progress={progress!r} is neither True nor callable.",
            hint="Give True for a bar, or a function of one Progress.",
        )
    return progress
