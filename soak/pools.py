"""A day of calls, compressed, on a pool of none to four workers: quiet nights, two peaks, workers that are killed.

``python soak/pools.py [SECONDS] [SEED] [--svg FILE]``: each call must end once, with its result or, where its worker
was killed, with that error; the workers must follow the load up and down to none. Prints the curve of workers over the
calls under way; exit 1 where a call was lost or run twice, or the pool did not shrink.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import sys
import tempfile
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lollms_modalities import IsolatedBinding, LollmsTTSBindingManager, WorkerCrashedError, WorkerPolicy

MOST = 4
LENGTH = 0.25  # seconds of one call
CALLERS = 10
_BINDING = """
import os, time
from lollms_modalities import Audio, LollmsTTSBinding

class DayTTSBinding(LollmsTTSBinding):
    '''Writes down what it was asked, and takes its time.'''
    def generate_audio(self, text, voice=None, **kwargs):
        number, path = text.split(" ", 1)
        with open(path, "a") as file:
            file.write(number + chr(10))
        time.sleep(%r)
        return Audio.from_pcm(bytes(2), 8000)
    def list_voices(self, **kwargs):
        return []
"""


class Moment(NamedTuple):
    """What was seen at one time."""

    at: float
    workers: int
    starting: int
    calls: int


class Day:
    """One day.

    Attributes:
        ended: how each call ended, by its number.
        seen: the curve.
    """

    def __init__(self, binding: IsolatedBinding, seconds: float, noted: Path, rng: random.Random) -> None:
        self.ended: dict[int, str] = {}
        self.seen: list[Moment] = []
        self.asked = 0
        self.killed = 0
        self._binding, self._seconds, self._noted, self._rng = binding, seconds, noted, rng
        self._lock = threading.Lock()
        self._under_way = 0
        self._began = time.monotonic()

    def _load(self) -> int:
        """How many callers are awake now: none at night, most at two times of the day."""
        hour = 24 * (time.monotonic() - self._began) / self._seconds
        peaks = math.exp(-(((hour - 10) / 2) ** 2)) + 0.6 * math.exp(-(((hour - 17) / 2) ** 2))
        return round(CALLERS * min(1.0, peaks))

    def _over(self) -> bool:
        return time.monotonic() - self._began > self._seconds

    def _call(self, caller: int) -> None:
        while not self._over():
            if caller >= self._load():
                time.sleep(0.05)
                continue
            with self._lock:
                number, self.asked = self.asked, self.asked + 1
                self._under_way += 1
            try:
                self._binding.generate_audio(f"{number} {self._noted}")  # type: ignore[attr-defined]
                outcome = "ok"
            except WorkerCrashedError:
                outcome = "told"
            except Exception as exc:
                outcome = f"{type(exc).__name__}: {exc}"
            with self._lock:
                self._under_way -= 1
                self.ended[number] = outcome
            time.sleep(0.05)

    def _kill(self) -> None:
        while not self._over():
            time.sleep(self._seconds / 40)
            running = self._binding._workers.all()
            if running and self._rng.random() < 0.5:
                with suppress(ProcessLookupError):
                    os.kill(self._rng.choice(running).process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
                    self.killed += 1

    def run(self) -> None:
        threads = [threading.Thread(target=self._call, args=(n,)) for n in range(CALLERS)]
        threads.append(threading.Thread(target=self._kill))
        for thread in threads:
            thread.start()
        quiet = time.monotonic() + 10 * self._seconds
        while any(thread.is_alive() for thread in threads) or self.seen[-1].workers:
            state = self._binding.pool_state()
            at = time.monotonic() - self._began
            self.seen.append(Moment(at, state.running + state.starting, state.starting, self._under_way))
            if time.monotonic() > quiet:
                break
            time.sleep(self._seconds / 240)

    def wrong(self) -> list[str]:
        """What was not as it should be."""
        noted = [int(line) for line in self._noted.read_text().splitlines()]
        wrong = [f"{len(noted) - len({*noted})} calls were run twice"] if len(noted) > len({*noted}) else []
        wrong += [f"call {n}: {how}" for n, how in self.ended.items() if how not in ("ok", "told")]
        lost = self.asked - len(self.ended)
        told = sum(how == "told" for how in self.ended.values())
        wrong += [f"{lost} calls did not end"] if lost else []
        wrong += [f"{told} calls failed, of {self.killed} killed workers"] if told > self.killed else []
        most = max(moment.workers for moment in self.seen)
        wrong += [] if 2 <= most <= MOST else [f"the peak had {most} workers"]  # how many, in a short day, is chance
        wrong += [] if self.killed else ["no worker was killed: the day was too short, or the machine too busy"]
        wrong += ["the workers did not end"] if self.seen[-1].workers else []
        return wrong


def drawn(day: Day, columns: int = 96) -> str:
    """The curve as text: workers as bars, over the calls under way."""
    last = day.seen[-1].at
    cells: list[list[Moment]] = [[] for _ in range(columns)]
    for moment in day.seen:
        cells[min(columns - 1, int(moment.at / last * columns))].append(moment)
    workers = [max((m.workers for m in cell), default=0) for cell in cells]
    calls = [max((m.calls for m in cell), default=0) for cell in cells]
    lines = [f"{n:>2} |" + "".join("#" if w >= n else " " for w in workers) for n in range(MOST, 0, -1)]
    return "\n".join([*lines, "   +" + "-" * columns, "    " + "".join(f"{min(c, 9) or ' '}" for c in calls)])


def svg(day: Day) -> str:
    """The curve as a picture."""
    last = day.seen[-1].at
    lines = {}
    for name, high in (("workers", MOST), ("calls", CALLERS)):
        points = [f"{m.at / last * 800:.1f},{200 - getattr(m, name) / high * 190:.1f}" for m in day.seen]
        lines[name] = " ".join(points)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 220" font-family="sans-serif" font-size="11">'
        f'<polyline fill="none" stroke="#bbb" points="{lines["calls"]}"/>'
        f'<polyline fill="none" stroke="#0a58ca" stroke-width="2" points="{lines["workers"]}"/>'
        f'<text x="0" y="216">calls under way (grey, to {CALLERS}) and workers (blue, to {MOST}) over {last:.0f} s'
        "</text>"
        "</svg>\n"
    )


def main() -> int:
    """Run a day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=120.0)
    parser.add_argument("seed", type=int, nargs="?", default=27)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        info = folder / "site" / "day-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: day\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[lollms_client.tts_bindings]\nday = day_binding:DayTTSBinding\n")
        (folder / "site" / "day_binding.py").write_text(textwrap.dedent(_BINDING % LENGTH))
        (folder / "noted").touch()
        policy = WorkerPolicy(wait_target=0.4, idle_timeout=given.seconds / 30)
        manager = LollmsTTSBindingManager(folder / "site")
        with manager.require_binding("day", isolated=True, pool=(0, MOST), policy=policy) as binding:
            assert isinstance(binding, IsolatedBinding)
            day = Day(binding, given.seconds, folder / "noted", random.Random(given.seed))
            day.run()
        wrong = day.wrong()
    if given.svg is not None:
        given.svg.write_text(svg(day))
    print(drawn(day))
    told = sum(how == "told" for how in day.ended.values())
    print(f"{day.asked} calls, {day.killed} workers killed, {told} calls told of it; seed {given.seed}")
    print("\n".join(wrong) or "no call lost, none run twice")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
