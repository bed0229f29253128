"""A pytest plug-in: what would run in a process of this machine runs there, too, and is reached over TCP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lollms_modalities.workers import finding_places, opening, places
from lollms_modalities.workers.tcp import TcpPlace

_BEGIN = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import over_tcp; over_tcp.begin()\n"


def begin(patched: pytest.MonkeyPatch | None = None) -> None:
    """From now on it does. Its name is the process's, since messages tell where a binding is."""
    place = TcpPlace(shares_files=True)
    place.name = "process"
    for module in (finding_places, opening, places):
        (patched or pytest.MonkeyPatch()).setattr(module, "PROCESS", place)


@pytest.fixture(autouse=True, scope="session")
def everything_over_tcp() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        begin(patched)
        patched.setenv("LOLLMS_TESTS_BEGIN", _BEGIN)
        started: list[object] = []
        start = TcpPlace.start
        patched.setattr(TcpPlace, "start", lambda *args, **kwargs: started.append(1) or start(*args, **kwargs))
        yield
        assert started, "nothing ran over TCP"
