"""The bar that ``progress=True`` shows, on stderr or in a notebook."""

from __future__ import annotations

from typing import Any

from tqdm.auto import tqdm

from lollms_modalities.calls.progress import Progress


class ProgressBar:
    """Shows each stage of a call as a bar of its own."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._stage: str | None = None
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None or progress.stage != self._stage:
            self.close()
            self._stage = progress.stage
            self._bar = tqdm(desc=progress.stage or self._verb, total=progress.total, unit=progress.unit or "it")
        self._bar.total = progress.total
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
