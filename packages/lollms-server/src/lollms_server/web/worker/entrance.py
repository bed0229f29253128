"""The WebSocket of our own protocol, for programs whose bindings are at this server."""

from __future__ import annotations

from lollms_server.web.common import hops_of
from lollms_server.web.sockets import Accepted, Link, Opening, Socket
from lollms_server.web.worker.session import Session, session_id

PATH = b"/lollms/v2/worker"


def _accept(opening: Opening) -> Accepted:
    async def run(link: Link) -> tuple[int, str]:
        async def frame() -> bytes | None:
            found = await link.receive()
            return found if isinstance(found, bytes) else None

        hops = hops_of(opening.headers)
        session = Session(opening.app, session_id(opening.id), hops, opening.enter, frame, link.send)
        ended = await session.run()
        return ended.code, ended.reason

    return Accepted(run)


WORKER = Socket(PATH, "lollms", _accept, ours=True)
