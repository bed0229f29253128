"""``lollms serve`` under mixed load: right answers or typed errors, callers that go away, workers that are killed; and
slow and hostile clients beside good ones. Nothing may grow. ``python soak/serving.py [SECONDS]``; exit 1 where it does.

Each answer is counted by its cause. Calls may fail for a killed worker alone, at most one for each that was killed, and
that is said; who is told to come again (503) does, as OpenAI's SDK would, and must be answered.

The good clients' p99 is measured quiet; beside hostile ones, which are a process of their own; and, as a control,
beside the same process while it attacks another server: what it takes of the machine slows them there, too.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
support: Any = importlib.import_module("serving")
form = support.form
Server = Any

CONFIGURATION = """
[serve]
keys_file = KEYS
max_queue = 200
[models.counting]
binding = "counting"
modality = "tts"
pool = 2
[models.ears]
binding = "counting"
modality = "stt"
[models.tone]
binding = "example"
modality = "tts"
isolated = false
"""
LIMITS = {"header_seconds": 2.0, "patience": 2.0, "read_seconds": 2.0, "linger_seconds": 1.0}
MEMORY, HANDLES = 25e6, 12  # that may come and go with the allocator, and with connections that just end
_NO_OP = {"model": "tone", "input": "hi", "voice": "low", "response_format": "wav"}


class Answer(NamedTuple):
    """What came back; ``later`` is its Retry-After in seconds, or 0."""

    status: int
    body: bytes
    later: float


async def ask(server: Server, method: str, path: str, body: Any = None, form_of: Any = None) -> Answer:
    """Ask; a connection that is cut raises."""
    data, headers = form(form_of) if form_of else (json.dumps(body).encode(), {"Content-Type": "application/json"})
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        given = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(data)), **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + data)
        head = await reader.readuntil(b"\r\n\r\n")
        later = head.lower().partition(b"\r\nretry-after: ")[2].partition(b"\r\n")[0]
        return Answer(int(head.split(b" ")[1]), await reader.read(), float(later or 0))
    finally:
        writer.close()


class Load:
    """What clients do, and what came of it.

    Attributes:
        requests: how many were made, and how many ``answered``; ``outcomes``: what came of them; ``wrong``: what should
            not have.
        killed: how many workers were killed; ``lost``: how many calls failed for that.
    """

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.requests = self.answered = self.killed = self.lost = 0

    async def one(self) -> None:
        """One request of a kind drawn by lot."""
        kinds = [self.speak, self.speak, self.hear, self.leave, self.leave_early, self.fail]
        kind = self.random.choice(kinds)
        self.requests += 1
        try:
            await asyncio.wait_for(kind(), 300)
        except (ConnectionError, asyncio.IncompleteReadError) as exc:
            self.wrong.append(f"{kind.__name__}: {exc!r}")
        except TimeoutError:
            self.wrong.append(f"{kind.__name__} had no answer")

    async def patient(self, *asked: Any, **more: Any) -> Answer:
        """Ask, and again when it is said that it is to be asked again."""
        while (answer := await ask(self.server, *asked, **more)).status == 503 and answer.later:
            self.outcomes[f"asked again: {_error(answer.body).get('code')}"] += 1
            await asyncio.sleep(answer.later)
        return answer

    def note(self, kind: str, answer: Answer, right: bool) -> None:
        """An answer: right, or a typed error, which may be a killed worker's."""
        self.answered += 1
        error = _error(answer.body)
        what = error.get("code", "right")
        if what == "engine_failed" and "it was ended by SIGKILL" in error["message"]:
            what = "of a killed worker"
            self.lost += 1
        self.outcomes[f"{kind}: {answer.status} {what}"] += 1
        if not (right or what == "of a killed worker" or (kind == "fail" and error.get("message"))):
            self.wrong.append(f"{kind}: {answer.status} {answer.body[-300:]!r}")

    async def speak(self) -> None:
        steps = self.random.randint(1, 20)
        answer = await self.patient("POST", "/v1/audio/speech", {
            "model": "counting", "input": f"work {steps}", "response_format": "pcm", "stream_format": "sse",
        })  # fmt: skip
        events = [json.loads(part.partition(b"\n\n")[0]) for part in answer.body.split(b"data: ")[1:]]
        sound = b"".join(base64.b64decode(e["audio"]) for e in events if e.get("type") == "speech.audio.delta")
        whole = bool(events) and events[-1].get("type") == "speech.audio.done"
        self.note("speak", answer, whole and len(sound) == steps * 2 * 24000 // 20)

    async def hear(self) -> None:
        said = f"said {self.random.random()}"
        size = self.random.randint(1, 100) * 1000
        wav = b"RIFF" + (36 + size).to_bytes(4, "little") + _FORMAT + size.to_bytes(4, "little") + bytes(size)
        answer = await self.patient("POST", "/v1/audio/transcriptions", form_of={
            "model": "ears", "said": said, "response_format": "text", "file": ("x.wav", wav)})  # fmt: skip
        self.note("hear", answer, answer.status == 200 and said.encode() in answer.body)

    async def leave(self) -> None:
        """Ask for much, and go away in the middle."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        body = json.dumps({"model": "counting", "input": "work 100000", "response_format": "wav"}).encode()
        head = "POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
        writer.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await asyncio.sleep(self.random.random() * 0.3)
        if self.random.random() < 0.5:
            with suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(reader.read(5000), 0.2 + self.random.random())
        writer.transport.abort()
        self.outcomes["leave"] += 1

    async def leave_early(self) -> None:
        """Go away in the middle of an upload."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        head = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
        head += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        head += b'Content-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        writer.write(head + bytes(self.random.randint(0, 50_000)))
        await asyncio.sleep(self.random.random() * 0.1)
        writer.transport.abort()
        self.outcomes["leave_early"] += 1

    async def fail(self) -> None:
        wrong: dict[str, Any] = self.random.choice(
            [{"input": "fail"}, {"input": "x", "voice": "../x"}, {"input": "x", "loudd": 1}, {}]
        )
        self.note("fail", await self.patient("POST", "/v1/audio/speech", {"model": "counting", **wrong}), right=False)


def _error(body: bytes) -> dict[str, Any]:
    """The error of an answer, which may stand at the end of a stream; empty where there is none."""
    start = body.rfind(b'{"error":')
    found: dict[str, Any] = json.loads(body[start : body.rindex(b"}") + 1])["error"] if start >= 0 else {}
    return found


_FORMAT = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data"


async def kill_workers(server: Server, load: Load, until: float, chance: random.Random) -> None:
    """Kill one of the server's processes now and again, by what was answered: a busy machine starts few anew."""
    due = 0
    while time.monotonic() < until:
        await asyncio.sleep(chance.random() * 0.2)
        workers = [p for p in psutil.Process(server.process.pid).children() if p.is_running()]
        if workers and load.answered >= due:
            due = load.answered + chance.randint(5, 60)
            with suppress(psutil.NoSuchProcess):
                chance.choice(workers).kill()
                load.killed += 1


async def mixed(server: Server, seconds: float, seed: int) -> Load:
    """Mixed load for so long."""
    load, until = Load(server, seed), time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < until:
            await load.one()

    killing = asyncio.create_task(kill_workers(server, load, until, random.Random(seed)))
    await asyncio.gather(*(client() for _ in range(8)))
    await killing
    return load


# -- hostile clients -------------------------------------------------------------------------------------------------


async def hostile(port: int, number: int) -> None:
    """One of: nothing, headers without a body, a byte now and then, an answer that is not read; again and again."""
    body = json.dumps({"model": "counting", "input": "work 100000 10", "response_format": "wav"}).encode()
    speech = b"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    starts = [b"", speech + b"10\r\n\r\n", b"GET /health HTTP/1.1\r\nX: "]
    await asyncio.sleep(4 * random.random())  # not all at once
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            # A few, since their engines do work: as many as may.
            writer.write(speech + f"{len(body)}\r\n\r\n".encode() + body if number < 4 else starts[number % 3])
            for _ in range(4):
                await asyncio.sleep(1)
                if number % 3 == 2 and number >= 4:
                    writer.write(b"x")
            writer.transport.abort()


async def attack(port: int, count: int) -> None:
    """Many hostile clients, until the process is ended."""
    await asyncio.gather(*(hostile(port, number) for number in range(count)))


async def hold(port_told: Callable[[int], None]) -> None:
    """A server that takes connections and does nothing."""

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(taken, "127.0.0.1", 0, backlog=2048)
    port_told(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def p99(server: Server, seconds: float, clients: int = 4) -> tuple[float, int]:
    """Of good clients, in seconds, and how many requests that was."""
    taken: list[float] = []
    until = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < until:
            start = time.perf_counter()
            answer = await ask(server, "POST", "/v1/audio/speech", _NO_OP)
            assert answer.status == 200
            taken.append(time.perf_counter() - start)

    await asyncio.gather(*(client() for _ in range(clients)))
    return sorted(taken)[int(len(taken) * 0.99)], len(taken)


@contextmanager
def another(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does what the words say."""
    process = subprocess.Popen([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def beside(server: Server, attacked: int, seconds: float) -> tuple[float, int]:
    """p99 of good clients beside a process that attacks a port."""
    with another("attack", str(attacked), "1000"):
        await asyncio.sleep(6)
        return await p99(server, seconds)


def use(server: Server) -> tuple[float, int, int]:
    """Memory, threads and handles of the server."""
    process = psutil.Process(server.process.pid)
    return process.memory_info().rss, process.num_threads(), process.num_fds()


async def settled(server: Server) -> None:
    """Wait until no call is under way."""
    for _ in range(600):
        answer = await ask(server, "GET", "/lollms/v2/calls")
        if not json.loads(answer.body)["data"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("calls do not end")


async def main(seconds: float) -> int:
    seed = int.from_bytes(random.randbytes(4), "little")
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder, support.serving(Path(folder), CONFIGURATION, **LIMITS) as server:
        await mixed(server, min(20.0, seconds / 4), seed)  # all is loaded, and every cache has what it will have
        await settled(server)
        before = use(server)
        load = await mixed(server, seconds, seed + 1)
        await settled(server)
        await asyncio.sleep(3)
        after = use(server)
        print(
            f"seed {seed}; {load.requests} requests in {seconds:.0f} s, {load.killed} workers killed, "
            f"{load.lost} calls failed for that"
        )
        for what, count in sorted(load.outcomes.items()):
            print(f"  {what:24} {count}")
        print(
            f"memory {before[0] / 1e6:.1f} -> {after[0] / 1e6:.1f} MB, threads {before[1]} -> {after[1]}, "
            f"handles {before[2]} -> {after[2]}, uploads left {len(server.files())}"
        )
        failed += load.wrong[:20]
        if load.lost > load.killed:  # each runs one call
            failed.append("more calls have failed than workers were killed")
        if after[0] > before[0] + MEMORY or after[1] > before[1] + HANDLES or after[2] > before[2] + HANDLES:
            failed.append("something grows")
        if server.files():
            failed.append(f"uploads are left: {server.files()}")
        ratios = []
        with another("hold") as holding:
            assert holding.stdout is not None
            port = int(holding.stdout.readline())
            for _ in range(3):
                quiet, _ = await p99(server, 10)
                control, _ = await beside(server, port, 10)
                bad, count = await beside(server, server.port, 10)
                ratios.append(bad / max(quiet, control))
                print(
                    f"p99 quiet {quiet * 1e3:.1f} ms, control {control * 1e3:.1f} ms, beside 1000 hostile clients "
                    f"{bad * 1e3:.1f} ms ({count} requests)"
                )
        print(f"beside hostile clients over the control: {', '.join(f'{r:.2f}' for r in ratios)}, goal 2")
        if min(ratios) > 2:
            failed.append("hostile clients slow good ones")
        if server.process.poll() is not None:
            failed.append("the server has ended")
    for line in failed:
        print(f"WRONG: {line}")
    return 1 if failed else 0


def tell(port: int) -> None:
    print(port, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["attack", port, count]:
            asyncio.run(attack(int(port), int(count)))
        case ["hold"]:
            asyncio.run(hold(tell))
        case words:
            sys.exit(asyncio.run(main(float(words[0]) if words else 600.0)))
