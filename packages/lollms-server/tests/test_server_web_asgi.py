"""The application under a server that is not ours: any of ASGI's, which tells of less."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from eventually import true
from lollms_server.room.callers import TERMINAL
from lollms_server.web.app import create_app
from rooms import OpenRoom, gate_model, notes


class Client:
    """One request, as a server of ASGI's gives it."""

    def __init__(self, text: str) -> None:
        self.body = json.dumps({"model": "gate", "input": text, "response_format": "wav"}).encode()
        headers = {"host": "127.0.0.1", "content-type": "application/json", "content-length": str(len(self.body))}
        self.scope: dict[str, Any] = {
            "type": "http", "method": "POST", "path": "/v1/audio/speech", "query_string": b"", "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        self.gone = asyncio.Event()
        self.sent: list[Any] = []
        self._read = False

    async def receive(self) -> Any:
        if not self._read:
            self._read = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


def test_it_answers_and_notices_who_goes_away(gate: Path, opened: OpenRoom) -> None:
    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            app, life = create_app(room), asyncio.Queue[Any]()
            told: asyncio.Queue[Any] = asyncio.Queue()
            living = asyncio.create_task(app({"type": "lifespan"}, life.get, told.put))
            life.put_nowait({"type": "lifespan.startup"})
            assert (await told.get())["type"] == "lifespan.startup.complete"
            try:
                client = Client("quick")
                await app(client.scope, client.receive, client.send)
                assert client.sent[0]["status"] == 200
                assert b"".join(part.get("body", b"") for part in client.sent)[:4] == b"RIFF"
                client = Client("wait")
                asking = asyncio.create_task(app(client.scope, client.receive, client.send))
                await true(lambda: "begin wait" in notes(gate))
                client.gone.set()
                await asking
                assert not client.sent
                await true(lambda: not room.calls(TERMINAL))
                assert "end wait" not in notes(gate)
            finally:
                life.put_nowait({"type": "lifespan.shutdown"})
                await living

    asyncio.run(asyncio.wait_for(main(), 60))
