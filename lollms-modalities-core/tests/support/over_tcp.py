"""A pytest plug-in: what would run in a process of this machine runs there, too, and is reached over TCP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lollms_modalities.workers import finding_places, opening
from lollms_modalities.workers.tcp import TcpPlace


@pytest.fixture(autouse=True, scope="session")
def everything_over_tcp() -> Iterator[None]:
    """Its name is the process's, since messages tell where a binding is."""
    with pytest.MonkeyPatch.context() as patched:
        place = TcpPlace(shares_files=True)
        place.name = "process"
        for module in (finding_places, opening):
            patched.setattr(module, "PROCESS", place)
        patched.setattr("lollms_modalities.workers.places.PROCESS", place)
        started: list[object] = []
        start = TcpPlace.start
        patched.setattr(TcpPlace, "start", lambda *args, **kwargs: started.append(1) or start(*args, **kwargs))
        yield
        assert started, "nothing ran over TCP"
