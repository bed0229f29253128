"""What the system says of a server's connections: whether there are any, and how much of what was sent nobody took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
from serving import Server


def is_open(server: Server, port: int) -> bool:
    """Whether the server still has its end of the connection from that port."""
    connections = psutil.Process(server.process.pid).net_connections("tcp")
    return any(each.raddr and each.raddr.port == port for each in connections)


def filled(server: Server, port: int, ask: Callable[[], object]) -> None:
    """Ask for more, and take nothing, until the system keeps no more of the answers, and the server has to: or cuts it."""
    before, same = -1, 0
    for _ in range(3000):
        ask()
        time.sleep(0.01)
        now = _unsent(port)
        same = same + 1 if now == before > 0 else 0
        if same == 3 or (not now and not is_open(server, port)):
            return
        before = now
    raise AssertionError("the system keeps all of it")


def _unsent(port: int) -> int:
    """Bytes that the system keeps for the one who connected from that port."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, _, queues, *_ = line.split()
        if int(remote.rpartition(":")[2], 16) == port:
            return int(queues.partition(":")[0], 16)
    return 0
