"""What a binding does besides its work: connections, files that it opens, and what it keeps."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_SUBREAPER = 36
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
_watchers: list[Watcher] = []
_hooked = False


class Watcher:
    """What happened meanwhile.

    Attributes:
        connections: addresses beyond this machine that were connected to or looked up.
        opened: names of the files that were opened.
        written: of these, those that were opened to be written.
        commands: the arguments of the programs that were started.
    """

    def __init__(self) -> None:
        self.connections: list[str] = []
        self.opened: list[str] = []
        self.written: list[str] = []
        self.commands: list[list[str]] = []


@contextmanager
def watching() -> Iterator[Watcher]:
    """Watch this process (PEP 578: audit hooks cannot be taken back, so there is one, which mostly looks away)."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked = True
    watcher = Watcher()
    _watchers.append(watcher)
    try:
        yield watcher
    finally:
        _watchers.remove(watcher)


def _heard(event: str, args: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    if event == "open":
        name = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else str(args[0])
        writes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        for watcher in _watchers:
            watcher.opened.append(name)
            if writes and not isinstance(args[0], int):  # a pipe's end is opened by its number
                watcher.written.append(name)
    elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        words = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
        for watcher in _watchers:
            watcher.commands.append([os.fsdecode(w) for w in words if isinstance(w, (str, bytes, os.PathLike))])
    elif event == "os.system":
        for watcher in _watchers:
            watcher.commands.append([os.fsdecode(args[0])])
    elif event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        address = args[0] if event == "socket.getaddrinfo" else args[1]
        host = str(address[0] if isinstance(address, tuple) else address)
        local = isinstance(address, (str, bytes)) and event != "socket.getaddrinfo"  # a Unix socket
        if not local and not host.startswith(_LOOPBACK):
            for watcher in _watchers:
                watcher.connections.append(host)


class Use(NamedTuple):
    """What processes hold: bytes of memory, threads, descriptors."""

    memory: int
    threads: int
    descriptors: int

    def __sub__(self, other: Use) -> Use:
        return Use(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def __add__(self, other: tuple[int, ...]) -> Use:  # type: ignore[override]
        return Use(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def use(pids: tuple[int, ...] = (), *, collect: bool = True) -> Use:
    """What this process holds, and those; after what can be collected here has been, unless told otherwise."""
    import psutil

    if collect:
        gc.collect()
    processes = [psutil.Process(pid) for pid in (os.getpid(), *pids)]
    return Use(
        sum(p.memory_info().rss for p in processes),
        threading.active_count() + sum(p.num_threads() for p in processes[1:]),
        sum(p.num_fds() if os.name == "posix" else 0 for p in processes),
    )


def family(pid: int | None = None) -> dict[int, str]:
    """The processes that come from this one (or ``pid``), by number: what they are, with their state."""
    import psutil

    found: dict[int, str] = {}
    for child in psutil.Process(pid).children(recursive=True):
        try:
            found[child.pid] = f"{child.name()} ({child.status()})"
        except psutil.NoSuchProcess:  # ended meanwhile, and waited for
            continue
    return found


@contextmanager
def orphans_kept() -> Iterator[None]:
    """What loses its parent meanwhile becomes this process's own child, to be seen (Linux: prctl(2))."""
    prctl: Any = None
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        if prctl is not None:
            prctl(_SUBREAPER, 0, 0, 0, 0)
