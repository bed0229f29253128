"""Keys: who is let in, what each may use, and that the file tells nobody."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from lollms_modalities import ConfigurationError
from lollms_server.room.callers import Caller
from lollms_server.room.configuration import Configuration
from lollms_server.room.door import Door, is_local
from lollms_server.room.errors import KeyRefused, ModelNotServed, QuotaSpent
from lollms_server.room.keys import Keys
from lollms_server.room.room import Room
from lollms_server.room.usage import Usage
from rooms import OpenRoom, gate_model


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys" / "keys.json")


@pytest.fixture
def door(keys: Keys) -> Door:
    return Door(keys, lambda: False)


def enter(door: Door, presented: str | None, address: str = "203.0.113.9", **how: bool) -> Caller:
    return door.enter(presented, address, **{"forwarded": False, "lists": False, **how})


def test_a_key_opens_and_its_file_does_not_tell_it(keys: Keys, door: Door) -> None:
    made = keys.add("anna", role="admin", models=("a", "b"), at_once=2, engine_seconds=60)
    caller = enter(door, made)
    since = keys.all()[0].created
    assert caller == Caller("anna", "admin", "203.0.113.9", frozenset({"a", "b"}), 2, 60.0, since)
    assert len(made) > 40
    assert made.removeprefix("lollms-") not in keys.path.read_text()
    assert keys.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("wrong", ["", "lollms-", "é", "\0", "\ud800", "x" * 100_000, "lollms-" + "A" * 43])
def test_what_is_no_key_opens_nothing(keys: Keys, door: Door, wrong: str) -> None:
    made = keys.add("anna")
    for presented in (wrong, made[:-1], made + "x", made.upper(), f" {made}"):
        with pytest.raises(KeyRefused):
            enter(door, presented)
    with pytest.raises(KeyRefused):
        enter(door, None, "127.0.0.1")


def test_every_key_is_compared_in_constant_time(keys: Keys, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [keys.add(name) for name in ("a", "b", "c")]
    compared: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return hmac.compare_digest(a, b)

    class Counting:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr("lollms_server.room.keys.hmac", Counting)
    for presented in made:
        compared.clear()
        enter(door, presented)
        assert len(compared) == 3


def test_requests_of_one_turn_of_the_loop_look_for_the_keys_once(keys: Keys, door: Door) -> None:
    made = keys.add("anna")

    async def main() -> None:
        with patch("lollms_server.room.keys.os.stat", wraps=os.stat) as looked:
            for _ in range(5):
                assert enter(door, made).key_name == "anna"
            assert looked.call_count == 1
        keys.remove("anna")
        keys.add("bert")
        await asyncio.sleep(0)
        with pytest.raises(KeyRefused):
            enter(door, made)

    asyncio.run(main())


def test_a_thread_has_no_turn_and_looks_for_itself(keys: Keys, door: Door) -> None:
    made = keys.add("anna")
    keys.add("bert")
    refused: list[str] = []

    def ask() -> None:
        try:
            enter(door, made)
        except KeyRefused as exc:
            refused.append(str(exc))

    async def main() -> None:
        enter(door, made)
        keys.remove("anna")
        thread = threading.Thread(target=ask)  # in the same turn
        thread.start()
        thread.join()

    asyncio.run(main())
    assert len(refused) == 1


def test_keys_change_under_a_running_server(keys: Keys, door: Door) -> None:
    first = keys.add("anna")
    assert enter(door, first).role == "user"
    second = Keys(keys.path).rotate("anna")
    with pytest.raises(KeyRefused):
        enter(door, first)
    assert enter(door, second).key_name == "anna"
    third = Keys(keys.path).add("bert")
    Keys(keys.path).remove("anna")
    with pytest.raises(KeyRefused):
        enter(door, second)
    assert enter(door, third).key_name == "bert"


def test_names_are_checked_and_taken_once(keys: Keys) -> None:
    keys.add("anna")
    for name in ("anna", "", "../x", "a b", "é", "-x", "x" * 65):
        with pytest.raises(ConfigurationError):
            keys.add(name)
    for act in (keys.rotate, keys.remove):
        with pytest.raises(ConfigurationError, match="There are: anna"):
            act("bert")
    for wrong in ({"at_once": 0}, {"engine_seconds": -1}, {"engine_seconds": float("inf")}):
        with pytest.raises(ConfigurationError):
            keys.add("carl", **wrong)
    assert [key.name for key in keys.all()] == ["anna"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"keys": 1}', '{"version": 2, "keys": []}', '{"kys": []}'])
def test_a_damaged_file_lets_nobody_in(keys: Keys, door: Door, damage: str) -> None:
    made = keys.add("anna")
    keys.path.write_text(damage)
    for presented, address in ((made, "203.0.113.9"), (None, "127.0.0.1")):
        with pytest.raises(ConfigurationError, match="damaged"):
            enter(door, presented, address)


def test_a_file_that_others_may_read_is_refused(keys: Keys, door: Door) -> None:
    made = keys.add("anna")
    for mode in (0o640, 0o604, 0o620):
        os.chmod(keys.path, mode)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            enter(door, made)
    os.chmod(keys.path, 0o600)
    enter(door, made)


def test_many_who_change_the_file_at_once_lose_nothing(keys: Keys) -> None:
    threads = [threading.Thread(target=Keys(keys.path).add, args=(f"k{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in keys.all()} == {f"k{n}" for n in range(20)}
    assert not [path for path in keys.path.parent.iterdir() if path.name.endswith(".part")]


def test_without_keys_this_machine_alone_is_let_in(door: Door) -> None:
    for address in ("127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"):
        assert enter(door, None, address) == Caller(None, "anonymous", address)
        assert enter(door, "sk-whatever", address).role == "anonymous"
        with pytest.raises(KeyRefused, match="proxy"):
            enter(door, None, address, forwarded=True)
    for address in ("10.0.0.1", "203.0.113.9", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "", "localhost"):
        assert not is_local(address)
        with pytest.raises(KeyRefused, match="only this machine"):
            enter(door, None, address)


def test_lists_are_open_only_where_that_is_wanted(keys: Keys) -> None:
    keys.add("anna")
    closed, opened = Door(keys, lambda: False), Door(keys, lambda: True)
    with pytest.raises(KeyRefused):
        enter(closed, None, lists=True)
    assert enter(opened, None, lists=True).role == "anonymous"
    for presented, lists in ((None, False), ("wrong", True)):
        with pytest.raises(KeyRefused):
            enter(opened, presented, lists=lists)


def test_a_key_is_for_its_models(gate: Path, opened: OpenRoom) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, name="mine") + gate_model(gate, name="other")) as room:
            keys = Keys(room.configuration.serve.keys_path())
            caller = room.authenticate(keys.add("anna", models=("mine",)), "203.0.113.9")
            assert [model.name for model in room.models(caller)] == ["mine"]
            await room.call(room.find("mine", "tts", caller), caller, "generate_audio", "quick")
            with pytest.raises(ModelNotServed):
                room.find("other", "tts", caller)

    asyncio.run(main())


def test_engine_seconds_are_counted_by_day_and_kept(tmp_path: Path) -> None:
    now = [10 * 86400.0 + 86000]
    caller = Caller("anna", "user", "203.0.113.9", engine_seconds=30)
    usage = Usage(tmp_path / "kept" / "usage.json", lambda: now[0])
    usage.check(caller)
    usage.add(caller, 20)
    usage.check(caller)
    usage.add(caller, 20)
    with pytest.raises(QuotaSpent) as caught:
        usage.check(caller)
    assert caught.value.retry_after == 400
    usage.save()
    again = Usage(tmp_path / "kept" / "usage.json", lambda: now[0])
    assert again.spent("anna") == 40
    with pytest.raises(QuotaSpent):
        again.check(caller)
    now[0] += 400
    again.check(caller)
    assert again.spent("anna") == 0
    assert (tmp_path / "kept" / "usage.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_count_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("{", "[]", '{"day": 1}', '{"day": "x", "seconds": 3}'):
        (tmp_path / "usage.json").write_text(text)
        assert Usage(tmp_path / "usage.json").spent("anna") == 0
    assert "counted anew" in caplog.text


def test_a_key_that_has_spent_its_day_is_refused(gate: Path, configure: Callable[..., Configuration]) -> None:
    async def main() -> None:
        room = Room.open(configure(gate_model(gate)))
        made = Keys(room.configuration.serve.keys_path()).add("anna", engine_seconds=1e-9)
        caller = room.authenticate(made, "203.0.113.9")
        chosen = room.find("gate", "tts", caller)
        (gate / "open").touch()
        await room.call(chosen, caller, "generate_audio", "one two three")
        with pytest.raises(QuotaSpent):
            await room.call(chosen, caller, "generate_audio", "more")
        await room.close(0)
        kept = json.loads(room.configuration.serve.keys_path().with_name("usage.json").read_text())
        assert list(kept["seconds"]) == ["anna"]

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link"])
def test_a_file_of_keys_that_is_none_lets_nobody_in(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "keys.json"
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(0o700)
    else:
        target = Path("/dev/zero")
        if kind == "link":
            os.mkfifo(target := tmp_path / "pipe", 0o600)
        path.symlink_to(target)
    caught: list[BaseException] = []

    def read() -> None:
        try:
            Keys(path).all()
        except ConfigurationError as exc:
            caught.append(exc)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it is waited for"
    assert "keys.json cannot be read" in str(caught[0])


def test_what_else_the_room_keeps_is_a_file_too(gate: Path, configure: Callable[..., Configuration]) -> None:
    configuration = configure(gate_model(gate))
    folder = configuration.serve.keys_path().parent
    folder.mkdir()
    os.mkfifo(folder / "usage.json", 0o600)
    os.mkfifo(folder / "voices.json", 0o600)

    async def main() -> None:
        with pytest.raises(ConfigurationError, match="registered voices"):
            Room.open(configuration)
        (folder / "voices.json").unlink()
        room = Room.open(configuration)
        await room.close(0)

    asyncio.run(asyncio.wait_for(main(), 30))
