"""What nobody runs or wants any more: ended, and told why; or deleted when its time is over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lollms_modalities import LollmsError

from lollms_server.jobs import owners
from lollms_server.jobs.errors import JobLost, StoreLost
from lollms_server.jobs.runner import gone
from lollms_server.room.room import Room

if TYPE_CHECKING:
    from lollms_server.jobs.board import Jobs, Tell

_FILES_EVERY = 3600.0  # seconds
_ORPHAN = 3600.0  # seconds after which a file that no job has is removed
_log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps. Every server does: each statement says what must be so before, and one of them does it.

    Args:
        jobs: whose store is swept.
        room: for its keys.
        tell: an error as JSON values.
        every: seconds between two times.
    """

    def __init__(self, jobs: Jobs, room: Room, tell: Tell, every: float) -> None:
        self._jobs = jobs
        self._tell = tell
        self._every = every
        self._keys = room.keys

    async def run(self) -> None:
        """Now and again, until the task is cancelled."""
        files = 0.0
        while True:
            try:
                await self._jobs.aside(self.sweep)
                if time.monotonic() >= files:
                    await self._jobs.aside(self.sweep_files)
                    files = time.monotonic() + _FILES_EVERY
            except StoreLost as exc:
                _log.warning("%s", exc)
            except Exception:
                _log.exception("the jobs could not be swept")
            await asyncio.sleep(self._every)

    def sweep(self) -> None:
        """End and delete what is due."""
        jobs, store = self._jobs, self._jobs.store
        lost = JobLost(
            "The server that ran it ended, or could not reach the store, before it was done.", hint="Ask again."
        )
        self._failed(store.fail_lost(self._tell(lost), jobs.lifetime))
        never = JobLost("No server has run it in time: none has room for its model, or serves it.", hint="Ask again.")
        self._failed(store.fail_waiting(self._tell(never), jobs.lifetime, older=jobs.lifetime))
        for owner in self._without_a_key():
            self._failed(store.fail_of([owner], self._tell(gone(owner)), jobs.lifetime))
        for job_id in store.remove_expired():
            jobs.files.remove(job_id)

    def sweep_files(self) -> None:
        """Remove files that no job has: a server was killed between writing them and saying so."""
        ids = self._jobs.files.ids(_ORPHAN)
        for job_id in set(ids) - self._jobs.store.known(ids):
            self._jobs.files.remove(job_id)

    def _without_a_key(self) -> list[str]:
        try:
            return [o for o in self._jobs.store.owners_waiting() if owners.caller_of(o, self._keys) is None]
        except LollmsError as exc:
            if isinstance(exc, StoreLost):
                raise
            _log.error("Whose keys are gone cannot be told: %s", exc)  # the file of keys is damaged: nobody's is gone
            return []

    def _failed(self, ids: Iterable[str]) -> None:
        for job_id in ids:
            self._jobs.files.remove(job_id)
            self._jobs.metrics.swept()
