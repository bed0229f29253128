"""Jobs while servers die: two servers over one table, of which one is ended by SIGTERM or SIGKILL at a random moment of
20 jobs, on each database; every job must end once, right or told. Before that, mixed jobs at one server: nothing may
grow. A moment is drawn by how many of the jobs have begun, so that it is one of them on a busy machine as well.

``python soak/serving_jobs.py [MOMENTS] [SEED]``; exit 1 where something was lost, done twice, wrong, or grew.
"""

from __future__ import annotations

import importlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
job_servers: Any = importlib.import_module("job_servers")
database: Any = importlib.import_module("postgres")
support: Any = importlib.import_module("serving")

JOBS, MIXED = 20, 600
MEMORY, HANDLES = 25e6, 12
_MIXED = """
[serve]
keys_file = KEYS
[models.counting]
binding = "counting"
modality = "tts"
isolated = false
[models.films]
binding = "counting"
modality = "ttv"
isolated = false
[models.painter]
binding = "counting"
modality = "tti"
isolated = false
[models.chord]
binding = "example"
modality = "ttm"
isolated = false
"""


def moments(name: str, url: str, number: int, rng: random.Random) -> list[str]:
    """End one of two servers at so many moments; what was wrong."""
    wrong: list[str] = []
    outcomes: Counter[str] = Counter()
    struck = 0
    with tempfile.TemporaryDirectory() as folder, job_servers.shared(Path(folder) / "all", url) as servers:
        pair = [servers.start(), servers.start()]
        for moment in range(number):
            sizes = [rng.choice((1, 20, 60, 150)) for _ in range(JOBS)]
            wanted, late = rng.randint(0, JOBS), rng.uniform(0.0, 0.3)
            which, how = rng.randrange(2), rng.choice((signal.SIGKILL, signal.SIGTERM))
            jobs = [job_servers.ask(pair[n % 2], size, f"{name} {moment} {n}") for n, size in enumerate(sizes)]
            texts = [text for _, text, _ in jobs]
            job_servers.wait_until(lambda: sum(map(servers.begun().__getitem__, texts)) >= wanted, 120)  # noqa: B023
            time.sleep(late)
            states = Counter(row["status"] for row in job_servers.of(pair[which], jobs))
            job_servers.kill(pair[which], how)
            struck += bool(states["in_progress"])
            pair[which] = servers.start()
            try:
                ended = job_servers.all_ended(pair[1 - which], jobs, 120)
            except AssertionError as exc:
                wrong.append(f"{name}, moment {moment}, {how.name}: {exc!s:.400}")
                continue
            begun = servers.begun()
            if how == signal.SIGTERM and ended != {"completed": JOBS}:
                wrong.append(f"{name}, moment {moment}, SIGTERM: {dict(ended)}")
            if how == signal.SIGKILL and any(begun[text] > 1 for _, text, _ in jobs):
                wrong.append(f"{name}, moment {moment}: a job has run twice")
            rows = job_servers.of(pair[0], jobs)
            done = [row["id"] for row in rows if row["status"] == "completed"]
            if job_servers.files(servers.results, jobs) != dict.fromkeys(done, 1):
                wrong.append(f"{name}, moment {moment}: files are left, or missing")
            outcomes.update({f"{how.name} {state}": count for state, count in ended.items()})
            print(f"{name}: moment {moment + 1} of {number}, {how.name} at {dict(states)}: {dict(ended)}", flush=True)
    print(f"{name}: {struck} of {number} moments struck jobs that ran: {dict(outcomes)}", flush=True)
    return wrong if struck > number // 2 else [*wrong, f"{name}: too few moments struck anything"]


class Mixed:
    """Jobs of all kinds at one server, some of them cancelled, deleted, failing."""

    def __init__(self, server: Any, rng: random.Random) -> None:
        self.server, self.rng = server, rng

    def one(self) -> None:
        """Ask for a job, and see it to its end."""
        rng, server = self.rng, self.server
        prompt = rng.choice(("work 3", "a film", "fail", "work 30"))
        path, body, headers = rng.choice((
            ("/v1/videos", {"prompt": prompt, "model": "films"}, {}),
            ("/v1/music", {"prompt": "a chord", "seconds": 0.5}, {}),
            (job_servers.SPEAK, {"arguments": {"text": prompt}}, {"Prefer": "respond-async"}),
            ("/v1/images/generations", {"prompt": "x", "response_format": "url"}, {}),
        ))  # fmt: skip
        made = server.ask("POST", path, body, headers).json
        if "id" not in made:
            return
        job = f"{job_servers.JOBS}/{made['id']}"
        if rng.random() < 0.3:
            server.ask("POST", f"{job}/cancel")
        events = server.ask("GET", job, None, {"Accept": "text/event-stream"}).body
        assert json.loads(events.rstrip().rpartition(b"data: ")[2])["status"] in job_servers.ENDED, events
        server.ask("GET", f"{job}/content")
        if rng.random() < 0.8:
            assert server.ask("DELETE", job).status == 200


def growth(rng: random.Random) -> list[str]:
    """Mixed jobs; what grew."""
    with tempfile.TemporaryDirectory() as folder, support.serving(Path(folder), _MIXED) as server:
        process, mixed, seen = psutil.Process(server.process.pid), Mixed(server, rng), []
        for part in range(3):
            for _ in range(MIXED // 3):
                mixed.one()
            time.sleep(3)
            seen.append((process.memory_info().rss, process.num_fds(), process.num_threads()))
            print(f"mixed: {MIXED // 3 * (part + 1)} jobs: {seen[-1][0] / 1e6:.1f} MB, {seen[-1][1:]}", flush=True)
        limits = (("memory", MEMORY), ("descriptors", HANDLES), ("threads", HANDLES))
        grown = [
            f"{what} grew: {seen[1][n]} to {seen[2][n]}"
            for n, (what, more) in enumerate(limits)
            if seen[2][n] - seen[1][n] > more
        ]
        left = [path.name for path in (Path(folder) / "results").iterdir() if not any(path.iterdir())]
    return grown + [f"empty folders are left: {len(left)}" for _ in left[:1]]


def main() -> int:
    number, seed = (int(word) for word in [*sys.argv[1:3], *("50", "1")[len(sys.argv[1:3]) :]])
    wrong = growth(random.Random(seed))
    wrong += moments("SQLite", "", number, random.Random(seed))
    with database.postgres() as server:
        wrong += moments("PostgreSQL", server.url, number, random.Random(seed + 1))
    print("\n".join(wrong) or "Every job has ended once, right or told; nothing grew.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
