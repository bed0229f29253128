"""Workers over TCP: encrypted, known to each other, and told of a cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from cutting import Proxy
from distributions import install
from lollms_modalities import (
    BindingDependencyError,
    BindingNotFoundError,
    CallTimeout,
    LollmsTTSBindingManager,
    Spec,
    WorkerCrashedError,
    WorkerPolicy,
)
from lollms_modalities.workers import tcp
from lollms_modalities.workers.channel import Channel
from lollms_modalities.workers.exchange import Disconnected
from lollms_modalities.workers.listening import _STRANGERS, NUMBER, PULSE, _Door
from lollms_modalities.workers.protocol import CHUNK, HEAD, LARGEST_FIRST
from lollms_modalities.workers.tcp import TcpPlace
from lollms_modalities.workers.tls import TlsLink, make_identity, secure
from waiting import wait_until

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nasty")
    shutil.copy(SUPPORT / "nasty_bindings.py", folder)
    install(folder, "nasty", "[lollms_client.tts_bindings]\nnasty = nasty_bindings:NastyTTSBinding\n")
    return folder


Open = Callable[..., Any]


@pytest.fixture
def opened(folder: Path) -> Iterator[Open]:
    """Makes bindings that are closed at the end."""
    made: list[Any] = []

    def make(place: Any = None, **settings: Any) -> Any:
        place = place or TcpPlace(shares_files=True)
        policy = WorkerPolicy(grace=0.5)
        made.append(LollmsTTSBindingManager(folder).require_binding("nasty", place=place, policy=policy, **settings))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


def pid_of(tts: Any) -> int:
    return int(tts.generate_audio("who").provenance.usage["pid"])


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Proxied(TcpPlace):
    """Through something that passes on what both sides say until it is told to hold."""

    def __init__(self) -> None:
        super().__init__(shares_files=True)
        self.seen = bytearray()
        self.holds = False
        self._sockets: list[socket.socket] = []

    def connect(self, port: int, limit: float) -> socket.socket:
        there = super().connect(port, limit)
        there.settimeout(None)
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            near, _ = server.accept()
        for one, other in ((near, there), (there, near)):
            threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()
        self._sockets += [near, there]
        return ours

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self.holds and (data := one.recv(1 << 16)):
                self.seen += data[: 1 << 16]
                other.sendall(data)
            if self.holds:
                return
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # a thread that waits for it would keep it open
            sock.close()


# --- as a process ---------------------------------------------------------------------------------------------------


def test_a_binding_over_tcp_is_as_one_in_a_process(opened: Open) -> None:
    tts = opened(api_key="sesame-open")
    assert isinstance(tts._workers._workers[0].process.sock, TlsLink)
    assert len(tts.generate_audio("hi", do="size", size=10_000_000)) == 10_000_044
    assert tts.generate_audio("hi", do="sample", sample=os.urandom(9_000_001)).provenance.extra["sample"]
    assert len(list(tts.stream_audio("hi", count=200))) == 200
    with pytest.raises(WorkerCrashedError, match="exit code 3") as caught:
        tts.generate_audio("hi", do="exit", code=3)
    assert caught.value.last_lines == ["the engine says goodbye"]
    assert tts.generate_audio("hi")


def test_nothing_of_a_call_can_be_read_on_the_way(opened: Open) -> None:
    place = Proxied()
    with contextlib.closing(place):
        opened(place, api_key="sesame-open").generate_audio("a word")
        assert len(place.seen) > 1000
        for said in (b"sesame-open", b"a word", b"generate_audio", b"settings"):
            assert said not in place.seen


def test_nothing_secret_stands_where_others_can_read_it(opened: Open) -> None:
    keys: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tcp, "make_identity", lambda: keys.append((made := make_identity()).key) or made)
        pid = pid_of(opened())
    process = psutil.Process(pid)
    told = "\0".join([*process.cmdline(), *process.environ().values()])
    assert len(keys) == 2
    assert not any(line in told for key in keys for line in key.split("\n")[1:-2])


class Watched:
    """A TLS object, which notes whether a thread uses it while another does."""

    def __init__(self, tls: Any) -> None:
        self._tls = tls
        self._user: int | None = None
        self.used = 0
        self.at_once = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def use(*args: Any) -> Any:
            self.at_once += self._user is not None
            self.used += 1
            self._user = threading.get_ident()
            time.sleep(0)  # others may come now
            try:
                return getattr(self._tls, name)(*args)
            finally:
                self._user = None

        return use


@pytest.fixture
def secured() -> Iterator[tuple[TlsLink, TlsLink]]:
    """Both ends of a connection behind TLS."""
    identities = make_identity(), make_identity()
    links: dict[bool, TlsLink] = {}

    def begin(sock: socket.socket, server: bool) -> None:
        links[server] = secure(sock, identities[server], identities[not server].certificate, server=server, limit=30)

    ends = socket.socketpair()
    other = threading.Thread(target=begin, args=(ends[1], True))
    other.start()
    begin(ends[0], False)
    other.join()
    yield links[False], links[True]
    for link in links.values():
        link.close()


def test_one_thread_at_a_time_uses_a_tls_object(secured: tuple[TlsLink, TlsLink]) -> None:
    link, far = secured
    watched = link._tls = Watched(link._tls)  # type: ignore[assignment]
    size, said, heard = 4_000_000, os.urandom(1000), bytearray()
    over = threading.Event()

    def read() -> None:
        while len(heard) < size:
            heard.extend(link.recv(5000))

    def send(to: TlsLink) -> None:
        sent = 0
        while sent < size:
            sent += to.sendmsg([said[sent % 1000 :]])

    def take() -> None:
        taken = 0
        while taken < size:
            taken += len(far.recv(1 << 16))

    def look() -> None:
        while not over.wait(0.0001):
            link.pending()

    looking = threading.Thread(target=look)
    threads = [threading.Thread(target=fn) for fn in (read, lambda: send(link), lambda: send(far), take)]
    for thread in (looking, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    looking.join()
    assert heard == said * (size // 1000)
    assert (watched.at_once, watched.used > 1000) == (0, True)


def test_a_handler_may_write_while_its_thread_reads(secured: tuple[TlsLink, TlsLink]) -> None:
    link, far = secured

    class Interrupted(Watched):
        def __getattr__(self, name: str) -> Callable[..., Any]:
            if name == "read" and not self.used:
                self.used += 1
                signal.raise_signal(signal.SIGUSR1)
            return getattr(self._tls, name)  # type: ignore[no-any-return]

    def handler(number: int, frame: Any) -> None:
        assert link._using.acquire(blocking=False), "it would wait for ever"
        link._using.release()
        link.sendmsg([b"from a handler"])

    link._tls = Interrupted(link._tls)  # type: ignore[assignment]
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        far.sendmsg([b"hello"])
        assert link.recv(100) == b"hello"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert far.recv(100) == b"from a handler"


@pytest.mark.full
def test_an_environment_is_one_of_this_machine_though_files_are_apart(
    opened: Open, folder: Path, tmp_path: Path
) -> None:
    made = tmp_path / "strange"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    (site,) = made.glob("lib/python3*/site-packages")
    (site / "here.pth").write_text(
        "\n".join([*(p for p in sys.path if p.endswith(("-packages", "/src"))), str(folder)])
    )
    for place in (TcpPlace(), "tcp", TcpPlace(shares_files=True)):
        tts = opened(place, environment=made)
        assert psutil.Process(pid_of(tts)).cmdline()[0] == str(made / "bin" / "python")
        assert tts.environment == f"{made} at tcp"


def test_an_environment_that_is_not_there_is_told(opened: Open) -> None:
    with pytest.raises(BindingNotFoundError, match="There is no environment 'nowhere'"):
        opened(TcpPlace(), environment="nowhere")


# --- strangers ------------------------------------------------------------------------------------------------------


class Listening:
    """A worker that waits for its host."""

    def __init__(self) -> None:
        self.host = make_identity()
        self.starter, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lollms_modalities.workers.listening", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], start_new_session=True, stderr=subprocess.PIPE,
            )  # fmt: skip
        self.port, self.certificate = tcp.tell_worker(
            self.starter, self.host.certificate, address="127.0.0.1", limit=60
        )

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def close(self) -> str:
        self.starter.close()
        with self.process:
            return self.process.communicate(timeout=30)[1].decode()


def test_strangers_are_not_served_and_hold_up_nobody() -> None:
    listening = Listening()
    with contextlib.closing(listening):
        silent = listening.connect()
        parked = listening.connect()
        parked.sendall(PULSE + bytes(NUMBER))  # of which the host knows nothing
        half = listening.connect()
        half.sendall(PULSE)
        for garbage in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\xff\xff" + os.urandom(70_000),
            b"\0" * 8,
            PULSE.upper() + bytes(NUMBER),
            b"lollms and no pulse at all, but long enough for one",
        ):
            with listening.connect() as sock, contextlib.suppress(ConnectionError):
                sock.sendall(garbage)
                while sock.recv(1 << 16):
                    pass
        with pytest.raises(OSError, match=r"(?i)alert|closed|expected|decrypt|unknown|certificate"):
            tcp.reach_worker(listening.connect(), make_identity(), listening.certificate, {}, limit=30)
        with pytest.raises(ConnectionError, match="not the one that was expected"):
            tcp.reach_worker(listening.connect(), listening.host, make_identity().certificate, {}, limit=30)
        link, told = tcp.reach_worker(listening.connect(), listening.host, listening.certificate, {"A": "1"}, limit=30)
        assert told["core"]
        assert listening.starter.recv(1) == b"", "it has let us in"
        with pytest.raises(ConnectionError):
            listening.connect()
        parked.settimeout(30)
        assert parked.recv(1) == b"", "it is not taken for the pulse"
        for sock in (silent, parked, half, link):
            sock.close()
        assert listening.process.wait(30) == -9, "it ends with its host"


def test_who_is_let_in_stays_though_his_knock_comes_when_the_door_is_shut() -> None:
    worker, host = make_identity(), make_identity()
    told = {"certificate": worker.certificate, "key": worker.key, "other": host.certificate}
    door = _Door({"address": "127.0.0.1", "limit": 30.0, **told})
    inside = threading.Event()
    ring, knocks = door._ring, 0

    class Late(contextlib.closing):  # type: ignore[type-arg]
        """The first to knock, which is the pulse, does so when he is inside already: a busy machine had held him up."""

        def send(self, data: bytes) -> int:
            nonlocal knocks
            knocks += 1
            if knocks == 1:
                inside.wait(30)
            return ring.send(data)

    door._ring = Late(ring)  # type: ignore[assignment]

    def reach() -> None:
        sock = socket.create_connection(("127.0.0.1", door.port))
        reached.append(tcp.reach_worker(sock, host, worker.certificate, {}, limit=30)[0])

    reached: list[TlsLink] = []
    reaching = threading.Thread(target=reach)
    reaching.start()
    starter, ours = socket.socketpair()
    with starter, ours:
        link, _, heart = door.open(starter)
    inside.set()
    reaching.join()
    for _ in range(_STRANGERS):  # until nobody is under examination any more
        assert door._strangers.acquire(timeout=30)
    assert heart is not None
    try:
        assert (knocks, link.fileno() >= 0, heart.fileno() >= 0) == (2, True, True)
    finally:
        for each in (heart, link, *reached):
            each.close()


@pytest.mark.parametrize("address", ["192.0.2.1", "nonsense"])
def test_an_address_that_is_not_of_this_machine_is_told(opened: Open, address: str) -> None:
    with pytest.raises(WorkerCrashedError, match=f"It cannot listen at '{address}'") as caught:
        opened(TcpPlace(address))
    assert len(vars(caught.value)["last_lines"]) == 1, "no traceback"


def test_a_worker_whose_starter_is_gone_ends() -> None:
    listening = Listening()
    assert "Whoever started this worker is gone" in listening.close()
    assert listening.process.returncode == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [(b"SSH-2.0-OpenSSH_9.2\r\n", "it began with b'SSH-2.0"), (b"", "closed the connection"), (None, "in time")],
)
def test_what_answers_instead_is_told(said: bytes | None, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = socket.create_connection(server.getsockname())
        there, _ = server.accept()
        with there:
            if said is not None:
                there.sendall(said)
                there.shutdown(socket.SHUT_WR)
            with pytest.raises(OSError, match=told):
                secure(
                    sock, make_identity(), make_identity().certificate, server=False, limit=0.3 if said is None else 30
                )
        assert sock.fileno() == -1


def test_a_greeting_before_the_first_frame_is_told(folder: Path) -> None:
    class Greeted(TcpPlace):
        def start(self, spec: Spec, *, own: bool) -> Any:
            running = super().start(spec, own=own)
            ours, theirs = socket.socketpair()
            theirs.sendall(b"Last login: Friday.\nWelcome!\n")
            theirs.shutdown(socket.SHUT_WR)
            running.sock.close()
            theirs.close()
            running.sock = ours
            return running

    with pytest.raises(WorkerCrashedError, match=r"it began with b'Last login: Friday\.\\nWelcome!"):
        LollmsTTSBindingManager(folder).require_binding("nasty", place=Greeted())


def test_what_it_said_before_it_was_gone_is_heard_though_nothing_could_be_sent() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    theirs.sendall(b"Last login: Friday.\nWelcome!\n")
    theirs.close()
    with pytest.raises(Disconnected):  # before anything was read
        channel.exchange().send({"type": "hello"})
    channel.begin()
    assert channel.ended.wait(10)
    assert channel.fault.startswith("it began with b'Last login")


@pytest.mark.parametrize(
    ("said", "told"),
    [(HEAD.pack(LARGEST_FIRST + 1, 0), "is no frame"), (b"Welcome!", "b'Welcome!', which is no frame"), (HEAD.pack(2, CHUNK + 1), "a frame is too large"),
     (HEAD.pack(2, 0) + b"[]", "holds no message"), (HEAD.pack(12, 0) + b'{"type":"q"}', "holds no message")],
)  # fmt: skip
def test_nothing_is_taken_in_before_it_is_bounded(said: bytes, told: str) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(ours)
        theirs.sendall(said)
        before = psutil.Process().memory_info().vms
        channel.begin()
        assert channel.ended.wait(30), "though the other side has not closed"
        assert told in channel.fault
        assert psutil.Process().memory_info().vms - before < 4 << 20
        assert theirs.recv(1) == b""


def test_what_is_missing_is_told(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(BindingDependencyError, match=r"lollms-modalities-core\[network\]"):
        opened()


# --- cuts -----------------------------------------------------------------------------------------------------------


def test_a_worker_that_hears_nothing_ends_when_its_connection_does(opened: Open) -> None:
    tts = opened()
    pid = pid_of(tts)

    def speak() -> None:
        with pytest.raises(WorkerCrashedError):
            tts.generate_audio("hi", do="sleep with the GIL", seconds=600.0)

    speaking = threading.Thread(target=speak)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("os.killpg", lambda *args: None)  # the host, as if it were on another machine
        speaking.start()
        wait_until(lambda: tts._workers._workers[0].calls)
        tts._workers._workers[0].channel.close()
        wait_until(lambda: is_gone(pid))
    speaking.join(30)


def test_a_connection_that_takes_nothing_any_more_is_told(opened: Open) -> None:
    place = Proxied()
    with contextlib.closing(place):
        tts = opened(place)
        tts.generate_audio("hi")
        place.holds = True
        began = time.monotonic()
        with pytest.raises(WorkerCrashedError, match="was cut"):
            tts.generate_audio("hi", do="sample", sample=bytes(40_000_000))
        assert time.monotonic() - began < 30, "not the minutes that TCP takes by itself"
        place.holds = False
        assert tts.generate_audio("hi"), "by another worker"


class Between(TcpPlace):
    """Through a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(shares_files=True)
        self._proxy = proxy

    def connect(self, port: int, limit: float) -> socket.socket:
        return super().connect(self._proxy.port_of(port), limit)


