"""The floors of ``serving``: Starlette with a thread, and the parser of forms alone. ``python -m bench.serving_peers``
prints its port, and serves until its input ends."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from typing import Any

RESULT = bytes(46)


async def main() -> None:
    import uvicorn
    from python_multipart.multipart import MultipartParser
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def idle(request: Request) -> Response:
        await request.json()
        return Response(await asyncio.to_thread(lambda: RESULT), media_type="audio/wav")

    async def upload(request: Request) -> Response:
        boundary = request.headers["content-type"].partition("boundary=")[2]
        with tempfile.TemporaryFile(buffering=0) as file:
            callbacks: Any = {"on_part_data": lambda data, start, end: file.write(memoryview(data)[start:end])}
            parser = MultipartParser(boundary, callbacks)
            async for part in request.stream():
                parser.write(part)
            parser.finalize()
        return Response(b"{}", 404)

    app = Starlette(routes=[Route("/idle", idle, methods=["POST"]), Route("/upload", upload, methods=["POST"])])
    config = uvicorn.Config(app, http="h11", loop="asyncio", access_log=False, log_config=None)
    server = uvicorn.Server(config)
    # With its protocol named, or asyncio leaves Nagle's algorithm on.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(2048)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()

    def ends() -> None:
        server.should_exit = True
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ends)
    await server.serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(main())
