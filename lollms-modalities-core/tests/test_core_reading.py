"""Who reads a connection: the threads that wait take turns, an attendant reads for nobody, and no frame is lost."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import pickle
import random
import shutil
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from distributions import install
from interrupts import Interrupt, interrupted_at
from lollms_modalities import (
    Audio,
    CallCancelled,
    CancelToken,
    GenerationError,
    Image,
    LollmsTTSBindingManager,
    Video,
    WorkerCrashedError,
)
from lollms_modalities.workers import attendant, protocol
from lollms_modalities.workers.channel import Channel
from lollms_modalities.workers.exchange import Disconnected, Exchange, _room_of, _unwritten
from lollms_modalities.workers.places import ProcessPlace
from lollms_modalities.workers.policy import WorkerPolicy
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]
SUPPORT = Path(__file__).parent / "support"
LARGE = bytes(range(256)) * 20_000  # more than a chunk


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel that is read, and the other side's socket."""
    near, far = socket.socketpair()
    near.settimeout(None)
    channel = Channel(near)
    channel.begin()
    yield channel, far
    far.close()
    channel.close()
    assert channel.ended.wait(10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Odd bindings as an installed distribution."""
    folder = tmp_path_factory.mktemp("read") / "site"
    install(folder, "read", "[lollms_client.tts_bindings]\nread = odd_bindings:OddConcurrentTTSBinding\n")
    shutil.copy(SUPPORT / "odd_bindings.py", folder)
    return folder


@pytest.fixture
def tts(folder: Path) -> Iterator[Any]:
    """One that runs eight calls at once."""
    policy = WorkerPolicy(grace=5.0)
    with LollmsTTSBindingManager(folder).require_binding("read", isolated=True, policy=policy) as binding:
        yield binding


def frames_to(
    exchange: Exchange, large: bytes = LARGE, chunk: int = protocol.CHUNK
) -> tuple[bytes, list[tuple[str, list[bytes]]]]:
    """Messages of every shape as bytes, and what is to arrive."""
    number, sent, told = exchange.number, bytearray(), []
    for text, payloads in (
        ("a", [b"x"]),
        ("b", []),
        ("c", [large, b"", b"y"]),
        ("d", [b"z" * 70_000, b"q"]),
        ("e", []),
    ):
        message: dict[str, Any] = {"type": "item", "id": number, "value": text}
        told.append((text, payloads))
        whole = b"".join(payloads)
        if payloads:
            message["sizes"] = [len(p) for p in payloads]
        if text != "c":
            sent += protocol.encode(message, len(whole)) + whole
            continue
        sent += protocol.encode(message, 0)
        for at in range(0, len(whole), chunk):
            part = whole[at : at + chunk]
            sent += protocol.encode({"type": protocol.DATA, "id": number}, len(part)) + part
    return bytes(sent), told


def taken(exchange: Exchange) -> tuple[str, list[bytes]]:
    message, payloads = exchange.get(20)
    return message["value"], [bytes(p) for p in payloads]


def in_pieces(far: socket.socket, data: bytes, sizes: Iterator[int]) -> None:
    at = 0
    while at < len(data):
        size = next(sizes)
        far.sendall(data[at : at + size])
        at += size


def drained(far: socket.socket) -> threading.Thread:
    """The other side takes what it is sent."""

    def drain() -> None:
        with contextlib.suppress(OSError):  # it is closed
            while far.recv(1 << 16):
                pass

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    return thread


# --- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_frames_may_break_off_anywhere(pair: tuple[Channel, socket.socket], background: Spawn, seed: int) -> None:
    channel, far = pair
    exchange = channel.exchange()
    data, told = frames_to(exchange)
    some = random.Random(seed)
    sizes = iter(lambda: some.choice((1, 2, 7, 8, 9, 300, 65_536, 65_537, 1_000_000)), None)
    drained(far)
    writing = background(lambda: in_pieces(far, data, sizes))
    assert [taken(exchange) for _ in told] == told
    writing.result()


@pytest.mark.parametrize(
    "data",
    [
        b"Welcome to this machine\n",
        protocol.HEAD.pack(5, 0) + b"[1,2]",
        protocol.HEAD.pack(2, 0) + b"{}",
        protocol.encode({"type": "item", "id": 1, "value": 1, "sizes": ["x"]}, 1) + b"x",
        protocol.encode({"type": "item", "id": 1, "value": 1, "sizes": [-1]}, 1) + b"x",
        protocol.encode({"type": "item", "id": [1], "value": 1}, 0),
        protocol.encode({"type": "taken", "id": 1, "count": None}, 0),
        protocol.encode({"type": "taken", "id": 1, "count": -5}, 0),
        protocol.encode({"type": "data", "id": 1}, 3) + b"abc",
        protocol.encode({"type": "data", "id": 99}, 3) + b"abc",
        protocol.encode({"type": "item", "id": 1, "value": 1, "sizes": [2]}, 0) + protocol.encode({"type": "data", "id": 1}, 3) + b"abc",
        protocol.encode({"type": "item", "id": 1, "value": 1}, 0)[:-3] + b"\xff\xff}",
        protocol.HEAD.pack(9, protocol.CHUNK + 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("waits", [True, False])
def test_what_is_no_frame_ends_it_for_whoever_reads(
    pair: tuple[Channel, socket.socket], data: bytes, waits: bool
) -> None:
    channel, far = pair
    exchange = channel.exchange()
    if waits:
        threading.Timer(0.02, far.sendall, (data,)).start()
    else:
        far.sendall(data)
        assert channel.ended.wait(10)
    assert exchange.get(10)[0]["type"] == "closed"
    assert channel.ended.wait(10)
    assert channel.fault


@pytest.mark.parametrize("kind", [bytes, Audio, Image, Video])
def test_what_is_written_where_it_stays_is_as_if_made_of_its_bytes(kind: Any) -> None:
    made, expected = _unwritten(kind, 5), kind(b"RIFF.")
    _room_of(made)[:] = b"RIFF."
    assert type(made) is kind
    assert (made, hash(made), bytes(made), made[-2:]) == (expected, hash(expected), b"RIFF.", b"F.")
    assert getattr(made, "__dict__", {}) == getattr(expected, "__dict__", {})
    assert gc.is_tracked(made) == gc.is_tracked(expected)
    assert sys.getsizeof(made) == sys.getsizeof(expected)
    assert pickle.loads(pickle.dumps(made)) == expected


# --- interrupts -----------------------------------------------------------------------------------------------------


READERS = {f"lollms_modalities.workers.{name}" for name in ("channel", "exchange", "frames", "reading", "attendant")}


def reads_it(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "") in READERS


@pytest.mark.parametrize("step", [10, pytest.param(200, marks=pytest.mark.full)])
def test_an_interrupt_in_the_middle_of_reading_loses_nothing_of_others(
    pair: tuple[Channel, socket.socket], step: int
) -> None:
    channel, far = pair
    drained(far)
    at, read_by_the_attendant = 1, 0
    while True:
        reads, other = channel.exchange(), channel.exchange()
        data, told = frames_to(other, LARGE[:150_000], 60_000)
        own = protocol.encode({"type": "result", "id": reads.number, "value": "own"}, 0)
        gone = threading.Event()

        def say(reads: Any = reads, data: bytes = data + own, gone: threading.Event = gone) -> None:
            # It is to be read by who waits, unless the attendant was at it when that began to wait.
            until = time.monotonic() + 1
            while channel.reading._awaited is not reads._inbox and not gone.wait(0.0002):  # type: ignore[union-attr]
                if time.monotonic() > until:
                    break
            far.sendall(data)

        saying = threading.Thread(target=say, daemon=True)
        saying.start()
        was_interrupted, _ = interrupted_at(at, lambda reads=reads: reads.get(20), reads_it)  # type: ignore[misc]
        gone.set()
        assert [taken(other) for _ in told] == told, f"interrupted at {at}"
        wait_until(lambda reads=reads: reads.over)  # type: ignore[misc]
        assert not channel.closed
        other.end(), reads.end()
        saying.join()
        if was_interrupted:
            at += 1 + at // step
        elif at > 150:
            return  # all the way
        else:
            read_by_the_attendant += 1
            assert read_by_the_attendant < 20


def test_interrupts_leave_the_worker_as_it_is(tts: Any) -> None:
    interrupts(tts, 1.0)


@pytest.mark.full
def test_many_interrupts_leave_the_worker_as_it_is(tts: Any) -> None:
    interrupts(tts, 20.0)


def interrupts(tts: Any, seconds: float) -> None:
    """A signal's handler raises again and again, wherever the main thread is in its calls."""
    worker, calls, raised, ended = tts._workers.all()[0], 0, 0, threading.Event()
    armed = [False]

    def handler(number: int, frame: FrameType | None) -> None:
        below = frame
        while below is not None and below.f_code is not Channel.send.__code__:
            below = below.f_back
        if armed[0] and below is None:  # half a frame that was sent ends the worker, and has to
            armed[0] = False
            raise Interrupt

    def disturb() -> None:
        some = random.Random(7)
        while not ended.wait(some.uniform(0.0, 0.004)):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=disturb)
    thread.start()
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until or not raised or not calls:
            size = 5_000_000 if calls % 50 == 7 else 2 * (calls % 3)
            try:
                armed[0] = True
                assert len(tts.whole(size)) == 44 + size
                armed[0] = False
                calls += 1
            except Interrupt:
                raised += 1
            finally:
                armed[0] = False
            assert worker.alive, worker.crash()
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert tts.generate_audio("hi")
    assert tts._workers.all() == [worker]
    assert not worker.channel.exchanges


