"""Servers that share one table of jobs, what is asked of them, and whether each job has ended once: right, or told."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lollms_modalities import probe_audio
from serving import Server, serving
from waiting import wait_until

_CONFIGURATION = """
[serve]
keys_file = {keys}
grace = 0.2
[serve.jobs]
store = {store}
results = {results}
[models.counting]
binding = "counting"
modality = "tts"
pool = 4
isolated = {isolated}
"""
SPEAK = "/lollms/v2/bindings/tts/counting/verbs/generate_audio"
JOBS = "/lollms/v2/jobs"
ENDED = ("completed", "failed", "cancelled")
# Seconds: renewed, last. A server that a busy machine does not run for as long as the last loses its jobs, as it should.
LEASE = (0.5, 5.0)


class Shared:
    """Servers over one table.

    Args:
        folder: for all that they keep.
        url: of the database; a file of SQLite's in the folder where it is empty.
        isolated: whether engines run in processes of their own.
    """

    def __init__(self, folder: Path, url: str = "", *, isolated: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._stack = ExitStack()
        self._number = 0
        self.results = folder / "results"
        self._configuration = _CONFIGURATION.format(
            keys=json.dumps(str(folder / "keys.json")), results=json.dumps(str(self.results)),
            store=json.dumps(url or f"sqlite:///{folder}/jobs.sqlite3"), isolated=str(isolated).lower(),
        )  # fmt: skip
        self.counted: list[Any] = []

    def start(self) -> Server:
        """Another server, over the same table."""
        self._number += 1
        folder = self._folder / f"server{self._number}"
        folder.mkdir()
        server = self._stack.enter_context(serving(folder, self._configuration, lease=LEASE))
        self.counted.append(server.counted)
        return server

    def close(self) -> None:
        """End them."""
        self._stack.close()

    def begun(self, server: int | None = None) -> Counter[str]:
        """How often an engine has begun on each text, at one of the servers or at all."""
        counting = self.counted if server is None else [self.counted[server]]
        lines = [line for counted in counting for line in counted.lines() if line.startswith("began")]
        return Counter(line.partition("'")[2].partition("'")[0] for line in lines)


@contextmanager
def shared(folder: Path, url: str = "", *, isolated: bool = False) -> Iterator[Shared]:
    """Servers over one table, which are ended with the block."""
    made = Shared(folder, url, isolated=isolated)
    try:
        yield made
    finally:
        made.close()


def ask(server: Server, steps: int, name: str) -> tuple[str, str, int]:
    """Ask for a job; its id, its text, and the twentieths of a second that are to come of it."""
    text = f"work {steps} 0.05 {name}"
    reply = server.ask("POST", SPEAK, {"arguments": {"text": text}}, {"Prefer": "respond-async"})
    assert reply.status == 202, reply.body
    return reply.json["id"], text, steps


def kill(server: Server, number: int = signal.SIGKILL) -> None:
    """Send a signal that ends a server, and wait until it has ended."""
    server.process.send_signal(number)
    server.process.wait(60)


def states(server: Server) -> dict[str, dict[str, Any]]:
    """All jobs as a server tells of them, by id."""
    return {row["id"]: row for row in server.ask("GET", f"{JOBS}?limit=1000").json["data"]}


def of(server: Server, jobs: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """These jobs, as a server tells of them."""
    found = states(server)
    return [found[job] for job, _, _ in jobs]


def all_ended(server: Server, jobs: list[tuple[str, str, int]], seconds: float = 60.0) -> Counter[str]:
    """Wait until all jobs have ended; how. An ``AssertionError`` where one is neither right nor told."""
    wait_until(lambda: all(row["status"] in ENDED for row in of(server, jobs)), seconds)
    found = of(server, jobs)
    for (job, _, size), row in zip(jobs, found, strict=True):
        content = server.ask("GET", f"{JOBS}/{job}/content")
        if row["status"] == "completed":
            assert content.status == 200
            # Not its bytes: a plug-in may mark it.
            assert round(probe_audio(content.body)[2] * 20) == size, "half of it is not served as the whole"
        else:
            assert row["status"] == "failed"
            assert row["error"]["code"] == "job_lost", row
            assert "before it was done" in row["error"]["message"], row
            assert content.status == 404
    return Counter(row["status"] for row in found)


def files(results: Path, jobs: list[tuple[str, str, int]]) -> Counter[str]:
    """How many files there are of each job."""
    counts: Counter[str] = Counter()
    for job, _, _ in jobs:
        with suppress(FileNotFoundError):
            counts[job] = len([path for path in (results / job).iterdir() if path.is_file()])
    return counts
