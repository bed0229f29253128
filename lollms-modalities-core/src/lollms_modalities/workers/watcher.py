"""Kills the workers of a host that is gone: a process of its own, since a worker deep in native code hears nothing.

``python watcher.py HOST_PID`` reads lines from standard input, which only the host can write: ``+PID`` a worker was
started, ``-PID`` it has ended. When the host ends, however it does, all that is left of each worker's process group is
killed. Uses the standard library's smallest part, to be small itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys


def watch(host: int) -> None:
    """Until the host is gone."""
    workers: set[int] = set()
    rest = b""
    # Another process that the host forked may keep our input open: so the parent is looked at, too.
    while os.getppid() == host:
        if not select.select([0], [], [], 0.5)[0]:
            continue
        data = os.read(0, 4096)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            (workers.add if line[:1] == b"+" else workers.discard)(int(line[1:]))
    for pid in workers:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended by itself
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]))