def test_a_handler_asks_while_its_thread_waits(tts: Any, background: Spawn, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    told: list[Any] = []
    other = background(lambda: tts.generate_audio("hi", do="wait", gate=gate))

    def handler(number: int, frame: FrameType | None) -> None:
        told.append(tts.list_voices())
        gate.touch()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)).start()
        assert tts.slow(str(gate)) == "done"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told == [["a"]]
    assert other.result(10)


def test_a_handler_that_asks_in_the_middle_of_a_frame_is_told_so(pair: tuple[Channel, socket.socket]) -> None:
    channel, far = pair
    reads, asked = channel.exchange(), channel.exchange()
    outcome: list[Any] = []
    original = channel._hand

    def hand(frame: Any) -> None:  # a handler would run here
        try:
            outcome.append(asked.get(5))
        except Disconnected as exc:
            outcome.append(exc)
        original(frame)

    channel._hand = hand  # type: ignore[method-assign]
    threading.Timer(0.05, far.sendall, (protocol.encode({"type": "item", "id": reads.number, "value": 1}, 0),)).start()
    assert reads.get(10)[0]["value"] == 1
    assert isinstance(outcome[0], Disconnected)


# --- what a handler raises ------------------------------------------------------------------------------------------


class Raising:
    """An object as a handler: raises one error, in the middle of what our code expects to raise such."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise self.error


OURS = [
    BlockingIOError(11, "again"),
    ConnectionResetError(104, "reset"),
    TimeoutError("alarm"),
    EOFError(),
    OSError(9, "?"),
]


@pytest.fixture(params=OURS, ids=repr)
def raising(request: pytest.FixtureRequest) -> Iterator[BaseException]:
    """What the handler of SIGUSR1 raises."""
    before = signal.signal(signal.SIGUSR1, Raising(request.param))
    yield request.param
    signal.signal(signal.SIGUSR1, before)


def once_signalled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A signal comes when it is called first."""
    signals = iter([signal.SIGUSR1])

    def call(*args: Any, **kwargs: Any) -> Any:
        for number in signals:
            signal.raise_signal(number)
        return fn(*args, **kwargs)

    return call


