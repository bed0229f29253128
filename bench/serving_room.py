"""What the engine room adds to a call: admission, residency, limits, metrics, the log; over the same binding called in
this process. HTTP is not among it."""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lollms_modalities import LollmsTTSBindingManager

from bench.harness import show_extra
from bench.idle_binding import install

SENTENCE = "The birch canoe slid on the smooth planks."
_GOAL = 1e-3  # seconds


def room() -> None:
    """A no-op and a spoken sentence through the room, isolated and in this process."""
    logging.getLogger("lollms_server").addHandler(logging.NullHandler())
    logging.getLogger("lollms_server").setLevel(logging.INFO)  # the lines are made, as where they are written
    with tempfile.TemporaryDirectory() as folder:
        site = str(install(Path(folder)))
        sys.path.insert(0, site)
        os.environ["PYTHONPATH"] = os.pathsep.join([site, *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        LollmsTTSBindingManager().refresh()
        try:
            asyncio.run(_measure(Path(folder)))
        finally:
            sys.path.remove(site)
            LollmsTTSBindingManager().refresh()


async def _measure(folder: Path) -> None:
    from lollms_server.room.callers import TERMINAL
    from lollms_server.room.configuration import load_configuration
    from lollms_server.room.room import Room

    file = folder / "serve.toml"
    file.write_text(
        '[models.idle]\nbinding = "idle"\n[models.idle-here]\nbinding = "idle"\nisolated = false\n'
        '[models.piper]\nbinding = "piper"\n[models.piper-here]\nbinding = "piper"\nisolated = false\n'
    )
    opened = Room.open(load_configuration(file, keys_file=folder / "keys.json"))
    manager = LollmsTTSBindingManager()
    try:
        for name, text, number in (("idle", "hi", 2000), ("piper", SENTENCE, 60)):
            direct = manager.require_binding(name)
            how = {} if name == "idle" else {"noise_scale": 0.0, "noise_w_scale": 0.0}

            def alone(direct: object = direct, text: str = text, how: dict[str, float] = how) -> object:
                return direct.generate_audio(text, **how)  # type: ignore[attr-defined]

            async def in_place() -> object:
                return alone()

            for model, what in ((f"{name}-here", "here"), (name, "isolated")):
                chosen = opened.find(model, "tts", TERMINAL)

                async def ours(chosen: object = chosen, text: str = text, how: dict[str, float] = how) -> object:
                    return await opened.call(chosen, TERMINAL, "generate_audio", text, **how)  # type: ignore[arg-type]

                added, floor = await _added(ours, in_place, number)
                show_extra(
                    f"room, {name} {what}", added, _GOAL, 1e3, "ms", f"p50 over {floor * 1e3:.3f} ms in this process"
                )
            direct.close()
    finally:
        await opened.close(0)


async def _added(
    ours: Callable[[], Awaitable[object]], peer: Callable[[], Awaitable[object]], number: int
) -> tuple[float, float]:
    """Median of the differences of pairs, and the peer's median, in seconds."""
    for _ in range(max(3, number // 20)):
        await ours(), await peer()
    pairs = []
    for n in range(number):
        first, second = (ours, peer) if n % 2 else (peer, ours)
        a, b = await _seconds(first), await _seconds(second)
        pairs.append((a, b) if n % 2 else (b, a))
    return statistics.median(a - b for a, b in pairs), statistics.median(b for _, b in pairs)


async def _seconds(fn: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await fn()
    return time.perf_counter() - start
