"""What is loaded, and what makes room for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from eventually import true
from lollms_modalities import LollmsError, SettingsError
from lollms_server.room.callers import TERMINAL, Caller
from lollms_server.room.configuration import Configuration
from lollms_server.room.errors import NotAllowed
from lollms_server.room.residency import Residency
from lollms_server.room.room import Room
from rooms import OpenRoom, gate_model, notes


def models(folder: Path, names: str, more: str = "isolated = false") -> str:
    for name in names:
        (folder / name).mkdir(exist_ok=True)
    return "".join(gate_model(folder / name, more, name) for name in names)


def ask(room: Room, model: str, text: str = "quick", caller: Caller = TERMINAL, **how: object) -> asyncio.Task[object]:
    return asyncio.create_task(room.call(room.find(model, "tts", caller), caller, "generate_audio", text, **how))


def loaded(room: Room) -> list[str]:
    return [row["name"] for row in room.state(TERMINAL) if row["loaded"]]


def test_idle_models_make_room_the_longest_idle_first(gate: Path, opened: OpenRoom) -> None:
    async def main() -> None:
        async with opened(models(gate, "abc"), max_loaded=2) as room:
            await ask(room, "a")
            await ask(room, "b")
            await ask(room, "a")
            await ask(room, "c")
            assert loaded(room) == ["a", "c"]
            assert notes(gate / "b")[-1] == "free"
            await ask(room, "b")
            assert loaded(room) == ["b", "c"]

    asyncio.run(main())


def test_it_makes_room_for_another_kind_of_binding(gate: Path, opened: OpenRoom) -> None:
    others = "".join(
        f'[models.{name}]\nbinding = "example"\nmodality = "{kind}"\nisolated = false\n'
        for name, kind in (("blocks", "tti"), ("chord", "ttm"))
    )

    async def main() -> None:
        async with opened(models(gate, "a") + others, max_loaded=2) as room:
            await ask(room, "a")
            await room.call(room.find("blocks", "tti", TERMINAL), TERMINAL, "generate_image", "x")
            assert loaded(room) == ["a", "blocks"]
            await room.call(room.find("chord", "ttm", TERMINAL), TERMINAL, "generate_music", "x")
            assert loaded(room) == ["blocks", "chord"]
            assert notes(gate / "a")[-1] == "free"

    asyncio.run(main())


def test_one_at_work_is_never_unloaded(gate: Path, opened: OpenRoom) -> None:
    async def main() -> None:
        async with opened(models(gate, "abc"), max_loaded=2) as room:
            working, also = ask(room, "a", "wait"), ask(room, "b", "wait")
            await true(lambda: notes(gate / "a") and notes(gate / "b"))
            third = ask(room, "c", "quick")
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert loaded(room) == ["a", "b"]
            assert await room.unload(room.find("a", "tts", TERMINAL), TERMINAL) is False
            (gate / "b" / "open").touch()
            await also
            await third
            assert loaded(room) == ["a", "c"]
            assert "free" not in notes(gate / "a")
            (gate / "a" / "open").touch()
            await working

    asyncio.run(main())


def test_a_model_that_waits_for_room_is_not_kept_out_by_a_busy_one(
    gate: Path, opened: OpenRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has work without a pause: after a while its next call waits, too."""
    first = Residency.__init__
    monkeypatch.setattr(Residency, "__init__", lambda *args: first(*args, patience=0.05))

    async def main() -> None:
        async with opened(models(gate, "ab", "isolated = false\nmax_queue = 100"), max_loaded=1) as room:
            stop = asyncio.Event()

            async def busy() -> None:
                while not stop.is_set():
                    await ask(room, "a")

            crowd = [asyncio.create_task(busy()) for _ in range(3)]
            await true(lambda: len(notes(gate / "a")) > 20)
            await ask(room, "b")
            stop.set()
            await asyncio.gather(*crowd)
            assert "end quick" in notes(gate / "b")

    asyncio.run(main())


