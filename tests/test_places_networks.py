"""Places on another host, from which this one is cut off in the middle of calls, streams and loads.

Two network namespaces are the hosts. The worker there must end by itself: nothing that this side does reaches it.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from across import AcrossTcp
from distributions import install
from lollms_modalities import LollmsTTSBindingManager, Place, SshPlace, WorkerCrashedError, WorkerPolicy
from namespaces import Cut, Host, network
from served_settings import ServedSettings
from sshd import sshd
from waiting import wait_until

pytestmark = pytest.mark.full
NASTY = Path(__file__).parents[1] / "lollms-modalities-core" / "tests" / "support" / "nasty_bindings.py"
TOLD = {"over_tcp": 5.0, "over_ssh": 8.0, "over_server": 8.0}  # seconds, and those for which the machine was busy
GONE = 40.0  # 15 without a pulse over there, and the same


MARK = "LOLLMS_TEST_PLACE"  # in the environment of what runs there


class Far(NamedTuple):
    """A place on the other host.

    Attributes:
        make: opens a binding there, with its settings.
        runs: what of it runs there.
    """

    make: Callable[..., Any]
    runs: Callable[[], list[Any]]


def marked(host: Host, place: str) -> list[psutil.Process]:
    """The processes of a host that were started for a place, whoever their parent is now."""
    found = []
    for process in host.processes:
        with suppress(psutil.Error):
            if process.environ().get(MARK) == place:
                found.append(process)
    return found


@contextmanager
def over_tcp(folder: Path, site: Path, here: Host, there: Host) -> Iterator[Far]:
    policy = WorkerPolicy(grace=0.5, variables={"PYTHONPATH": str(site), MARK: "tcp"})
    place = AcrossTcp(here, there)
    yield Far(lambda **settings: opened("nasty", place, policy, **settings), lambda: marked(there, "tcp"))


@contextmanager
def over_ssh(folder: Path, site: Path, here: Host, there: Host) -> Iterator[Far]:
    with ExitStack() as ending:
        with there.entered():
            variables = {"PYTHONPATH": str(site), MARK: "ssh"}
            box = ending.enter_context(sshd(folder / "sshd", variables, host=there.address))
        patched = ending.enter_context(pytest.MonkeyPatch.context())
        patched.setenv("PATH", f"{box.bin}{os.pathsep}{os.environ['PATH']}")
        place, policy = SshPlace(box.address), WorkerPolicy(grace=0.5)
        yield Far(lambda **settings: opened("nasty", place, policy, **settings), lambda: marked(there, "ssh"))


@contextmanager
def over_server(folder: Path, site: Path, here: Host, there: Host) -> Iterator[Far]:
    with there.entered():
        server = ServedSettings(folder, site, there.address)

    def open_model(**settings: Any) -> Any:
        with there.entered():
            name = server.model("tts", "nasty", settings, WorkerPolicy(pool=2))
        return opened(name, server.place(), WorkerPolicy(grace=0.5))

    try:
        yield Far(open_model, server.calls)
    finally:
        server.close()


PLACES = (over_tcp, over_ssh, over_server)


def opened(name: str, place: Place, policy: WorkerPolicy, **settings: Any) -> Any:
    return LollmsTTSBindingManager().require_binding(name, place=place, policy=policy, **settings)


class Doing(threading.Thread):
    """What is under way when the network is cut."""

    def __init__(self, run: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._do = run
        self.error: BaseException | None = None
        self.told = 0.0
        self.start()

    def run(self) -> None:
        try:
            self._do()
        except BaseException as exc:
            self.error = exc
        self.told = time.monotonic()


class UnderWay:
    """A call, a stream and a load at one place.

    Attributes:
        calling: the binding that is called.
        runs: what of it runs there.
    """

    def __init__(self, far: Far) -> None:
        self.calling, self._streaming, self._loading = far.make(), far.make(), far.make(load_seconds=600.0)
        self.runs = far.runs

    def begin(self) -> None:
        stream = self._streaming.stream_audio("hi", count=10_000, do="sleep", seconds=0.05)
        next(stream)
        self._doing = [
            Doing(lambda: self.calling.generate_audio("hi", do="wait", seconds=600)),
            Doing(lambda: list(stream)),
            Doing(self._loading.load),
        ]

    def told(self, since: float) -> list[tuple[BaseException | None, float]]:
        """What each was told, and how many seconds after."""
        for doing in self._doing:
            doing.join(60)
        return [(doing.error, doing.told - since) for doing in self._doing]


class Busy(threading.Thread):
    """How many seconds in all this machine let a thread wait for the processor."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds = 0.0
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(0.05):
            self.seconds += time.monotonic() - began - 0.05
            began = time.monotonic()

    def end(self) -> float:
        self._over.set()
        return self.seconds


# Who is cut off, and how: what is sent from here, or from there, gets an error at once, or nothing says anything.
CUTS: list[tuple[str, Cut]] = [
    ("there", "cable"), ("there", "device"), ("here", "device"), ("there", "silent"), ("there", "deaf"), ("here", "deaf"),
]  # fmt: skip


@pytest.mark.parametrize(("of", "how"), CUTS)
def test_what_is_cut_off_is_told_and_nothing_goes_on_there(
    of: str, how: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    install(site, "nasty", "[lollms_client.tts_bindings]\nnasty = nasty_bindings:NastyTTSBinding\n")
    shutil.copy(NASTY, site)
    with ExitStack() as ending:
        hosts = dict(zip(("here", "there"), ending.enter_context(network("here", "there")), strict=True))
        here, there = hosts.values()
        places = {at.__name__: ending.enter_context(at(tmp_path, site, here, there)) for at in PLACES}
        ending.enter_context(here.entered())
        under_way = {name: UnderWay(far) for name, far in places.items()}
        # This side ends a worker by its number, which would end the one there: the hosts share them.
        monkeypatch.setattr(os, "killpg", lambda *args: None)
        for each in under_way.values():
            each.begin()
        time.sleep(1.0)
        assert all(len(each.runs()) >= 2 for each in under_way.values())  # a server lists calls, and no loads
        busy = Busy()
        hosts[of].cut(how)
        cut = time.monotonic()
        told = {name: each.told(cut) for name, each in under_way.items()}
        late = busy.end()
        assert {name: [type(error) for error, _ in each] for name, each in told.items()} == {
            name: [WorkerCrashedError] * 3 for name in places
        }
        assert all(after < TOLD[name] + late for name, each in told.items() for _, after in each), (told, late)
        wait_until(lambda: not any(each.runs() for each in under_way.values()), GONE)
        hosts[of].mend()
        for each in under_way.values():
            assert each.calling.generate_audio("hi"), "by another worker"
        monkeypatch.undo()