def test_what_a_handler_raises_in_the_middle_of_reading_is_no_end(
    pair: tuple[Channel, socket.socket], raising: BaseException
) -> None:
    channel, far = pair
    exchange = channel.exchange()
    channel._frames.receive = once_signalled(channel._frames.receive)  # type: ignore[method-assign]
    message = protocol.encode({"type": "result", "id": exchange.number, "value": 1}, 0)
    threading.Timer(0.02, far.sendall, (message,)).start()
    with pytest.raises(type(raising)) as caught:
        exchange.get(10)
    assert caught.value is raising
    assert exchange.get(10)[0]["value"] == 1
    assert not channel.closed


def test_what_a_handler_raises_in_the_middle_of_sending_is_told_as_it_is(
    pair: tuple[Channel, socket.socket], raising: BaseException
) -> None:
    channel, _ = pair

    class Sock:
        sendmsg = staticmethod(once_signalled(channel._sock.sendmsg))

        def __getattr__(self, name: str) -> Any:
            return getattr(sock, name)

    sock = channel._sock
    channel._sock = Sock()
    with pytest.raises(type(raising)) as caught:
        channel.send({"type": "x", "id": 1})
    assert caught.value is raising
    assert channel.closed, "half a frame may be out"


@pytest.mark.parametrize("when", ["start", "close"])
def test_what_a_handler_raises_while_a_worker_starts_or_ends_is_told_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, raising: BaseException, when: str
) -> None:
    manager, wait = LollmsTTSBindingManager(folder), Exchange.get
    if when == "start":
        monkeypatch.setattr(ProcessPlace, "start", once_signalled(ProcessPlace.start))
        with pytest.raises(type(raising)) as caught:
            manager.require_binding("read", isolated=True)
    else:
        tts = manager.require_binding("read", isolated=True)
        worker = tts._workers.all()[0]  # type: ignore[attr-defined]
        monkeypatch.setattr(Exchange, "get", once_signalled(wait))
        with pytest.raises(type(raising)) as caught:
            tts.close()
        tts.close()
        wait_until(lambda: not worker.alive)
    assert caught.value is raising