@pytest.mark.full  # a worker without a pulse takes a quarter of a minute to end
def test_something_between_that_acknowledges_and_passes_nothing_on_is_told(
    opened: Open,
) -> None:
    with contextlib.closing(Proxy()) as proxy:
        tts = opened(Between(proxy))
        pid = pid_of(tts)
        threading.Timer(0.5, lambda: proxy.cut(silently=True)).start()
        began = time.monotonic()
        with pytest.raises(WorkerCrashedError, match=r"was cut \(nothing came through"):
            tts.generate_audio("hi", do="sleep", seconds=600.0)
        assert time.monotonic() - began < 12, "5 s after the cut, and what a busy machine adds"
        wait_until(lambda: is_gone(pid))
        assert tts.generate_audio("hi"), "by another worker, through what is whole again"
        tts.close()
    wait_until(lambda: all(thread.name != "lollms-pulse" for thread in threading.enumerate()))


@pytest.mark.full
def test_a_worker_without_a_pulse_ends(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Proxy()) as proxy:
        tts = opened(Between(proxy))
        pid = pid_of(tts)
        monkeypatch.setattr("os.killpg", lambda *args: None)  # the host, as if it were on another machine
        proxy.cut(silently=True)
        wait_until(lambda: is_gone(pid), 60)