def test_an_idle_model_is_unloaded_and_its_process_ends(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(models(gate, "a", "keep_alive = 0.2")) as room:
            await ask(room, "a", caller=me)
            (row,) = room.state(TERMINAL)
            assert row["memory"] > 5_000_000
            await true(lambda: not loaded(room))
            (row,) = room.state(TERMINAL)
            assert row["memory"] == 0
            await ask(room, "a", caller=me)
            assert notes(gate / "a").count("load") == 2

    asyncio.run(main())


def test_asking_what_it_is_does_not_keep_it(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(models(gate, "a", "isolated = false\nkeep_alive = 0.3")) as room:
            chosen = room.find("a", "tts", me)
            await ask(room, "a")
            polls = 0
            while loaded(room):
                room.health(), room.ready(), room.state(me)
                assert await room.voices(chosen) == ["plain", "other"]
                assert (await room.describe(chosen, me))["voices"] == ["other", "plain"]
                polls += 1
                await asyncio.sleep(0.01)
            assert polls
            assert await room.voices(chosen) == ["plain", "other"]
            assert not loaded(room)
            assert notes(gate / "a").count("load") == 1

    asyncio.run(main())


@pytest.mark.parametrize(("asked", "who", "kept"), [(0.0, "user", False), (9e9, "user", False), (9e9, "admin", True)])
def test_a_request_may_ask_for_less_and_an_admin_for_more(
    gate: Path, opened: OpenRoom, asked: float, who: str, kept: bool
) -> None:
    caller = Caller("k", "admin" if who == "admin" else "user", "127.0.0.1")
    configured = 0.2 if asked else 1000

    async def main() -> None:
        async with opened(models(gate, "a", f"isolated = false\nkeep_alive = {configured}")) as room:
            await ask(room, "a", caller=caller, keep_alive=asked)
            if not kept:
                await true(lambda: not loaded(room))
                return
            await asyncio.sleep(0.6)
            assert loaded(room) == ["a"]

    asyncio.run(main())


def test_a_memory_limit_is_kept_to(gate: Path, opened: OpenRoom) -> None:
    """Each process takes some 50 MB: a limit of one of them keeps one, of three all."""

    async def main() -> None:
        async with opened(models(gate, "ab", ""), memory_limit="10 MB") as room:
            for name in "ab":
                await ask(room, name)
                await true(lambda name=name: loaded(room) == [name])
            assert notes(gate / "a").count("load") == 1
        async with opened(models(gate, "ab", ""), memory_limit="10 GB") as room:
            await ask(room, "a")
            await ask(room, "b")
            assert loaded(room) == ["a", "b"]

    asyncio.run(main())


def test_preloading_and_what_cannot_be(gate: Path, opened: OpenRoom, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        text = models(gate, "a", "isolated = false\npreload = true")
        bad = '[models.bad]\nbinding = "gate"\nisolated = false\npreload = true\nsettings = {folder = "x", nope = 1}\n'
        async with opened(text + bad) as room:
            assert not room.ready()
            await true(room.ready)
            assert loaded(room) == ["a"]
            assert notes(gate / "a") == ["load"]
            with pytest.raises(SettingsError, match="nope"):
                await ask(room, "bad")
            assert loaded(room) == ["a"]

    asyncio.run(main())
    assert "bad could not be preloaded" in caplog.text


def test_load_and_unload_are_for_admins(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(models(gate, "a")) as room:
            chosen = room.find("a", "tts", me)
            for act in (room.load, room.unload):
                with pytest.raises(NotAllowed):
                    await act(chosen, me)
            await room.load(chosen, TERMINAL)
            assert notes(gate / "a") == ["load"]
            assert await room.unload(chosen, TERMINAL) is True
            assert notes(gate / "a") == ["load", "free"]

    asyncio.run(main())


def test_loads_and_unloads_at_random_lose_no_call(gate: Path, opened: OpenRoom) -> None:
    """Calls of three models where one has room, while an admin unloads what is idle: each is answered."""

    async def main() -> None:
        async with opened(models(gate, "abc"), max_loaded=1) as room:
            done = asyncio.Event()

            async def unloading() -> None:
                while not done.is_set():
                    for name in "abc":
                        await room.unload(room.find(name, "tts", TERMINAL), TERMINAL)
                        await asyncio.sleep(0)

            admin = asyncio.create_task(unloading())
            answers = await asyncio.gather(*(ask(room, "abc"[n % 3], f"quick {n}") for n in range(60)))
            done.set()
            await admin
            assert len(answers) == 60
            for name in "abc":
                assert sum(note.startswith("end") for note in notes(gate / name)) == 20

    asyncio.run(main())


def test_settings_may_change_and_stay_changed(gate: Path, opened: OpenRoom, me: Caller, admin: Caller) -> None:
    async def main() -> None:
        async with opened(models(gate, "a")) as room:
            chosen = room.find("a", "tts", me)
            with pytest.raises(NotAllowed):
                await room.set_settings(chosen, {"volume": 0.5}, me)
            await room.set_settings(chosen, {"volume": 0.5}, admin)
            await room.set_settings(chosen, [{"name": "volume", "value": 0.25}], admin)
            for closed in (
                {"folder": "/"},
                {"service_address": "http://evil"},
                {"model_name": "/etc/passwd"},
                {"where": "x"},
            ):
                with pytest.raises(SettingsError, match="configuration file"):
                    await room.set_settings(chosen, {"volume": 0.75, **closed}, admin)
            with pytest.raises(SettingsError, match="own list"):
                await room.set_settings(chosen, {"default_voice": "../../x"}, admin)
            await room.set_settings(chosen, {"default_voice": "other"}, admin)
            with pytest.raises(SettingsError):
                await room.set_settings(chosen, {"volume": -1}, admin)
            with pytest.raises(SettingsError):
                await room.set_settings(chosen, {"volum": 1}, admin)
            await room.unload(chosen, TERMINAL)
            rows = {row["name"]: row for row in (await room.describe(chosen, admin))["settings"]}
            assert rows["volume"]["value"] == 0.25
            assert [name for name, row in rows.items() if row["settable"]] == ["volume", "default_voice", "keep_alive"]
            assert rows["folder"]["value"] == str(gate / "a")
            rows = {row["name"]: row for row in (await room.describe(chosen, me))["settings"]}
            assert str(gate) not in str(rows)
            assert not any(row["settable"] for row in rows.values())

    asyncio.run(main())


def test_another_configuration_drops_no_call(
    gate: Path, opened: OpenRoom, configure: Callable[..., Configuration]
) -> None:
    async def main() -> None:
        async with opened(models(gate, "abc")) as room:
            await ask(room, "c")
            running, queued = ask(room, "a", "wait 1"), ask(room, "a", "wait 2")
            gone = ask(room, "b", "wait 3")
            await true(lambda: notes(gate / "a") and notes(gate / "b") and len(room.calls(TERMINAL)) == 3)
            # a has other settings, b is gone, c has another limit only.
            other = models(gate, "a", "isolated = false\nsettings.volume = 0.5").replace("[models.a.settings]\n", "")
            other = other.replace("folder =", "settings.folder =")
            room.reconfigure(configure(other + models(gate, "c", "isolated = false\nmax_queue = 3")))
            with pytest.raises(LollmsError, match="no tts model 'b'"):
                room.find("b", "tts", TERMINAL)
            await ask(room, "c")
            assert notes(gate / "c").count("load") == 1
            await ask(room, "a", "quick new")
            for folder in "ab":
                (gate / folder / "open").touch()
            await asyncio.gather(running, queued, gone)
            await true(lambda: "free" in notes(gate / "a") and "free" in notes(gate / "b"))
            assert notes(gate / "a").count("load") == 2

    asyncio.run(main())


def test_a_configuration_that_is_wrong_changes_nothing(
    gate: Path, opened: OpenRoom, configure: Callable[..., Configuration]
) -> None:
    async def main() -> None:
        async with opened(models(gate, "a")) as room:
            with pytest.raises(LollmsError, match="nothing"):
                room.reconfigure(configure('[models.a]\nbinding = "nothing"\n'))
            await ask(room, "a")

    asyncio.run(main())


@pytest.mark.parametrize("more", ["isolated = false", ""], ids=["in place", "isolated"])
def test_a_call_that_never_reached_the_model_has_not_loaded_it(
    gate: Path, opened: OpenRoom, me: Caller, more: str
) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, more)) as room:
            chosen = room.find("gate", "tts", me)
            for wrong in ({"sped": 1}, {"voice": "nobody"}):
                with pytest.raises(LollmsError):
                    await room.call(chosen, me, "generate_audio", "quick", **wrong)
                await true(lambda: not loaded(room))
            assert "load" not in notes(gate)
            await room.call(chosen, me, "generate_audio", "quick")
            assert loaded(room) == ["gate"]
            with pytest.raises(LollmsError):
                await room.call(chosen, me, "generate_audio", "quick", voice="nobody")
            await asyncio.sleep(0.3)
            assert loaded(room) == ["gate"], "it is loaded as before"
            if not more:
                with pytest.raises(LollmsError):
                    await room.call(chosen, me, "generate_audio", "crash")
                await true(lambda: not loaded(room))
                await room.call(chosen, me, "generate_audio", "quick")
                assert loaded(room) == ["gate"]

    asyncio.run(main())
