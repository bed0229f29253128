"""How many seconds of engines each key has used in this UTC day, which survives a restart."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from lollms_server.room.callers import Caller
from lollms_server.room.errors import QuotaSpent
from lollms_server.room.keys import read_private, write_private

_DAY = 86400
_SAVING = 5.0  # seconds between two writings of what was counted
_log = logging.getLogger(__name__)


class Usage:
    """Engine seconds by key.

    Args:
        path: of the file.
        clock: seconds since 1970, UTC; for tests.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._day, self._seconds = self._read()
        self.changed = False

    def spent(self, name: str) -> float:
        """Seconds that the key has used today."""
        self._turn()
        return self._seconds.get(name, 0.0)

    def check(self, caller: Caller) -> None:
        """Whether the caller may use an engine.

        Raises:
            QuotaSpent: it has used what it may use today.
        """
        limit = caller.engine_seconds
        if limit is None or caller.key_name is None or self.spent(caller.key_name) < limit:
            return
        raise QuotaSpent(
            f"The key {caller.key_name!r} has used its {limit:g} engine seconds of today.",
            hint="The day ends at midnight, UTC.",
            retry_after=float(_DAY - self._clock() % _DAY),
        )

    def add(self, caller: Caller, seconds: float) -> None:
        """Count what a call has used."""
        if caller.key_name is not None:
            self._turn()
            self._seconds[caller.key_name] = self._seconds.get(caller.key_name, 0.0) + seconds
            self.changed = True

    def save(self) -> None:
        """Write what was counted since the last time. From another thread, too."""
        if self.changed:
            self.changed = False
            self._path.parent.mkdir(parents=True, exist_ok=True)
            seconds = {name: round(value, 3) for name, value in self._seconds.copy().items()}
            write_private(self._path, {"day": self._day, "seconds": seconds})

    async def keep_saving(self) -> None:
        """Save now and then, until the task is cancelled."""
        while True:
            await asyncio.sleep(_SAVING)
            try:
                await asyncio.to_thread(self.save)
            except OSError as exc:
                _log.error("Engine seconds could not be written: %s", exc)

    def _turn(self) -> None:
        if (today := int(self._clock() // _DAY)) != self._day:
            self._day, self._seconds = today, {}

    def _read(self) -> tuple[int, dict[str, float]]:
        today = int(self._clock() // _DAY)
        try:
            found = json.loads(read_private(self._path)[0])
            if found["day"] == today:
                return today, {str(name): float(seconds) for name, seconds in found["seconds"].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Counting begins anew, rather than refusing everybody for a day.
            _log.warning("%s cannot be read: engine seconds are counted anew.", self._path)
        return today, {}
