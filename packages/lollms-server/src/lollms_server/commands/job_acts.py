"""What the socket for the terminal answers of jobs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lollms_server.jobs.board import KINDS, Jobs
from lollms_server.jobs.job import Job
from lollms_server.room.callers import TERMINAL
from lollms_server.room.terminal import Act
from lollms_server.web.v2.jobs import told

_PART = 1 << 20  # bytes of a file in one answer


def acts_of(jobs: Jobs) -> dict[str, Act]:
    """The acts by name."""

    async def found(asked: Mapping[str, Any]) -> Job:
        return await jobs.found(str(asked["job"]), TERMINAL, KINDS)

    async def listed(asked: Mapping[str, Any]) -> Any:
        rows, _ = await jobs.listed(
            TERMINAL, KINDS, everyone=True, limit=min(1000, int(asked["limit"])), state=asked.get("status")
        )
        return [{n: value for n, value in told(row).items() if n not in ("value", "provenance")} for row in rows]

    async def job(asked: Mapping[str, Any]) -> Any:
        return told(await found(asked))

    async def cancel(asked: Mapping[str, Any]) -> Any:
        return told(await jobs.cancel(await found(asked), TERMINAL))

    async def content(asked: Mapping[str, Any]) -> Any:
        file, _ = await jobs.opened(await found(asked), int(asked["number"]))

        def read() -> bytes:
            with file:
                file.seek(int(asked["start"]))
                return file.read(min(_PART, int(asked["size"])))

        return base64.b64encode(await jobs.aside(read)).decode("ascii")

    return {"jobs": listed, "job": job, "cancel job": cancel, "content": content}
