"""Workers killed, links cut, in the middle of calls, streams and loads: in a process, over TCP, over ssh, at a server.

``python soak/places.py [KILLS] [CUTS] [--places tcp,ssh]``: so many of each, dealt to the places in turn. Whoever waits
must be told within 8 s, by a typed error; no call may be run twice, the next one must be right (or is told of a worker
whose end nobody knew of yet), and nothing may be left. A link is cut in two ways: closed, or open
while nothing comes through. Exit 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from lollms_modalities import Audio, LollmsTTSBindingManager, ServerPlace, WorkerCrashedError, WorkerPolicy
from lollms_modalities.workers.tcp import TcpPlace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
cutting: Any = importlib.import_module("cutting")
served_settings: Any = importlib.import_module("served_settings")
sshd: Any = importlib.import_module("sshd")

LIMIT = 8.0  # seconds within which whoever waits is told
_LOSSES = 2  # workers of a pool, each of which a call may be the first to miss
LEFT = 40.0  # seconds until what nobody asks any more has ended; a silent link is given up after 15 over there
_BINDING = """
import os, time
from lollms_modalities import Audio, AudioChunk, Capabilities, LollmsTTSBinding, current_call

def note(text):
    number, path = text.split(" ", 1)
    with open(path, "a") as file:
        file.write(number + chr(10))

