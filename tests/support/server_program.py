"""A server in a process of its own: an engine room and its surface, as ``lollms serve`` has them.

``python server_program.py CONFIG LIMITS`` prints the port that it listens at, and those of Wyoming where that is
spoken; it serves until its input ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import socket
import sys
from pathlib import Path


async def main() -> None:
    import uvicorn
    from lollms_server.jobs.board import Lease
    from lollms_server.room.configuration import load_configuration
    from lollms_server.room.room import Room
    from lollms_server.web.app import App
    from lollms_server.web.listening import uvicorn_config
    from lollms_server.web.settings import Limits, WebSettings
    from lollms_server.web.surfaces import routes_of

    os.environ["LOLLMS_HOPS"] = "1"
    configuration = load_configuration(Path(sys.argv[1]))
    given = json.loads(sys.argv[2])
    lease = Lease(*given.pop("lease", ()))
    of_wyoming = given.pop("wyoming", {})
    limits = Limits(**given)
    room = Room.open(configuration)
    settings = dataclasses.replace(WebSettings.of(configuration), limits=limits, uploads=sys.argv[3])
    app = App(room, settings, routes_of(configuration.serve.surfaces, page=configuration.serve.page), lease=lease)
    server = uvicorn.Server(uvicorn_config(app))
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    ports, wyoming = [listening.getsockname()[1]], None
    if configuration.serve.wyoming is not None:
        from lollms_server.wyoming import events
        from lollms_server.wyoming import server as listener

        wyoming = listener.Wyoming(room, configuration.serve.wyoming, events.Limits(**of_wyoming))
        await wyoming.open(lambda host, port: socket.create_server((host, port), backlog=2048))
        ports += [wyoming.ports["stt"], wyoming.ports["tts"]]
    print(*ports, flush=True)

    def ends() -> None:
        if not sys.stdin.buffer.read1(1):
            server.should_exit = True
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ends)
    try:
        await server.serve(sockets=[listening])
    finally:
        if wyoming is not None:
            await wyoming.close()
        await room.close(1)


if __name__ == "__main__":
    asyncio.run(main())
