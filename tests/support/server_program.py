"""Servers in processes of their own: an engine room and its surfaces, as ``lollms serve`` has them.

``python server_program.py`` imports what a server needs, once, and is then asked for servers through the socket at its
standard input: each is a fork of it. So a server costs a test file hundredths of a second, and not a second or two. A
server prints the port that it listens at, and those of Wyoming where that is spoken; it serves until its input ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from lollms_server.jobs.board import Lease
from lollms_server.room.configuration import load_configuration
from lollms_server.room.room import Room
from lollms_server.web.app import App
from lollms_server.web.listening import uvicorn_config
from lollms_server.web.settings import Limits, WebSettings
from lollms_server.web.surfaces import routes_of

# What a first request imports.
for name in (
    "lollms_modalities.finding.managers", "lollms_modalities.hooks.specs", "numpy", "soundfile",
    "sqlalchemy.dialects.sqlite", "uvicorn.protocols.http.h11_impl", "uvicorn.lifespan.off",
):  # fmt: skip
    importlib.import_module(name)


async def serve(file: Path, given: dict[str, Any], uploads: str) -> None:
    """One server.

    Args:
        file: its configuration.
        given: its limits; ``lease``, of its jobs; ``wyoming``, the limits of that.
        uploads: the folder of its uploads.
    """
    configuration = load_configuration(file)
    lease = Lease(*given.pop("lease", ()))
    of_wyoming = given.pop("wyoming", {})
    certificate, key = map(Path, given.pop("tls")) if "tls" in given else (None, None)
    limits = Limits(**given)
    room = Room.open(configuration)
    settings = dataclasses.replace(WebSettings.of(configuration), limits=limits, uploads=uploads)
    app = App(room, settings, routes_of(configuration.serve.surfaces, page=configuration.serve.page), lease=lease)
    server = uvicorn.Server(uvicorn_config(app, certificate=certificate, key=key))
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


def main() -> None:
    """Fork a server for each that is asked for, until nobody can ask any more; a fork goes on as that server."""
    asking = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    gc.freeze()  # what is imported is not copied by being looked at
    while True:
        data, descriptors, _, _ = socket.recv_fds(asking, 1 << 20, 3)
        if not data:
            return
        if (pid := os.fork()) == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
        asking.sendall(pid.to_bytes(8, "little"))
    asking.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    wanted = json.loads(data)
    os.environ.clear()
    os.environ.update(wanted["environment"], LOLLMS_HOPS="1")
    sys.path[1:1] = os.environ["PYTHONPATH"].split(os.pathsep)
    asyncio.run(serve(Path(wanted["file"]), wanted["limits"], wanted["uploads"]))


if __name__ == "__main__":
    main()
