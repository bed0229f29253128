"""Kills a worker whose connection over a network has ended: a process of its own, as ``watcher`` is at the host.

``python link_watcher.py CONNECTION GROUP``: the worker's connection, of which the system tells the end without
anything being read, and its process group. A worker deep in native code would not notice. When the worker has ended,
its end of our standard input is closed, and what it has started and left is killed. Uses the standard
library's smallest part.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

_CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def watch(connection: int, group: int) -> None:
    """Until either has ended."""
    poll = select.poll()
    poll.register(connection, _CLOSED)
    poll.register(0, select.POLLHUP)
    poll.poll()
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended by itself
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]))
