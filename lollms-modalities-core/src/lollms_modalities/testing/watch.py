"""What a binding does besides its work: connections, files that it opens, and what it keeps."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
_watchers: list[Watcher] = []
_hooked = False


class Watcher:
    """What happened meanwhile.

    Attributes:
        connections: addresses beyond this machine that were connected to or looked up.
        opened: names of the files that were opened.
    """

    def __init__(self) -> None:
        self.connections: list[str] = []
        self.opened: list[str] = []


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
        for watcher in _watchers:
            watcher.opened.append(os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else str(args[0]))
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


def use(pids: tuple[int, ...] = ()) -> Use:
    """What this process holds, and those."""
    import psutil

    gc.collect()
    processes = [psutil.Process(pid) for pid in (os.getpid(), *pids)]
    return Use(
        sum(p.memory_info().rss for p in processes),
        threading.active_count() + sum(p.num_threads() for p in processes[1:]),
        sum(p.num_fds() if os.name == "posix" else 0 for p in processes),
    )