def test_what_would_pass_for_an_end_does_not_end_a_stream(tts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    end = StopIteration()
    before = signal.signal(signal.SIGUSR1, Raising(end))
    try:
        stream = tts.stream_audio("hi", count=100_000)
        next(stream)
        monkeypatch.setattr(Exchange, "get", once_signalled(Exchange.get))
        with pytest.raises(GenerationError, match="pass for an end") as caught:
            next(stream)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught.value.__cause__ is end
    assert tts.generate_audio("hi")


# --- turns ----------------------------------------------------------------------------------------------------------


def test_who_waits_reads_for_the_others_and_leaves_them_a_reader(
    pair: tuple[Channel, socket.socket], background: Spawn
) -> None:
    channel, far = pair
    first, second = channel.exchange(), channel.exchange()
    reading: list[str] = []
    original = channel._take

    def take() -> bool:
        reading.append(threading.current_thread().name)
        return original()

    channel.reading._take = take  # type: ignore[union-attr]
    one = background(lambda: first.get(20))
    wait_until(lambda: channel.reading._awaited is first._inbox)  # type: ignore[union-attr]
    two = background(lambda: second.get(20))

    def say(exchange: Exchange) -> None:
        far.sendall(protocol.encode({"type": "item", "id": exchange.number, "value": 1}, 0))

    say(second)
    assert two.result()
    assert reading == [one._thread.name], "the first, for the second"
    again = background(lambda: second.get(20))
    say(first)
    assert one.result()
    say(second)
    assert again.result(), "read by the attendant, since nobody else did"
    wait_until(lambda: not channel.reading._reader)  # type: ignore[union-attr]


def test_a_sender_that_does_not_let_go_keeps_no_other_connection_from_being_read(
    pair: tuple[Channel, socket.socket], background: Spawn
) -> None:
    channel, far = pair
    sends, let_go = threading.Event(), threading.Event()

    def send() -> None:
        with channel._sending:
            sends.set()
            let_go.wait(20)

    sending = background(send)
    assert sends.wait(10)
    far.close()
    wait_until(lambda: channel.closed)
    near, other = socket.socketpair()
    near.settimeout(None)
    second = Channel(near)
    second.begin()
    exchange = second.exchange()
    other.sendall(protocol.encode({"type": "item", "id": exchange.number, "value": 1}, 0))
    wait_until(lambda: not exchange._inbox.empty())  # by the attendant, which is the same
    assert not channel.ended.is_set(), "nobody closes what is written to"
    let_go.set()
    sending.result()
    assert channel.ended.wait(10)
    other.close()
    assert second.ended.wait(10)


def test_what_has_its_number_by_now_is_not_read(pair: tuple[Channel, socket.socket]) -> None:
    channel, _ = pair
    exchange, number = channel.exchange(), channel._sock.fileno()
    anothers, says = socket.socketpair()
    says.sendall(b"not for us")

    class Meanwhile:
        def poll(self, milliseconds: int) -> list[tuple[int, int]]:
            os.dup2(anothers.fileno(), number)
            return []

    channel.reading._poll = Meanwhile()  # type: ignore[union-attr,assignment]
    assert exchange.get(20)[0]["type"] == "closed"
    assert channel.ended.wait(10)
    assert channel.stolen
    assert anothers.recv(20) == b"not for us"
    anothers.close(), says.close(), os.close(number)


def test_what_nobody_waits_for_is_read(tts: Any) -> None:
    with tts.stream_audio("hi", count=2_000) as stream:
        next(stream)
        worker = tts._workers.all()[0]
        assert all(tts.generate_audio("hi") for _ in range(20))
        os.kill(worker.process.pid, signal.SIGKILL)
        wait_until(lambda: not worker.alive)
        with pytest.raises(WorkerCrashedError):
            list(stream)


def test_a_cancel_and_a_deadline_wake_who_reads(tts: Any, tmp_path: Path) -> None:
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    began = time.monotonic()
    with pytest.raises(CallCancelled):
        for _ in tts.stream_audio("hi", count=10**9, cancel=token):
            pass
    assert time.monotonic() - began < 5
    threading.Timer(0.1, (gate := tmp_path / "gate").touch).start()
    assert tts.slow(str(gate)) == "done"


@pytest.mark.parametrize("seconds", [1e7, 1e12, math.inf])
def test_patience_may_be_longer_than_the_system_counts(
    pair: tuple[Channel, socket.socket], background: Spawn, seconds: float
) -> None:
    channel, far = pair
    leader, follower = channel.exchange(), channel.exchange()
    waiting = [background(lambda e=e: e.get(seconds)[0]["value"]) for e in (leader, follower)]
    wait_until(lambda: channel.reading._awaited is not None)  # type: ignore[union-attr]
    for exchange in (leader, follower):
        far.sendall(protocol.encode({"type": "result", "id": exchange.number, "value": exchange.number}, 0))
    assert [some.result(10) for some in waiting] == [leader.number, follower.number]


def test_a_connection_is_read_although_the_last_other_ends_while_it_is_opened(
    pair: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = attendant.Attendant.add

    def add_late(self: attendant.Attendant, descriptor: int, read: Callable[[], object]) -> bool:
        monkeypatch.undo()
        pair[0]._end()  # as a signal's handler may that closes a binding
        return add(self, descriptor, read)

    monkeypatch.setattr(attendant.Attendant, "add", add_late)
    near, far = socket.socketpair()
    channel = Channel(near)
    channel.begin()
    exchange = channel.exchange()
    far.sendall(protocol.encode({"type": "result", "id": exchange.number, "value": 1}, 0))
    wait_until(lambda: exchange.over)  # nobody waits for it
    far.close()
    assert channel.ended.wait(10)


def test_nothing_reads_when_all_is_closed(folder: Path) -> None:
    def attendants() -> int:
        return sum(thread.name == "lollms-attendant" for thread in threading.enumerate())

    wait_until(lambda: not attendants())
    with LollmsTTSBindingManager(folder).require_binding("read", isolated=True) as tts:
        assert tts.generate_audio("hi")
        assert attendants() == 1
    wait_until(lambda: not attendants())


def test_a_forked_child_leaves_its_parents_connection_alone(pair: tuple[Channel, socket.socket]) -> None:
    channel, far = pair
    exchange = channel.exchange()
    if not (pid := os.fork()):
        channel.forget()
        os._exit(7 if exchange.get(5)[0]["type"] == channel.exchange().get(5)[0]["type"] == "closed" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    far.sendall(protocol.encode({"type": "item", "id": exchange.number, "value": 1}, 0))
    wait_until(lambda: not exchange._inbox.empty())  # by the attendant, which is the parent's
    assert exchange.get(5)[0]["value"] == 1


# --- all at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_thread", [False, True])
def test_threads_that_ask_at_once_get_what_is_theirs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, by_thread: bool
) -> None:
    if by_thread:  # as where the system has no epoll
        monkeypatch.setattr(attendant, "HERE", False)
    with LollmsTTSBindingManager(folder).require_binding("read", isolated=True) as tts:
        at_once(tts, 0.7)


@pytest.mark.full
def test_threads_that_ask_at_once_for_long_get_what_is_theirs(tts: Any) -> None:
    at_once(tts, 30.0)


def at_once(tts: Any, seconds: float) -> None:
    """Calls, streams, large results and cancelled calls by eight threads; each gets its own, and none waits for ever."""
    until, counts, errors = time.monotonic() + seconds, [0] * 8, []
    worker = tts._workers.all()[0]

    def ask(me: int) -> None:
        some = random.Random(me)
        while time.monotonic() < until or not counts[me]:
            what = some.randrange(5)
            if what == 0:
                number = some.randrange(1, 90)
                with tts.stream_audio("hi", count=number) as stream:
                    got = [chunk.text for chunk in stream] if some.random() < 0.7 else [next(stream).text]
                assert got == [str(n) for n in range(len(got))]
            elif what == 1:
                number = some.randrange(40)
                assert tts.pieces(number) == [b"%d" % n for n in range(number)]
            elif what == 2 and some.random() < 0.1:
                assert len(tts.whole(9_000_000)) == 9_000_044
            elif what == 3:
                token = CancelToken()
                timer = threading.Timer(some.uniform(0, 0.005), token.cancel)
                timer.start()
                with pytest.raises(CallCancelled):
                    for _ in tts.stream_audio("hi", count=10**9, cancel=token):
                        pass
            else:
                voice = "".join(some.choices("abc", k=5))
                assert tts.generate_audio("hi", ratio=voice).provenance.options["ratio"] == voice
            counts[me] += 1

    def run(me: int) -> None:
        try:
            ask(me)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(me,), daemon=True) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 30)
    assert not errors, errors
    assert all(counts), counts
    assert not any(thread.is_alive() for thread in threads)
    assert tts._workers.all() == [worker]
    wait_until(lambda: not worker.channel.exchanges)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[attendant.Attendant, int]]:
    """An attendant whose descriptors a program has closed, and one that it has opened since, under the same number."""
    monkeypatch.setattr(attendant, "_LOOK", 0.05)
    monkeypatch.setattr(attendant, "_lost", set())
    made = attendant.Attendant()
    number, bell = made._epoll.fileno(), made._bell
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number)
    for each in (null, bell._out.number, bell._in.number):
        os.close(each)
    yield made, number
    made._epoll.close()


