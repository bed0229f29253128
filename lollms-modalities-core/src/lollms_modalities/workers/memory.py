"""How much memory a process takes, as Linux tells it."""

from __future__ import annotations

import os


def memory_of(pid: int | str = "self") -> int:
    """Bytes of a process in memory; 0 where that cannot be told."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # it has ended, or the system has no such files
        return 0


def memory_with_programs(pid: int) -> int:
    """The same with that of the programs that it runs, and of those that these run."""
    try:
        children = [word for task in os.listdir(f"/proc/{pid}/task") for word in _children(pid, task)]
    except OSError:
        return 0
    return memory_of(pid) + sum(memory_with_programs(int(child)) for child in children)


def _children(pid: int, task: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
            return file.read().split()
    except OSError:  # the thread has ended
        return []
