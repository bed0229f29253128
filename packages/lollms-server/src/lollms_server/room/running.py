"""One call under way, as it is listed and cancelled."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, Literal

from lollms_modalities import CallCancelled, CallTimeout, CancelToken, Progress

from lollms_server.room.asked import Asked
from lollms_server.room.callers import Caller
from lollms_server.room.models import Chosen
from lollms_server.room.resident import Resident


class RunningCall:
    """One call under way.

    Attributes:
        id: by which it is cancelled; the request's id, unless another call has that.
        request_id: of the request, for the log.
        chosen, caller, asked: what was asked for, by whom; ``resident``: of whom.
        state: "queued" until the engine may begin, then "running".
        began: seconds of the monotonic clock at which it was asked for; ``admitted``: at which it left the queue;
            ``first``: at which a stream gave its first item; ``until``: at which it is out of time.
        loading: seconds that it waited for its binding to be made.
        resting: whether a stream waits for whoever reads it; ``overdue``: that it was out of time then.
        progress: the last that the engine reported, where somebody wants to know.
        token: what cancels it in the engine; ``scope``: in the queue.
    """

    def __init__(
        self, request_id: str | None, chosen: Chosen, caller: Caller, asked: Asked, resident: Resident
    ) -> None:
        self.id = self.request_id = request_id or secrets.token_hex(16)
        self.chosen = chosen
        self.caller = caller
        self.asked = asked
        self.resident = resident
        self.state: Literal["queued", "running"] = "queued"
        self.began = time.monotonic()
        self.admitted: float | None = None
        self.first: float | None = None
        self.until: float | None = None
        self.loading = 0.0
        self.resting = False
        self.overdue: CallTimeout | None = None
        self.progress: Progress | None = None
        self.token = CancelToken()
        self.scope: asyncio.Timeout | None = None
        self.stopped = ""  # why

    def stop(self, why: str) -> None:
        """It is to stop. One that waits for its turn, or for its binding, wakes; ``token`` is cancelled by others."""
        self.stopped = self.stopped or why
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(asyncio.get_running_loop().time())

    def stopped_error(self) -> CallCancelled:
        """What is raised where it was stopped before its engine began."""
        return CallCancelled(f"{self.chosen.name}: {self.asked.verb} was cancelled: {self.stopped}.")

    def to_json(self) -> dict[str, Any]:
        """The call as JSON values, without what it was given."""
        told = self.progress
        progress = None if told is None else {k: v for k, v in told._asdict().items() if k != "preview"}
        return {
            "id": self.id,
            "model": self.chosen.name,
            "modality": self.chosen.served.modality,
            "verb": self.asked.verb,
            "caller": self.caller.who,
            "state": self.state,
            "seconds": round(time.monotonic() - self.began, 3),
            "progress": progress,
        }
