"""The way of one call through the rooms of the core, as it is run: which code, in which order, how often each room.

``python tools/walk.py`` traces ``lc.tts.generate_audio("hi", voice=...)`` of Piper in place and with ``isolated=True``
in both processes, after a first call that imports everything and loads the model. ``--steps`` prints each step.
docs/how-calls.md tells what comes out.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

PACKAGES = {"lollms_client": "client", "lollms_piper": "binding", "lollms_modalities": ""}


class Step(NamedTuple):
    """That a function of ours began, or went on where it is a generator.

    Attributes:
        thread: its name.
        depth: how many functions of ours it was called through.
        caller: room of the nearest of them; "" where there is none.
        room: its own.
        file: its source, inside its package.
        function: its name.
    """

    thread: str
    depth: int
    caller: str
    room: str
    file: str
    function: str


class Tracer:
    """Writes each step to a file, so that a process that is killed leaves what it did."""

    def __init__(self, file: str) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._known: dict[str, tuple[str, str] | None] = {}

    def start(self) -> None:
        threading.setprofile(self._heard)
        sys.setprofile(self._heard)

    def stop(self) -> None:
        threading.setprofile(None)
        sys.setprofile(None)

    def _heard(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or (place := self._place(frame)) is None:
            return
        above = [found[0] for found in map(self._place, _callers(frame)) if found is not None]
        step = Step(threading.current_thread().name, len(above), (above or [""])[0], *place, frame.f_code.co_name)
        os.write(self._descriptor, ("\t".join(map(str, step)) + "\n").encode())

    def _place(self, frame: FrameType) -> tuple[str, str] | None:
        name = frame.f_code.co_filename
        if name not in self._known:
            self._known[name] = _place(name)
        return self._known[name]


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None and (frame := frame.f_back) is not None:
        yield frame


def _place(file: str) -> tuple[str, str] | None:
    """The room of a source file and its name there, or None where it is not one of ours."""
    parts = Path(file).parts
    for package, room in PACKAGES.items():
        if package in parts:
            inside = parts[len(parts) - parts[::-1].index(package) :]
            return room or inside[0].removesuffix(".py"), "/".join(inside)
    return None


def read(file: Path) -> dict[str, list[Step]]:
    """Steps by thread."""
    threads: dict[str, list[Step]] = {}
    for line in file.read_text("utf-8").splitlines():
        thread, depth, *rest = line.split("\t")
        threads.setdefault(thread, []).append(Step(thread, int(depth), *rest))
    return threads


def told(steps: Sequence[Step], all_steps: bool) -> str:
    """How often each room is entered: its code called, or its generator resumed, by code of another room."""
    lines = [f"  {'| ' * step.depth}{step.file}: {step.function}" for step in steps] if all_steps else []
    entered = Counter(step.room for step in steps if step.room != step.caller)
    core = [count for room, count in entered.items() if room not in PACKAGES.values()]
    lines.append("  entered: " + ", ".join(f"{room} {count}" for room, count in entered.most_common()))
    lines.append(f"  {len(core)} rooms of the core, entered {sum(core)} times")
    return "\n".join(lines) + "\n"


def settled(file: Path) -> None:
    """Wait until nothing more is written to it."""
    size = -1
    while size != (size := file.stat().st_size):
        time.sleep(0.3)


def trace(isolated: bool, all_steps: bool) -> None:
    """Trace one call and print its way."""
    from lollms_client import LollmsClient

    with tempfile.TemporaryDirectory() as folder:
        here, there = Path(folder, "here"), Path(folder, "there")
        tracer = Tracer(str(here))
        there.touch()
        Path(folder, "sitecustomize.py").write_text(
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import walk\n"
            f"walk.Tracer({str(there)!r}).start(); sys.path.pop(0)\n"
        )
        if isolated:
            os.environ["PYTHONPATH"] = folder
        tracer.start()
        with LollmsClient(tts_binding_name="piper", tts_binding_config={"isolated": isolated}) as lc:
            assert lc.tts, lc.unavailable
            (voice, *_) = lc.tts.list_voices()
            lc.tts.generate_audio("hi", voice=voice)
            settled(there)
            for file in (here, there):
                os.truncate(file, 0)
            lc.tts.generate_audio("hi", voice=voice)
            tracer.stop()
            settled(there)
            found = {"the program": read(here), "the worker": read(there)}
    for process, threads in found.items():
        for thread, steps in threads.items():
            sys.stdout.write(f"{'isolated' if isolated else 'in place'}, {process}, {thread}: {len(steps)} steps\n")
            sys.stdout.write(told(steps, all_steps))


if __name__ == "__main__":
    for isolated in (False, True):
        trace(isolated, "--steps" in sys.argv)
