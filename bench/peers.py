"""Servers on loopback in another process: grpc and FastAPI, which do the work of a worker, and a service that answers.

``python -m bench.peers grpc``, ``fastapi`` or ``service`` serves, and prints its port.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

SMALL, LARGE, ITEM = bytes(46), bytes(10_000_044), bytes(640)
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def serve_grpc() -> None:
    import grpc

    def stream(request: bytes, context: Any) -> Iterator[bytes]:
        for _ in range(1000):
            yield ITEM

    server = grpc.server(futures.ThreadPoolExecutor(2), options=UNLIMITED)
    handlers = {
        "small": grpc.unary_unary_rpc_method_handler(lambda request, context: SMALL),
        "large": grpc.unary_unary_rpc_method_handler(lambda request, context: LARGE),
        "stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def serve_fastapi() -> None:
    import socket

    import fastapi
    import uvicorn
    from fastapi.responses import Response, StreamingResponse

    app = fastapi.FastAPI()

    def small(text: str) -> Response:
        return Response(SMALL)

    def large(text: str) -> Response:
        return Response(LARGE)

    def stream(text: str) -> StreamingResponse:
        return StreamingResponse(ITEM for _ in range(1000))

    for path, fn in {"/small": small, "/large": large, "/stream": stream}.items():
        app.add_api_route(path, fn, methods=["POST"])
    # With the protocol named, or asyncio would not switch Nagle's algorithm off, and every answer would wait 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    print(sock.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([sock])


def serve_service() -> None:
    """HTTP/1.1 with answers that are ready, so that what is measured is the client."""
    import asyncio

    from bench.services import answers

    bodies = answers()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.splitlines()[1:])}
                await reader.readexactly(int(fields.get("content-length", 0)))
                body = bodies[head.split()[1]]
                kind = "application/json" if body.startswith(b"{") else "audio/wav"
                top = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(top.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=256)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(main())


if __name__ == "__main__":
    {"grpc": serve_grpc, "fastapi": serve_fastapi, "service": serve_service}[sys.argv[1]]()
