"""Plug-ins under a server: listed, limited in time, counted when they fail, left out where the file says so."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import AudioChunk, GenerationError, LollmsTTSBindingManager, hookimpl, hooks
from lollms_server.commands.serving import _tell
from lollms_server.room import plugins
from lollms_server.room.callers import Caller
from lollms_server.room.room import Room
from prometheus_client import generate_latest
from rooms import OpenRoom, gate_model, notes


class Slow:
    """Its hook takes until it is let go, and then raises where that is wanted."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = 0

    @hookimpl
    def lollms_before_call(self, call: Any) -> None:
        self.asked += 1
        self.let_go.wait(60)


class Raises:
    @hookimpl
    def lollms_after_call(self, call: Any) -> None:
        raise RuntimeError("no")


class Own:
    """Raises a TimeoutError of its own, at once."""

    @hookimpl
    def lollms_before_call(self) -> None:
        raise TimeoutError("mine")


@pytest.fixture
def registered() -> Iterator[list[object]]:
    had: list[object] = [Slow(), Raises(), Own()]
    for plugin in had:
        hooks.register(plugin)
    yield had
    had[0].let_go.set()  # type: ignore[attr-defined]
    for plugin in had:
        hooks.unregister(plugin)


class Answers:
    """Answers streams; the item of that number waits until it is let go."""

    def __init__(self, number: int) -> None:
        self.let_go = threading.Event()
        self.number = number

    @hookimpl
    def lollms_answer_call(self, call: Any) -> Iterator[AudioChunk] | None:
        return self._items() if call.verb == "stream_audio" else None

    def _items(self) -> Iterator[AudioChunk]:
        for number in range(4):
            if number == self.number:
                self.let_go.wait(60)
            yield AudioChunk(bytes(200), 8000, 1, f"answered {number}")


class Around:
    """Is around the others, and waits for as long before or after."""

    def __init__(self, when: str) -> None:
        self.let_go = threading.Event()
        self.when = when

    @hookimpl(wrapper=True)
    def lollms_after_call(self) -> Any:
        if self.when == "before":
            self.let_go.wait(60)
        given = yield
        if self.when == "after":
            self.let_go.wait(60)
        return given


def failures(room: Room) -> dict[str, int]:
    lines = generate_latest(room.metrics.registry).decode().splitlines()
    counted: Counter[str] = Counter()
    for line in lines:
        if line.startswith("lollms_plugin_failures_total"):
            counted[line.partition("hook=")[2].split('"')[1]] += int(float(line.rpartition(" ")[2]))
    return dict(counted)


def speak(room: Room, caller: Caller) -> Any:
    return room.call(room.find("gate", "tts", caller), caller, "generate_audio", "quick")


def test_a_hook_that_takes_too_long_is_left_behind(
    gate: Path, opened: OpenRoom, me: Caller, registered: list[Any]
) -> None:
    slow = registered[0]

    async def main() -> None:
        async with opened("[serve]\nhook_timeout = 0.2\n" + gate_model(gate)) as room:
            for _ in range(3):
                assert (await speak(room, me)).duration == 0.1
            assert slow.asked == 1, "a plug-in whose hook still runs is asked nothing more"
            assert failures(room) == {"lollms_before_call": 6, "lollms_after_call": 3}
            slow.let_go.set()
            while slow.asked == 1:
                await speak(room, me)
            assert notes(gate)[-1].startswith("end")

    asyncio.run(main())


def test_hooks_of_calls_elsewhere_run_here(gate: Path, opened: OpenRoom, me: Caller, registered: list[Any]) -> None:
    async def main() -> None:
        async with opened("[serve]\nhook_timeout = 0.2\n" + gate_model(gate, "")) as room:
            assert (await speak(room, me)).duration == 0.1
            assert failures(room) == {"lollms_before_call": 2, "lollms_after_call": 1}

    asyncio.run(main())


def test_they_are_listed_and_left_out(
    gate: Path, opened: OpenRoom, me: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    site = tmp_path / "plugins"
    points = "[lollms_client.plugins]\nnoisy = noisy_plugin:Noisy\nbroken = noisy_plugin:Nothing\n"
    install(site, "lollms_noisy", points)
    (site / "noisy_plugin.py").write_text(
        "from lollms_modalities import hookimpl\n"
        "class Noisy:\n"
        "    @hookimpl\n"
        "    def lollms_before_call(self):\n"
        "        raise RuntimeError\n"
    )
    monkeypatch.syspath_prepend(site)
    LollmsTTSBindingManager().refresh()
    hooks.replace(None)

    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            assert plugins.installed() == ["broken (lollms_noisy 1.0)", "noisy (lollms_noisy 1.0)"]
            with socket.create_server(("127.0.0.1", 0)) as listening:
                _tell(room, "127.0.0.1", listening, tls=False)
            assert "Plug-in: noisy (lollms_noisy 1.0)\n" in capsys.readouterr().err
            await speak(room, me)
            assert failures(room) == {"lollms_before_call": 1, "load": 1}
        hooks.replace(None)
        off = "[plugins.noisy]\nenabled = false\n[plugins.broken]\nenabled = false\n"
        async with opened(off + gate_model(gate)) as room:
            assert plugins.installed() == []
            await speak(room, me)
            assert failures(room) == {}

    try:
        asyncio.run(main())
    finally:
        hooks.replace(None)


@contextmanager
def plugged(plugin: Any) -> Iterator[Any]:
    hooks.register(plugin)
    try:
        yield plugin
    finally:
        plugin.let_go.set()
        hooks.unregister(plugin)


def test_the_items_of_a_plugin_that_answers_are_limited_in_time(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened("[serve]\nhook_timeout = 0.3\n" + gate_model(gate)) as room:
            chosen = room.find("gate", "tts", me)
            with plugged(Answers(2)):
                stream = room.stream(chosen, me, "stream_audio", "quick")
                texts = [(await anext(stream)).text, (await anext(stream)).text]
                assert texts == ["answered 0", "answered 1"]
                with pytest.raises(GenerationError):
                    await anext(stream)
                assert failures(room)["lollms_answer_call"] >= 1
            with plugged(Answers(0)):  # where not even the first comes, the engine does it
                items = [item.text async for item in room.stream(chosen, me, "stream_audio", "quick")]
                assert items == ["quick"]
            with plugged(Answers(9)):
                items = [item.text async for item in room.stream(chosen, me, "stream_audio", "quick")]
                assert items == [f"answered {number}" for number in range(4)]
            assert not room.calls(me)

    asyncio.run(asyncio.wait_for(main(), 50))


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_around_the_others_is_limited_in_time(gate: Path, opened: OpenRoom, me: Caller, when: str) -> None:
    async def main() -> None:
        async with opened("[serve]\nhook_timeout = 0.3\n" + gate_model(gate)) as room:
            with plugged(Around(when)):
                assert (await speak(room, me)).duration == 0.1
                assert failures(room) == {"lollms_after_call": 1}

    asyncio.run(asyncio.wait_for(main(), 50))
