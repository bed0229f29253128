"""One call under way, as it is listed and cancelled."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from lollms_modalities import CallCancelled, CancelToken, Progress

from lollms_server.room.callers import Caller
from lollms_server.room.models import Chosen


class RunningCall:
    """One call under way.

    Attributes:
        id: by which it is cancelled; the request's id, unless another call has that.
        request_id: of the request, for the log.
        chosen, caller, verb: what was asked for, by whom.
        state: "queued" until the engine may begin, then "running".
        began: seconds of the monotonic clock at which it was asked for; ``admitted``: at which it left the queue;
            ``first``: at which a stream gave its first item; ``until``: at which it is out of time.
        loading: seconds that it waited for its binding to be made.
        progress: the last that the engine reported, where somebody wants to know.
        token: what cancels it in the engine; ``scope``: in the queue.
    """

    def __init__(self, call_id: str, request_id: str, chosen: Chosen, caller: Caller, verb: str) -> None:
        self.id = call_id
        self.request_id = request_id
        self.chosen = chosen
        self.caller = caller
        self.verb = verb
        self.state: Literal["queued", "running"] = "queued"
        self.began = time.monotonic()
        self.admitted: float | None = None
        self.first: float | None = None
        self.until: float | None = None
        self.loading = 0.0
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
        return CallCancelled(f"{self.chosen.name}: {self.verb} was cancelled: {self.stopped}.")

    def to_json(self) -> dict[str, Any]:
        """The call as JSON values, without what it was given."""
        told = self.progress
        progress = None if told is None else {k: v for k, v in told._asdict().items() if k != "preview"}
        return {
            "id": self.id,
            "model": self.chosen.name,
            "modality": self.chosen.served.modality,
            "verb": self.verb,
            "caller": self.caller.who,
            "state": self.state,
            "seconds": round(time.monotonic() - self.began, 3),
            "progress": progress,
        }
