"""``progress`` and ``interrupt``: of what the caller itself has drawn."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from lollms_modalities import Image, read_media

from lollms_server.jobs.owners import owner_of
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.automatic1111.desk import Drawing


async def progress(asked: Asked) -> Answer:
    """How far the oldest drawing is that is under way; 0 where none is."""
    under_way = asked.app.desk.drawings(owner_of(asked.caller))
    first = under_way[0] if under_way else None
    told = None if first is None else first.progress
    done = 0.0 if told is None or not told.total else min(1.0, max(0.0, told.done / told.total))
    picture = None
    if told is not None and isinstance(told.preview, Image) and asked.query.get("skip_current_image") != "true":
        preview = told.preview
        picture = await asyncio.to_thread(lambda: base64.b64encode(read_media(preview)).decode("ascii"))
    state = {"progress": done, "eta_relative": 0.0, "state": _state(first, len(under_way)), "current_image": picture,
             "textinfo": None}  # fmt: skip
    return await big_json_answer(state)


def _state(first: Drawing | None, number: int) -> dict[str, Any]:
    told = None if first is None else first.progress
    return {
        "skipped": False, "interrupted": False, "job": "" if first is None else first.id, "job_count": number,
        "job_no": 0, "sampling_step": 0 if told is None else int(told.done),
        "sampling_steps": 0 if told is None or told.total is None else int(told.total),
    }  # fmt: skip


async def interrupt(asked: Asked) -> Answer:
    """Cancel what is drawn for the caller; whoever waits for it is told so."""
    ids = {drawing.id for drawing in asked.app.desk.drawings(owner_of(asked.caller))}
    for call in asked.room.calls(asked.caller):
        if call.request_id in ids and call.caller.who == asked.caller.who:
            asked.room.cancel(call.id, asked.caller)
    return json_answer({})
