"""A binding that only an environment has: served like the others, in that environment's Python."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lollms_modalities import LollmsTTSBindingManager
from lollms_modalities.environments.changing import create_environment
from lollms_modalities.environments.environment import Environment
from lollms_server.room.callers import TERMINAL, Caller
from lollms_server.room.configuration import Configuration
from lollms_server.room.serving import catalogue_of
from rooms import OpenRoom
from tiny_wheels import make_beep, make_sound

pytestmark = pytest.mark.full


@pytest.fixture
def beep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """The environment of a binding that is installed nowhere else."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    make_beep(tmp_path / "wheels", '[variables]\nBEEP_TONE = "high"\n')
    make_sound(tmp_path / "index")
    places = [str(tmp_path / "index"), os.environ.get("LOLLMS_WHEELS", ""), os.environ.get("PIP_FIND_LINKS", "")]
    monkeypatch.setenv("PIP_FIND_LINKS", " ".join(filter(None, places)))
    made = create_environment("beep", source=tmp_path / "wheels")
    LollmsTTSBindingManager().refresh()
    yield made
    monkeypatch.undo()
    LollmsTTSBindingManager().refresh()


NAMED = '[models.alarm]\nbinding = "beep"\n'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "beep"),
        (NAMED, "alarm"),
        (f"{NAMED}isolated = false\n", "alarm"),
        (f'{NAMED}environment = "beep"\n', "alarm"),
    ],
    ids=["nothing named", "named", "not isolated", "with its environment"],
)
def test_it_is_served_where_it_is(
    beep: Environment, opened: OpenRoom, configure: Callable[..., Configuration], me: Caller, text: str, name: str
) -> None:
    assert ("tts", name) in catalogue_of(configure(text)).served

    async def main() -> None:
        async with opened(text) as room:
            chosen = room.find(name, "tts", me)
            made = await room.call(chosen, me, "generate_audio", "hello")
            assert made.provenance.usage["tone"] == "high", "with the variables of its recipe"
            assert made.provenance.usage["home"].startswith(str(beep.folder))
            (row,) = [row for row in room.state(TERMINAL) if row["name"] == name]
            assert row["loaded"]
            assert row["memory"] > 5_000_000
            assert await room.unload(chosen, TERMINAL)
            assert all(row["memory"] == 0 for row in room.state(TERMINAL))

    asyncio.run(main())
