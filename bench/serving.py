"""``lollms serve`` over loopback: what HTTP, the room and the surface add to the binding called in this process, beside
bare Starlette with a thread and the bare parser of forms."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from lollms_modalities import LollmsTTSBindingManager

from bench.harness import paired, show, show_extra, without_plugins
from bench.idle_binding import install

SENTENCE = "The birch canoe slid on the smooth planks."
CLIENTS = 64
UPLOAD = 50_000_000
_JSON = {"Content-Type": "application/json"}
_IDLE = "/lollms/v2/bindings/tts/idle/verbs/generate_audio"
_STILL = {"noise_scale": 0.0, "noise_w_scale": 0.0}  # the same work each time


@without_plugins("marks")
def serving() -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        site = str(install(Path(folder)))
        sys.path.insert(0, site)
        LollmsTTSBindingManager().refresh()
        try:
            with served(Path(folder), site) as (port, process), _peer() as peer:
                _added(port)
                _first_byte(port)
                _many(port, peer)
                _uploads(port, peer)
                _memory(port, process)
        finally:
            sys.path.remove(site)
            LollmsTTSBindingManager().refresh()


@contextmanager
def served(folder: Path, site: str, serve: str = "", models: str = "") -> Iterator[tuple[int, psutil.Process]]:
    """A server of the bindings ``idle``, ``many`` and ``piper``: its port and its process. It marks nothing: that costs
    more than a call of those that do nothing.

    Args:
        serve, models: more lines of the table ``[serve]``, and more tables.
    """
    file = folder / "serve.toml"
    file.write_text(
        f'[serve]\nport = 0\nkeys_file = "{folder / "keys.json"}"\nsocket = "{folder / "s"}"\nmax_queue = 1000\n'
        f"{serve}"
        '[models.idle]\nbinding = "idle"\nisolated = false\n'
        '[models.many]\nbinding = "many"\nisolated = false\n[models.piper]\nbinding = "piper"\nisolated = false\n'
        f"[plugins.marks]\nenabled = false\n{models}"
    )
    paths = os.pathsep.join([site, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
    lollms = "import sys; from lollms_client.cli import main; sys.exit(main())"
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", lollms, "serve", "--config", str(file)], stderr=log, stdout=log,
            env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
        try:
            while not (found := re.search(r"Serving at http://127\.0\.0\.1:(\d+)", (folder / "log").read_text())):
                if process.poll() is not None:
                    raise RuntimeError((folder / "log").read_text())
                time.sleep(0.05)
            yield int(found[1]), psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def _peer() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.serving_peers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def asker(port: int, path: str, body: dict[str, Any]) -> Callable[[], bytes]:
    """Asks over one connection that is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    data = json.dumps(body).encode()

    def ask() -> bytes:
        connection.request("POST", path, data, _JSON)
        response = connection.getresponse()
        answer = response.read()
        if response.status >= 400 and response.status != 404:
            raise RuntimeError(answer.decode())
        return answer

    return ask


def _added(port: int) -> None:
    speech = {"model": "piper", "input": SENTENCE, "response_format": "wav", **_STILL}
    for name, path, body, number in (
        ("idle", _IDLE, {"arguments": {"text": "hi"}}, 1000),
        ("piper", "/v1/audio/speech", speech, 60),
    ):
        ask = asker(port, path, body)
        with LollmsTTSBindingManager().require_binding(name) as binding:
            how: dict[str, Any] = {} if name == "idle" else _STILL
            text = "hi" if name == "idle" else SENTENCE
            differences, floors = [], []
            for n in range(number + 5):
                taken: list[float] = [0.0, 0.0]
                for which in (0, 1) if n % 2 else (1, 0):
                    start = time.perf_counter()
                    ask() if which == 0 else binding.generate_audio(text, **how)
                    taken[which] = time.perf_counter() - start
                if n >= 5:
                    differences.append(taken[0] - taken[1])
                    floors.append(taken[1])
        how_much = f"p50 over {statistics.median(floors) * 1e3:.3f} ms in this process"
        show_extra(f"served, {name}", statistics.median(differences), 1e-3, 1e3, "ms", how_much)


def _first_byte(port: int) -> None:
    body = json.dumps({"model": "idle", "input": "hi", "response_format": "wav"}).encode()
    differences = []
    with LollmsTTSBindingManager().require_binding("idle") as binding:
        for n in range(220):
            start = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.connect()
            connected = time.perf_counter()
            connection.request("POST", "/v1/audio/speech", body, _JSON)
            assert connection.getresponse().read(1)
            taken = time.perf_counter() - connected
            connection.close()
            start = time.perf_counter()
            with binding.stream_encoded("hi", output_format="wav") as stream:
                next(stream)
                alone = time.perf_counter() - start
            if n >= 20:
                differences.append(taken - alone)
    show_extra(
        "served, first byte of sound", statistics.median(differences), 3e-3, 1e3, "ms", "p50 over stream_encoded"
    )


def _many(port: int, peer: int) -> None:
    ours = paired(
        lambda: _load(port, _IDLE.replace("idle", "many"), {"arguments": {"text": "hi"}}),
        lambda: _load(peer, "/idle", {"arguments": {"text": "hi"}}),
        pairs=7,
    )
    show(f"{CLIENTS} clients, no-op, a request", "bare Starlette", ours, 2.0)  # half of its requests a second


def _load(port: int, path: str, body: dict[str, Any], each: int = 12) -> float:
    """Seconds a request, of many clients that each ask one by one."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    request = f"{head}\r\n\r\n".encode() + data

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(each):
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", answer)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            assert found is not None
            await reader.readexactly(int(found[1]))
        writer.close()

    async def all_of_them() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return (time.perf_counter() - start) / (CLIENTS * each)

    return asyncio.run(all_of_them())


def _uploads(port: int, peer: int) -> None:
    boundary = "b0undary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
    model = f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nnobody\r\n'
    body = model.encode() + head.encode() + bytes(UPLOAD) + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    def send(port: int, path: str) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.connect()
        start = time.perf_counter()
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        taken = time.perf_counter() - start
        connection.close()
        assert response.status == 404  # no such model, which is looked at when all is there
        return taken

    pair = paired(lambda: send(port, "/v1/audio/transcriptions"), lambda: send(peer, "/upload"), pairs=9)
    show(f"upload of {UPLOAD // 10**6} MB", "the bare parser", pair, 1.2)


def _memory(port: int, process: psutil.Process) -> None:
    before = process.memory_info().rss
    body = {"model": "piper", "input": SENTENCE, "response_format": "mp3"}

    async def client() -> None:
        data = json.dumps(body).encode()
        head = "POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head += "\r\nContent-Type: application/json"
        writer.write(f"{head}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()

    async def all_of_them() -> int:
        asking = asyncio.gather(*(client() for _ in range(100)))
        most = before
        while not asking.done():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.05)
        await asking
        return most

    most = asyncio.run(all_of_them())
    print(f"{'memory of 100 clients at once':44} {(most - before) / 1e6:9.1f} MB over {before / 1e6:.1f} MB")
