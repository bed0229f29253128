"""What the surfaces of jobs share: how they are asked for, listed, and how their files are sent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, BinaryIO

from lollms_server.jobs.job import STATES, Job
from lollms_server.web.answers import Answer, Streamed
from lollms_server.web.asked import Asked
from lollms_server.web.errors import Refused

_PART = 262_144  # bytes read at a time
_MOST = 1000  # jobs in one list
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
LISTED = {
    "after": "The id of the last job that is known.",
    "limit": "How many.",
    "order": "asc or desc: the oldest or the newest first.",
}


def prefers_job(asked: Asked) -> bool:
    """Whether the caller wants a job rather than to wait (RFC 7240)."""
    said = ",".join(value for name, value in asked.headers.all if name == "prefer")
    return any(part.partition(";")[0].strip().lower() == "respond-async" for part in said.split(","))


def idempotency(asked: Asked) -> str | None:
    """The caller's name for this request, if it has one.

    Raises:
        Refused: it is empty or too long.
    """
    said = asked.headers.only("idempotency-key")
    if said is not None and not 1 <= len(said) <= 255:
        raise Refused("An Idempotency-Key has 1 to 255 characters.", code="invalid_idempotency_key")
    return said


async def listed(asked: Asked, kinds: Iterable[str], *, everyone: bool = False) -> tuple[list[Job], bool]:
    """The jobs that the query asks for, and whether there are more.

    Raises:
        Refused: what stands in the query is none of that.
    """
    query = asked.query
    limit, order = query.get("limit", "20"), query.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 1 <= int(limit) <= _MOST):
        raise Refused(f"limit is a number from 1 to {_MOST}.", code="invalid_value", param="limit")
    if order not in ("asc", "desc"):
        raise Refused("order is asc or desc.", code="invalid_value", param="order")
    state = query.get("status")
    if state is not None and state not in STATES:
        raise Refused(f"status is one of: {', '.join(STATES)}.", code="invalid_value", param="status")
    return await asked.app.jobs.listed(
        asked.caller, kinds, everyone=everyone, after=query.get("after"), limit=int(limit), order=order,
        state=state,
    )  # fmt: skip


def page(rows: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    """A list as OpenAI's API gives it."""
    ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {"first_id": None, "last_id": None}
    return {"object": "list", "data": rows, "has_more": more, **ends}


async def content(asked: Asked, job: Job, number: int) -> Answer:
    """A file of a job, or the part of it that is asked for.

    Raises:
        JobUnfinished, JobNotFound: there is none.
        Refused: there is no such part.
    """
    file, known = await asked.app.jobs.opened(job, number)
    size = int(known["size"])
    headers = {
        "content-type": known["mime_type"], "accept-ranges": "bytes", "content-disposition": "inline",
        "content-security-policy": "sandbox",
    }  # fmt: skip
    try:
        start, end = _asked_for(asked.headers.get("range"), size)
    except BaseException:
        await asked.app.jobs.aside(file.close)
        raise
    answer = Streamed(_parts(asked, file, start, end), {**headers, "content-length": str(end - start)})
    if (start, end) != (0, size):
        answer.status = 206
        answer.headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return answer


async def _parts(asked: Asked, file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    aside = asked.app.jobs.aside
    try:
        await aside(file.seek, start)
        while start < end and (part := await aside(file.read, min(_PART, end - start))):
            start += len(part)
            yield part
        if start < end:
            raise EOFError("the file is shorter than it was")
    finally:
        await aside(file.close)


def _asked_for(said: str | None, size: int) -> tuple[int, int]:
    """The first byte and the one behind the last. What is no single range of bytes is passed over, as HTTP has it."""
    match = _RANGE.fullmatch(said or "")
    if match is None or not any(match.groups()):
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise Refused(
            f"The content has {size} bytes.", status=416, code="invalid_range",
            headers={"content-range": f"bytes */{size}"},
        )  # fmt: skip
    return start, end