def wait(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        current_call().check()
        time.sleep(0.005)

class SoakedTTSBinding(LollmsTTSBinding):
    '''Writes down what it was asked, and takes its time.'''
    capabilities = Capabilities(streaming=True)
    def load_model(self):
        time.sleep(0.3)
        return "loaded"
    def generate_audio(self, text, voice=None, **kwargs):
        self.model
        note(text)
        current_call().record(usage={"pid": os.getpid()})
        wait(0.0 if "quick" in text else 0.6)
        return Audio.from_pcm(text.encode("utf-16-le"), 8000)
    def stream_audio(self, text, voice=None, **kwargs):
        self.model
        note(text)
        for n in range(30):
            wait(0.02)
            yield AudioChunk(bytes(2000), 8000, 1, str(n))
    def list_voices(self, **kwargs):
        return []
"""


class Place:
    """A binding at one place.

    Attributes:
        open: makes the binding.
        proxy: what its links pass through; None where it has none.
        workers: the processes in which its calls run now; None where that of the last call is the one.
    """

    def __init__(
        self, open_binding: Callable[[], Any], proxy: Any = None, workers: Callable[[], list[int]] | None = None
    ) -> None:
        self.open = open_binding
        self.proxy = proxy
        self.workers = workers


def _opened(name: str, place: Any) -> Any:
    return LollmsTTSBindingManager().require_binding(name, place=place, policy=WorkerPolicy(grace=1.0))


@contextmanager
def in_process(folder: Path, site: Path) -> Iterator[Place]:
    """A process of this machine."""
    yield Place(lambda: _opened("soaked", "process"))


@contextmanager
def over_tcp(folder: Path, site: Path) -> Iterator[Place]:
    """Such a one, reached over TCP."""
    proxy = cutting.Proxy()

    class Proxied(TcpPlace):
        def connect(self, port: int, limit: float) -> Any:
            return super().connect(proxy.port_of(port), limit)

    yield Place(lambda: _opened("soaked", Proxied()), proxy)
    proxy.close()


@contextmanager
def over_ssh(folder: Path, site: Path) -> Iterator[Place]:
    """At the other end of ssh."""
    proxy = cutting.Proxy()
    with sshd.sshd(folder / "sshd", {"PYTHONPATH": str(site)}) as box:
        port = proxy.port_of(box.port)
        box.known.write_text(box.known.read_text().replace(f":{box.port} ", f":{port} "))
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{box.bin}{os.pathsep}{before}"
        try:
            yield Place(lambda: _opened("soaked", f"ssh://127.0.0.1:{port}"), proxy)
        finally:
            os.environ["PATH"] = before
            proxy.close()


@contextmanager
def at_server(folder: Path, site: Path) -> Iterator[Place]:
    """Behind ``lollms serve``."""
    proxy = cutting.Proxy()
    server = served_settings.ServedSettings(folder, site)
    try:
        name = server.model("tts", "soaked", {}, WorkerPolicy(pool=2))
        place = ServerPlace(f"http://127.0.0.1:{proxy.port_of(server.port)}", key=server.key)
        # What is unloaded there ends, and what loads is a process that no call has told of.
        yield Place(lambda: _opened(name, place), proxy, lambda: _workers_of(server.process.pid))
    finally:
        server.close()
        proxy.close()


def _workers_of(pid: int) -> list[int]:
    """The workers that a process has started, none of those that watch them."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            if "lollms_modalities.workers.worker" in process.cmdline():
                found.append(process.pid)
    return found


PLACES = {"process": in_process, "tcp": over_tcp, "ssh": over_ssh, "server": at_server}


class Soak:
    """What happens at one place.

    Attributes:
        wrong: what was not as it should be.
    """

    def __init__(self, place: Place, noted: Path, rng: random.Random) -> None:
        self.wrong: list[str] = []
        self._place, self._noted, self._rng = place, noted, rng
        self._asked = 0
        self._ended: Counter[str] = Counter()
        self._slowest = 0.0
        self._tts: Any = None
        noted.touch()

    def run(self, kills: int, cuts: int) -> None:
        """So many of each."""
        with self._place.open() as self._tts:
            for n in range(kills):
                pid = self._pid()
                self._hit(("call", "stream", "load")[n % 3], "killed", lambda pid=pid: self._kill(pid))  # type: ignore[misc]
            for n in range(cuts):
                self._pid()
                silently = n % 2 == 1
                self._hit(
                    ("call", "stream", "load")[n % 3],
                    "cut silently" if silently else "cut",
                    lambda silently=silently: self._place.proxy.cut(silently=silently),  # type: ignore[misc]
                )
            self._pid()

    def _text(self, more: str = "") -> str:
        self._asked += 1
        return f"{self._asked} {self._noted}{more}"

    def _pid(self) -> int:
        """The next call is right, and says which process would run another."""
        for _ in range(_LOSSES):
            try:
                return self._asked_pid()
            except WorkerCrashedError:  # a worker that was killed between two calls, of which nobody knew yet
                self._ended["next call: told"] += 1
        return self._asked_pid()

    def _asked_pid(self) -> int:
        text = self._text(".quick")
        audio = self._tts.generate_audio(text)
        if audio != Audio.from_pcm(text.encode("utf-16-le"), 8000):
            self.wrong.append("a wrong answer")
        return int(audio.provenance.usage["pid"])

    def _work(self, kind: str) -> None:
        if kind == "stream":
            for _ in self._tts.stream_audio(self._text()):
                pass
            return
        if kind == "load":
            self._tts.unload()
            self._tts.load()
        self._tts.generate_audio(self._text())

    def _hit(self, kind: str, how: str, hit: Callable[[], object]) -> None:
        hit_at = [0.0]

        def now() -> None:
            hit_at[0] = time.monotonic()
            hit()

        ended: list[str] = []

        def work() -> None:
            try:
                self._work(kind)
                ended.append("done")
            except WorkerCrashedError:
                ended.append("told")
            except BaseException as exc:
                ended.append(f"{type(exc).__name__}: {exc}")

        timer = threading.Timer(self._rng.uniform(0.0, 0.4), now)
        working = threading.Thread(target=work, daemon=True)
        began = time.monotonic()
        working.start()
        timer.start()
        working.join(60.0)
        timer.join()
        if working.is_alive():
            self.wrong.append(f"a {kind} that was {how} hangs")
            return
        took = time.monotonic() - max(began, hit_at[0])
        if ended == ["told"]:
            self._slowest = max(self._slowest, took)
            if took > LIMIT:
                self.wrong.append(f"a {kind} that was {how} was told after {took:.1f} s")
        elif ended != ["done"]:
            self.wrong.append(f"a {kind} that was {how} ended with {ended[0]}")
        self._ended[f"{kind} {how}: {ended[0][:4]}"] += 1

    def _kill(self, pid: int) -> None:
        for each in [pid] if self._place.workers is None else self._place.workers():
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def finished(self) -> str:
        """In a line, once the binding is closed."""
        lines: list[str] = []
        for path in (self._noted, Path(f"{self._noted}.quick")):
            lines += path.read_text().split() if path.exists() else []
        twice = len(lines) - len({*lines})
        if twice:
            self.wrong.append(f"{twice} calls were run twice")
        how = ", ".join(f"{number} {what}" for what, number in sorted(self._ended.items()))
        return f"{how}; told within {self._slowest:.1f} s (limit {LIMIT:g}); {twice} of {self._asked} run twice"


def _left(site: Path) -> list[str]:
    """What runs of all that was started for this: its environment says that."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            ours = str(site) in process.environ().get("PYTHONPATH", "") and process.pid != os.getpid()
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:150])
    return found


def main() -> int:
    """All places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("cuts", type=int, nargs="?", default=10)
    parser.add_argument("--places", default=",".join(PLACES))
    parser.add_argument("--seed", type=int, default=25)
    given = parser.parse_args()
    names = given.places.split(",")
    linked = [name for name in names if name != "process"]
    wrong = 0
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as made, ExitStack() as ending:
        site = Path(made) / "site"
        info = site / "soaked-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: soaked\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[lollms_client.tts_bindings]\nsoaked = soaked:SoakedTTSBinding\n")
        (site / "soaked.py").write_text(textwrap.dedent(_BINDING))
        os.environ["LOLLMS_PLUGINS_MARKS_ENABLED"] = "0"  # which changes the bytes that are compared
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
        ending.callback(os.environ.pop, "PYTHONPATH")
        for n, name in enumerate(names):
            kills = len(range(n, given.kills, len(names)))
            cuts = len(range(linked.index(name), given.cuts, len(linked))) if name in linked else 0
            folder = Path(made) / name
            folder.mkdir()
            began = time.monotonic()
            with PLACES[name](folder, site) as place:
                soak = Soak(place, folder / "noted", rng)
                soak.run(kills, cuts)
                told = soak.finished()
            until = time.monotonic() + LEFT
            while (left := _left(site)) and time.monotonic() < until:
                time.sleep(0.1)
            soak.wrong += [f"left: {line}" for line in left]
            print(f"{name}: {kills} kills and {cuts} cuts in {time.monotonic() - began:.0f} s: {told}", flush=True)
            print("\n".join(f"  BROKEN: {line}" for line in soak.wrong) or "  fine", flush=True)
            wrong += len(soak.wrong)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
