"""Waiting on an event loop for what is to come true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def true(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until ``what`` gives something true."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.002)
