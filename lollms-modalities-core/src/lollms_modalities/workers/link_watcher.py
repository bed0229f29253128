"""Kills a worker whose connection over a network has ended: a process of its own, as ``watcher`` is at the host.

``python link_watcher.py CONNECTION GROUP HEART``: the worker's connection, of which the system tells the end without
anything being read, its process group, and the connection of the host's pulse, or -1. A worker deep in native code
would not notice, nor answer the pulse. When the worker has ended, its end of our standard input is closed, and what it
has started and left is killed. Uses the standard library's smallest part.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

_SILENCE = 15.0  # seconds without a pulse, where there is one, after which the host is gone
_FAREWELL = b"!"  # the host has ended the connection, whatever of it has arrived
_CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def watch(connection: int, group: int, heart: int) -> None:
    """Until either has ended; meanwhile each pulse is answered."""
    poll = select.poll()
    poll.register(connection, _CLOSED)
    poll.register(0, select.POLLHUP)
    if heart >= 0:
        os.set_blocking(heart, False)
        poll.register(heart, select.POLLIN)
    while True:
        found = {descriptor for descriptor, _ in poll.poll(None if heart < 0 else _SILENCE * 1000)}
        if found != {heart}:
            break
        try:
            asked = os.read(heart, 4096)
        except OSError:
            asked = b""
        if _FAREWELL in asked:
            break
        if not asked:  # how the connection itself does will be seen
            poll.unregister(heart)
            heart = -1
            continue
        with contextlib.suppress(OSError):
            os.write(heart, asked)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended by itself
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    watch(*map(int, sys.argv[1:]))