@pytest.mark.full
def test_a_worker_that_takes_nothing_in_ends_with_its_connection(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    tts = opened()
    pid = pid_of(tts)
    monkeypatch.setattr("os.killpg", lambda *args: None)  # the host, as if it were on another machine
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(CallTimeout):
        tts.generate_audio("hi", do="sample", sample=bytes(50_000_000), timeout=0.3)
    wait_until(lambda: is_gone(pid), 10)  # without a pulse it would after a quarter of a minute


@pytest.mark.full
def test_an_engine_that_holds_the_lock_of_python_is_not_taken_for_a_cut(opened: Open) -> None:
    tts = opened()
    pid = pid_of(tts)
    tts.generate_audio("hi", do="sleep with the GIL", seconds=20.0)
    assert pid_of(tts) == pid


def test_where_no_second_connection_is_let_through_there_is_no_pulse(opened: Open) -> None:
    class Once(TcpPlace):
        def connect(self, port: int, limit: float) -> socket.socket:
            if hasattr(self, "connected"):
                raise ConnectionRefusedError("one is enough")
            self.connected = True
            return super().connect(port, limit)

    def no_pulse() -> bool:
        return all(thread.name != "lollms-pulse" for thread in threading.enumerate())

    wait_until(no_pulse)  # that of an earlier test ends with its next beat
    assert opened(Once(shares_files=True)).generate_audio("hi")
    assert no_pulse()


@pytest.mark.full
@pytest.mark.parametrize("does", ["waits", "sends"])
def test_a_network_that_is_cut_is_told_within_seconds(opened: Open, does: str) -> None:
    class Noted(TcpPlace):
        def connect(self, port: int, limit: float) -> socket.socket:
            self.port = port
            return super().connect(port, limit)

    place = Noted(shares_files=True)
    tts = opened(place)
    pid = pid_of(tts)
    rules = [["INPUT", "-i", "lo", "-p", "tcp", f"--{end}port", str(place.port), "-j", "DROP"] for end in ("s", "d")]
    asked = {"do": "sleep", "seconds": 600.0} if does == "waits" else {"do": "sample", "sample": bytes(20_000_000)}
    errors: list[Any] = []

    def speak() -> None:
        with pytest.raises(WorkerCrashedError) as caught:
            tts.generate_audio("hi", **asked)
        errors.append((time.monotonic(), caught.value))

    speaking = threading.Thread(target=speak)
    for rule in rules:
        subprocess.run(["iptables", "-I", *rule], check=True)
    try:
        began = time.monotonic()
        speaking.start()
        speaking.join(60)
        wait_until(lambda: is_gone(pid))
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-D", *rule], check=True)
    ((when, error),) = errors
    # Both ends notice it; on one machine that of the worker, which then kills itself, may be known first.
    assert "was cut" in str(error) or "was ended by SIGKILL" in str(error)
    assert when - began < 8, "5 s, and what a busy machine adds"
    assert tts.generate_audio("hi")


@pytest.mark.full
def test_the_isolation_suite_holds_over_tcp() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "over_tcp", "-p", "no:cacheprovider",
         str(Path(__file__).with_name("test_core_isolation.py"))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])},
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
