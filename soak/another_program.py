"""Another's program, which listens: a free port for it, and the time that it takes until it answers."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def running(
    command: list[str], folder: Path, environment: Mapping[str, str], answers: Callable[[], object], seconds: float
) -> Iterator[None]:
    """It runs in that folder, and has answered; what it prints goes into ``folder/printed``.

    Args:
        answers: asks it; an ``OSError`` is that it does not listen yet.
        seconds: that its start may take.

    Raises:
        RuntimeError: it has ended, or does not answer in time; with the end of what it printed.
    """
    with (folder / "printed").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            until = time.monotonic() + seconds
            while not _answers(answers):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((folder / "printed").read_text()[-3000:])
                time.sleep(1)
            yield
        finally:
            process.terminate()
            process.wait(60)


def _answers(asked: Callable[[], object]) -> bool:
    try:
        asked()
    except OSError:
        return False
    return True
