"""The engine room under mixed load: calls, streams, cancels, deadlines, crashes, unloads, changes; at random.

Every call is answered or refused with a typed error, nothing is left at work, and nothing grows. It needs no HTTP.
``python soak/serving_room.py [SECONDS] [SEED]``
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from distributions import install  # type: ignore[import-not-found]  # noqa: E402
from lollms_modalities import LollmsError, LollmsTTSBindingManager  # noqa: E402
from lollms_server.room.callers import TERMINAL, Caller  # noqa: E402
from lollms_server.room.configuration import Configuration, load_configuration  # noqa: E402
from lollms_server.room.room import Room  # noqa: E402
from rooms import gate_model  # type: ignore[import-not-found]  # noqa: E402

MODELS = "abc"
CROWD = 12
MEMORY = 20.0  # MB that may come and go with the allocator
COUNT = 6  # threads and descriptors


class Load:
    """A crowd that asks for everything at random, and counts what it is answered."""

    def __init__(self, room: Room, folder: Path, seed: int) -> None:
        self.room = room
        self.folder = folder
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()

    async def one(self, number: int, until: float) -> None:
        """One of them, until then."""
        caller = Caller(f"key{number % 4}", "user", "10.0.0.1", at_once=self.random.choice([None, 3]))
        while time.monotonic() < until:
            try:
                self.counts[await self.act(caller)] += 1
            except (LollmsError, TimeoutError) as exc:
                self.counts[type(exc).__name__] += 1

    async def act(self, caller: Caller) -> str:
        """One thing; what it was."""
        room, draw = self.room, self.random.random()
        chosen = room.find(self.random.choice([*MODELS, "a/small"]), "tts", caller)
        if draw < 0.4:
            await room.call(chosen, caller, "generate_audio", "quick")
            return "spoken"
        if draw < 0.5:
            await asyncio.wait_for(room.call(chosen, caller, "generate_audio", "wait"), self.random.random() * 0.05)
            return "gone"
        if draw < 0.6:
            await room.call(chosen, caller, "generate_audio", "wait", deadline=self.random.random() * 0.05)
            return "in time"
        if draw < 0.75:
            async with room.stream(chosen, caller, "stream_audio", "quick " * 5) as stream:
                for _ in range(self.random.randrange(5)):
                    await anext(stream)
            return "streamed"
        if draw < 0.85:
            await room.describe(chosen, caller)
            return "described"
        if draw < 0.9:
            await room.unload(chosen, TERMINAL)
            return "unloaded"
        if draw < 0.93:
            room.reconfigure(configuration(self.folder, keep_alive=self.random.random() * 3))
            return "configured"
        if draw < 0.95:
            await room.call(chosen, caller, "generate_audio", "crash")
            return "crashed, and did not say so"
        for call in room.calls(TERMINAL)[:1]:
            room.cancel(call.id, TERMINAL)
        await asyncio.sleep(0.001)
        return "cancelled"


def configuration(folder: Path, **serve: float) -> Configuration:
    """Three models, of which two have room."""
    return load_configuration(folder / "serve.toml", keys_file=folder / "keys.json", max_loaded=2, **serve)


def use() -> tuple[float, int, int]:
    """Megabytes, threads and descriptors of this process."""
    gc.collect()
    process = psutil.Process()
    return process.memory_info().rss / 1e6, process.num_threads(), process.num_fds()


async def soak(folder: Path, seconds: float, seed: int) -> int:
    """Run it; 1 where something is left or grows."""
    room = Room.open(configuration(folder))
    load = Load(room, folder, seed)
    marks = []
    for part in range(4):  # the first warms up
        until = time.monotonic() + seconds / 4
        await asyncio.gather(*(load.one(number, until) for number in range(CROWD)))
        async with asyncio.timeout(60):
            while room.calls(TERMINAL):
                await asyncio.sleep(0.01)
        for name in MODELS:
            await room.unload(room.find(name, "tts", TERMINAL), TERMINAL)
        left = [row for row in room.state(TERMINAL) if row["at_work"] or row["waiting"]]
        marks.append(use())
        print(f"part {part}: {marks[-1][0]:.0f} MB, {marks[-1][1]} threads, {marks[-1][2]} descriptors; left: {left}")
        if left:
            return 1
    await room.close(5)
    print(dict(load.counts))
    grown = [last - first for first, last in zip(marks[1], marks[-1], strict=True)]
    bad = grown[0] > MEMORY or grown[1] > COUNT or grown[2] > COUNT or load.counts["crashed, and did not say so"]
    print("grown by", [round(g, 1) for g in grown], "BAD" if bad else "good")
    return int(bool(bad))


def main() -> int:
    """The exit code."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as made:
        folder, site = Path(made), Path(made) / "site"
        install(site, "lollms_gate", "[lollms_client.tts_bindings]\ngate = gate_binding:GateTTSBinding\n")
        (site / "gate_binding.py").write_text((ROOT / "tests/support/gate_binding.py").read_text("utf-8"), "utf-8")
        sys.path.insert(0, str(site))
        os.environ["PYTHONPATH"] = str(site)
        LollmsTTSBindingManager().refresh()
        text = ""
        for name in MODELS:
            (folder / name).mkdir()
            text += gate_model(folder / name, "max_queue = 20", name)
        (folder / "serve.toml").write_text(text, "utf-8")
        return asyncio.run(soak(folder, seconds, seed))


if __name__ == "__main__":
    sys.exit(main())
