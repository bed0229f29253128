"""The most memory that a process has had."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

SUPPORT = str(Path(__file__).parent)


def peak(process: int | str = "self") -> int:
    """Bytes. By Linux's own count of the program: ``ru_maxrss`` begins with what the process that started it had."""
    if sys.platform == "linux":
        return int(Path(f"/proc/{process}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
