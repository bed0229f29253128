"""The bar that ``progress=True`` shows, on stderr or in a notebook."""

from __future__ import annotations

from typing import Any

from lollms_modalities.calls.progress import Progress
from lollms_modalities.errors import OptionError
from lollms_modalities.version import requirement


class ProgressBar:
    """Shows each stage of a call as a bar of its own. Raises ``OptionError`` where tqdm is not installed."""

    def __init__(self, verb: str) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as exc:
            raise OptionError(
                "progress=True shows a bar with tqdm, which is not installed.",
                hint=f"Run pip install {requirement('lollms-modalities-core', 'progress')}, or give a function.",
            ) from exc
        self._tqdm: Any = tqdm
        self._verb = verb
        self._stage: str | None = None
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None or progress.stage != self._stage:
            self.close()
            self._stage = progress.stage
            self._bar = self._tqdm(desc=progress.stage or self._verb, total=progress.total, unit=progress.unit or "it")
        self._bar.total = progress.total
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
