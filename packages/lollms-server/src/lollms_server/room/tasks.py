"""Work of the event loop that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Tasks:
    """Tasks that end by themselves; one that fails is logged."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()  # the loop itself holds them weakly

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run it."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Cancel all of them."""
        for task in self._running:
            task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)
