"""For who runs the server: whether it lives, whether it takes calls, what it measures."""

from __future__ import annotations

import asyncio

from lollms_server.web.answers import Answer, json_answer
from lollms_server.web.asked import Asked


async def health(asked: Asked) -> Answer:
    """That the server runs. No use of a model."""
    return json_answer(asked.room.health())


async def ready(asked: Asked) -> Answer:
    """Whether it takes calls: 503 while it loads what is to be preloaded, and while it ends."""
    if asked.room.ready():
        return json_answer({"ready": True})
    return json_answer({"ready": False}, 503, {"retry-after": "1"})


async def metrics(asked: Asked) -> Answer:
    """Metrics as Prometheus reads them."""
    from prometheus_client import exposition

    body = await asyncio.to_thread(exposition.generate_latest, asked.room.metrics.registry)
    return Answer(body, 200, {"content-type": exposition.CONTENT_TYPE_LATEST})