def test_what_an_attendant_has_lost_is_not_closed(lost: tuple[attendant.Attendant, int]) -> None:
    made, number = lost
    with socket.socket() as some:

        def read() -> None: ...

        made._reads[some.fileno()] = read
        assert made.remove(some.fileno(), read), "the last one"
    wait_until(lambda: attendant._lost)
    assert stat.S_ISCHR(os.fstat(number).st_mode), "what has its number is as it was"
    assert attendant._lost == {made}, "which keeps Python from closing it"


def test_another_attendant_is_made_where_one_has_lost_what_it_sleeps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendant, "_LOOK", 0.5)
    monkeypatch.setattr(attendant, "_attendant", None)
    monkeypatch.setattr(attendant, "_lost", set())

    def read() -> None: ...

    near, far = socket.socketpair()
    with near, far:
        before = {*threading.enumerate()}
        first = attendant.engage(near.fileno(), read)
        (thread,) = (t for t in threading.enumerate() if t not in before and t.name == "lollms-attendant")
        number = first._epoll.fileno()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, number)
        os.close(null)
        second = attendant.engage(far.fileno(), read)
        assert second is not first
        assert attendant._lost == {first}
        with pytest.raises(OSError, match="Bad file descriptor"):
            attendant.engage(1 << 20, read)
        attendant.dismiss(far.fileno(), read, second)
        assert second._ended
        assert stat.S_ISCHR(os.fstat(number).st_mode)
        thread.join(10)
        assert not thread.is_alive()
        first._epoll.close()


def test_what_cannot_be_watched_is_told_and_costs_nobody_the_attendant(tmp_path: Path) -> None:
    def read() -> None: ...

    near, far = socket.socketpair()
    with near, far, (tmp_path / "file").open("wb") as file:
        there = attendant.engage(near.fileno(), read)
        with pytest.raises(PermissionError):  # for a file, as it would be for one more than the system has room for
            attendant.engage(file.fileno(), read)
        assert there.well
        assert attendant.engage(far.fileno(), read) is there
        for each in (near, far):
            attendant.dismiss(each.fileno(), read, there)


def test_the_attendant_ends_quietly_where_its_descriptor_is_another_s_by_now() -> None:
    before = {*threading.enumerate()}
    made = attendant.Attendant()
    (thread,) = {*threading.enumerate()} - before
    number = made._epoll.fileno()
    other = os.open(os.devnull, os.O_RDWR)
    os.dup2(other, number)
    try:
        made._bell.ring()  # it sleeps in what was there before, and would do so again
        thread.join(10)
        assert not thread.is_alive()
    finally:
        os.close(other)
        made._epoll.close()
        made._bell.close()
