"""Ctrl-C is heard in every wait, also where the system told another thread of it, or just before the wait began."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

import pytest
from broken_distributions import make
from distributions import install
from lollms_modalities import CancelToken, LollmsTTSBindingManager
from lollms_modalities.calls import waits
from lollms_modalities.calls.call import Call
from lollms_modalities.finding.checking import check_bindings
from lollms_modalities.kit import program
from lollms_modalities.workers.policy import WorkerPolicy

LONG = 20.0  # seconds that each wait would take
Spawn = Callable[[Callable[[], Any]], Any]


class Interrupt(BaseException):
    """What the signal's handler raises."""


@pytest.fixture
def interrupted() -> Iterator[Callable[[Callable[[], object]], float]]:
    """Calls something, and has a signal told to another thread in the middle of it; the seconds until it is heard."""

    def handler(number: int, frame: FrameType | None) -> None:
        raise Interrupt

    def tell(after: float) -> None:
        time.sleep(after)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # so that it wakes nobody who waits

    def run(waits: Callable[[], object], after: float = 0.2) -> float:
        start = time.monotonic()
        thread = threading.Thread(target=tell, args=(after,))
        thread.start()
        with pytest.raises(Interrupt):
            waits()
        thread.join()
        return time.monotonic() - start

    before = signal.signal(signal.SIGUSR1, handler)
    yield run
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An odd binding as an installed distribution."""
    folder = tmp_path_factory.mktemp("waits") / "site"
    install(folder, "waits", "[lollms_client.tts_bindings]\nwaits = odd_bindings:OddTTSBinding\n")
    shutil.copy(Path(__file__).parent / "support" / "odd_bindings.py", folder)
    return folder


def a_token() -> object:
    return CancelToken().wait(LONG)


def a_pause() -> object:
    return Call("test").pause(LONG)


def a_program() -> object:
    return program.run([sys.executable, "-c", f"import time; time.sleep({LONG})"])


@pytest.mark.parametrize("what", [a_token, a_pause, a_program], ids=lambda what: str(what.__name__))
def test_in_what_the_core_waits_for(what: Callable[[], object], interrupted: Callable[..., float]) -> None:
    assert interrupted(what) < LONG / 2


@pytest.mark.parametrize("isolated", [False, True], ids=["in place", "isolated"])
def test_in_a_call(isolated: bool, folder: Path, interrupted: Callable[..., float], tmp_path: Path) -> None:
    policy = WorkerPolicy(grace=0.2) if isolated else None  # until one that does not listen is ended
    with LollmsTTSBindingManager(folder).require_binding("waits", isolated=isolated, policy=policy) as tts:
        tts.load()
        assert (
            interrupted(lambda: tts.generate_audio("hi", do="wait", gate=tmp_path / "never", timeout=LONG)) < LONG / 2
        )


@pytest.mark.parametrize("isolated", [False, True], ids=["in place", "isolated"])
def test_behind_another_call(
    isolated: bool, folder: Path, interrupted: Callable[..., float], background: Spawn
) -> None:
    with LollmsTTSBindingManager(folder).require_binding("waits", isolated=isolated) as tts:
        tts.load()
        begun, over = threading.Event(), threading.Event()

        def listen() -> int:
            with tts.stream_audio("hi") as stream:
                next(stream)
                begun.set()
                over.wait(LONG)
                return 1 + len(list(stream))

        other = background(listen)
        assert begun.wait(LONG)
        assert interrupted(lambda: tts.generate_audio("hi")) < LONG / 2
        over.set()
        assert other.result() == 3
        assert tts.generate_audio("hi")


def test_while_bindings_are_checked(folder: Path, interrupted: Callable[..., float], tmp_path: Path) -> None:
    make(tmp_path, "endless_loop")
    refs = [ref for ref in LollmsTTSBindingManager(tmp_path).refs() if ref.directory]
    assert len(refs) == 1
    assert interrupted(lambda: list(check_bindings(refs, LONG)), 1.0) < LONG / 2


def test_a_wait_that_is_over_says_so() -> None:
    event, queue = threading.Event(), SimpleQueue[int]()
    assert not waits.wait(event.wait, 0.0)
    assert not waits.wait(event.wait, -1.0)
    start = time.monotonic()
    assert not waits.wait(event.wait, 1.2 * waits.ANEW)
    assert time.monotonic() - start >= 1.2 * waits.ANEW
    with pytest.raises(Empty):
        waits.take(queue, -1.0)
    with pytest.raises(Empty):
        waits.take(queue, 1.2 * waits.ANEW)
    assert time.monotonic() - start >= 2.4 * waits.ANEW
    threading.Timer(1.2 * waits.ANEW, event.set).start()
    assert waits.wait(event.wait)
    assert waits.wait(event.wait, 0.0)
    threading.Timer(1.2 * waits.ANEW, queue.put, (7,)).start()
    assert waits.take(queue) == 7
