"""Jobs by our own surface: every kind of them, watched while they run, cancelled, fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from lollms_server.jobs.board import KINDS
from lollms_server.jobs.job import Job
from lollms_server.web import jobs, sse
from lollms_server.web.answers import Answer, Streamed, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.errors import Refused
from lollms_server.web.v2.values import masked_values

PATH = "/lollms/v2/jobs"


def told(job: Job) -> dict[str, Any]:
    """A job as JSON values, without what it was asked with."""
    shown: dict[str, Any] = {
        "id": job.id, "object": "lollms.job", "kind": job.kind, "modality": job.modality, "model": job.model,
        "verb": job.verb, "status": job.state, "progress": percent(job), "reported": job.progress,
        "created_at": job.created, "started_at": job.taken, "ended_at": job.ended, "expires_at": job.expires,
        "error": job.error, "files": [{"mime_type": f["mime_type"], "size": f["size"]} for f in job.files],
    }  # fmt: skip
    if job.result is not None:
        shown["value"] = job.result["value"]
        shown["provenance"] = masked_values(job.result["provenance"])
    return shown


def percent(job: Job) -> int:
    """From 0 to 100, which it is when the job is done."""
    return 100 if job.state == "completed" else int(job.done * 100)


async def list_jobs(asked: Asked) -> Answer:
    """The caller's jobs of all kinds, or for an admin everybody's."""
    rows, more = await jobs.listed(asked, KINDS, everyone=True)
    return await big_json_answer(jobs.page([_row(job) for job in rows], more))


def _row(job: Job) -> dict[str, Any]:
    """In a list, where results may be long."""
    return {name: value for name, value in told(job).items() if name not in ("value", "provenance")}


async def get_job(asked: Asked) -> Answer:
    """A job; with ``Accept: text/event-stream`` as events, whenever it changes, until it has ended."""
    job = await _found(asked)
    if not asked.headers.accepts("text/event-stream"):
        return await big_json_answer(told(job))
    return Streamed(sse.pinged(_events(asked, job), asked.settings.limits.ping_seconds), sse.HEADERS)


async def _events(asked: Asked, job: Job) -> AsyncIterator[bytes]:
    changes = asked.app.jobs.watch(job, asked.caller)
    try:
        async for now in changes:
            yield sse.event({"type": "job", **told(now)})
    finally:
        await sse.close(changes)


async def content(asked: Asked) -> Answer:
    """What came of a job: its file, one of several by number, or JSON where it is none."""
    job = await _found(asked)
    number = asked.query.get("file", "0")
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise Refused("file is the number of one of the job's files.", code="invalid_value", param="file")
    if job.state == "completed" and job.result is not None and not job.files:
        return await big_json_answer(job.result["value"])
    return await jobs.content(asked, job, int(number))


async def cancel(asked: Asked) -> Answer:
    """Cancel a job, in the queue or in the engine. One that has ended stays as it is."""
    return await big_json_answer(told(await asked.app.jobs.cancel(await _found(asked), asked.caller)))


async def remove(asked: Asked) -> Answer:
    """Delete a job with its results; one that runs is cancelled."""
    job = await _found(asked)
    await asked.app.jobs.remove(job, asked.caller)
    return json_answer({"id": job.id, "object": "lollms.job.deleted", "deleted": True})


async def _found(asked: Asked) -> Job:
    return await asked.app.jobs.found(asked.params["id"], asked.caller, KINDS)
