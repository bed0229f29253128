"""Calls through the room: queued, run, streamed, cancelled, out of time; in this process and in another."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from eventually import true
from lollms_modalities import (
    Audio,
    CallCancelled,
    CallTimeout,
    OptionError,
    Progress,
    UnsupportedError,
    VoiceNotFoundError,
    WorkerCrashedError,
)
from lollms_server.room.callers import TERMINAL, Caller
from lollms_server.room.errors import CallNotFound, Ending, ModelNotServed, QueueFull
from lollms_server.room.room import Room
from lollms_server.room.streaming import OnLoop
from rooms import OpenRoom, gate_model, notes

HERE = "isolated = false"
ELSEWHERE = "isolated = true"
PLACES = pytest.mark.parametrize("place", [HERE, ELSEWHERE], ids=["here", "isolated"])


async def begun(folder: Path, what: str) -> None:
    await true(lambda: f"begin {what}" in notes(folder))


def ask(room: Room, caller: Caller, text: str, **how: object) -> asyncio.Task[Audio]:
    chosen = room.find("gate", "tts", caller)
    return asyncio.create_task(room.call(chosen, caller, "generate_audio", text, **how))


@PLACES
def test_a_call_gives_what_the_binding_gives(gate: Path, opened: OpenRoom, me: Caller, place: str) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, place)) as room:
            assert notes(gate) == [], "opening loads nothing"
            result = await ask(room, me, "quick", voice="plain", output_format="flac")
            assert (result.format, result.provenance.binding) == ("flac", "gate")
            assert notes(gate) == ["load", "begin quick", "end quick"]
            assert room.calls(TERMINAL) == []

    asyncio.run(main())


@PLACES
def test_a_stream_gives_its_items_as_they_are_made(gate: Path, opened: OpenRoom, me: Caller, place: str) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, place)) as room:
            stream = room.stream(room.find("gate", "tts", me), me, "stream_audio", "quick wait")
            first = await anext(stream)
            assert (first.text, stream.provenance) == ("quick", None)
            (gate / "open").touch()
            assert [chunk.text async for chunk in stream] == ["wait"]
            assert stream.provenance.binding == "gate"
            await true(lambda: not room.calls(TERMINAL))

    asyncio.run(main())


def test_a_stream_of_a_sound_file(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            chosen = room.find("gate", "tts", me)
            stream = room.stream(chosen, me, "stream_encoded", "quick quick", output_format="wav")
            parts = [part async for part in stream]
            assert b"".join(parts)[:4] == b"RIFF"
            assert len(b"".join(parts)) > 3200
            with pytest.raises(OptionError):
                await anext(room.stream(chosen, me, "stream_encoded", "quick", output_format="exe"))
            assert room.calls(TERMINAL) == []

    asyncio.run(main())


@PLACES
@pytest.mark.parametrize("how", ["task", "cancel", "close"])
def test_a_cancel_reaches_the_engine(gate: Path, opened: OpenRoom, me: Caller, place: str, how: str) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, place)) as room:
            chosen = room.find("gate", "tts", me)
            if how == "close":
                stream = room.stream(chosen, me, "stream_audio", "quick wait")
                await anext(stream)
                await stream.aclose()
            else:
                task = ask(room, me, "wait", request_id="r-1")
                await begun(gate, "wait")
                if how == "task":
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                else:
                    room.cancel("r-1", me)
                    with pytest.raises(CallCancelled):
                        await task
            await true(lambda: not room.calls(TERMINAL))
            assert "end wait" not in notes(gate)
            await ask(room, me, "quick again")
            assert "crash" not in "".join(notes(gate))

    asyncio.run(main())


def test_a_place_is_taken_until_the_engine_has_really_ended(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            deaf = ask(room, me, "deaf")
            await begun(gate, "deaf")
            deaf.cancel()
            with pytest.raises(asyncio.CancelledError):
                await deaf
            waiting = ask(room, me, "quick")
            await true(lambda: len(room.calls(TERMINAL)) == 2)
            assert [call.state for call in room.calls(TERMINAL)] == ["running", "queued"]
            (gate / "open").touch()
            await waiting
            assert notes(gate)[-3:] == ["end deaf", "begin quick", "end quick"]

    asyncio.run(main())


def test_an_engine_that_does_not_listen_loses_its_process(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, ELSEWHERE)) as room:
            deaf = ask(room, me, "deaf", request_id="r")
            await begun(gate, "deaf")
            room.cancel("r", me)
            with pytest.raises(CallCancelled):
                await deaf
            await ask(room, me, "quick")
            assert "end deaf" not in notes(gate)
            assert notes(gate).count("load") == 2

    asyncio.run(main())


@PLACES
def test_what_waits_is_cancelled_without_the_engine(gate: Path, opened: OpenRoom, me: Caller, place: str) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, place)) as room:
            first = ask(room, me, "wait")
            await begun(gate, "wait")
            gone, asked_for = ask(room, me, "never 1"), ask(room, me, "never 2", request_id="r-2")
            late = ask(room, me, "never 3", deadline=0.05)
            await true(lambda: sum(call.state == "queued" for call in room.calls(TERMINAL)) >= 2)
            gone.cancel()
            room.cancel("r-2", me)
            with pytest.raises(asyncio.CancelledError):
                await gone
            with pytest.raises(CallCancelled):
                await asked_for
            with pytest.raises(CallTimeout):
                await late
            (gate / "open").touch()
            await first
            assert not [note for note in notes(gate) if "never" in note]

    asyncio.run(main())


@PLACES
def test_a_call_out_of_time_ends(gate: Path, opened: OpenRoom, me: Caller, place: str) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, f"{place}\ntimeout = 30")) as room:
            await ask(room, me, "quick")
            with pytest.raises(CallTimeout):
                await ask(room, me, "wait", deadline=0.3)
            await ask(room, me, "quick")
        async with opened(gate_model(gate, f"{place}\ntimeout = 2")) as room:
            with pytest.raises(CallTimeout):
                await ask(room, me, "wait", deadline=1000)

    asyncio.run(main())


def test_a_crash_ends_one_call(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, ELSEWHERE)) as room:
            crashed, behind = ask(room, me, "crash"), ask(room, me, "quick")
            with pytest.raises(WorkerCrashedError):
                await crashed
            assert (await behind).duration == 0.1
            assert 'lollms_failures_total{error="WorkerCrashedError",modality="tts",model="gate"} 1.0' in scraped(room)

    asyncio.run(main())


def test_a_full_queue_refuses(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, f"{HERE}\nmax_queue = 1")) as room:
            first = ask(room, me, "wait 1")
            await begun(gate, "wait 1")
            second = ask(room, me, "wait 2")
            await true(lambda: len(room.calls(TERMINAL)) == 2)
            with pytest.raises(QueueFull) as caught:
                await ask(room, me, "wait 3")
            assert caught.value.retry_after >= 1
            assert 'lollms_refused_total{modality="tts",model="gate",reason="QueueFull"} 1.0' in scraped(room)
            (gate / "open").touch()
            await asyncio.gather(first, second)
            assert "begin wait 3" not in notes(gate)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("flood", "other"),
    [
        (Caller("flood", "user", "10.0.0.1"), Caller("other", "user", "10.0.0.1")),
        (Caller(None, "anonymous", "127.0.0.1"), Caller(None, "anonymous", "127.0.0.2")),
    ],
    ids=["keys", "addresses"],
)
def test_callers_take_turns(gate: Path, opened: OpenRoom, flood: Caller, other: Caller) -> None:
    """One with ten calls in the queue, another with one that comes last: it is the second to begin."""

    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            tasks = [ask(room, flood, f"wait {n}") for n in range(10)]
            await begun(gate, "wait 0")
            await true(lambda: len(room.calls(TERMINAL)) == 10)
            tasks.append(ask(room, other, "other"))
            await true(lambda: len(room.calls(TERMINAL)) == 11)
            (gate / "open").touch()
            await asyncio.gather(*tasks)
            began = [note for note in notes(gate) if note.startswith("begin")]
            assert began.index("begin other") <= 2

    asyncio.run(main())


def test_a_key_has_so_many_calls_at_once(gate: Path, opened: OpenRoom) -> None:
    caller = Caller("k", "user", "10.0.0.1", at_once=2)

    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            tasks = [ask(room, caller, "wait 1"), ask(room, caller, "wait 2")]
            await true(lambda: len(room.calls(TERMINAL)) == 2)
            with pytest.raises(QueueFull, match="2 calls with this key"):
                await ask(room, caller, "wait 3")
            (gate / "open").touch()
            await asyncio.gather(*tasks)
            await ask(room, caller, "wait 4")

    asyncio.run(main())


@pytest.mark.full
def test_as_many_work_as_the_binding_can_times_its_pool(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, f"{ELSEWHERE}\npool = 2").replace('"gate"', '"wide"')) as room:
            await ask(room, me, "quick")  # what it can do side by side is known when it has been made
            assert room.at_once("gate", "tts") == 4
            tasks = [ask(room, me, f"wait {n}") for n in range(6)]
            await true(lambda: sum(note.startswith("begin wait") for note in notes(gate)) == 4)
            assert sorted(call.state for call in room.calls(TERMINAL)) == ["queued"] * 2 + ["running"] * 4
            (gate / "open").touch()
            await asyncio.gather(*tasks)

    asyncio.run(main())


def test_a_pool_works_side_by_side(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, f"{ELSEWHERE}\npool = 2")) as room:
            tasks = [ask(room, me, f"wait {n}") for n in range(3)]
            await true(lambda: len([note for note in notes(gate) if note.startswith("begin")]) == 2)
            assert sorted(call.state for call in room.calls(TERMINAL)) == ["queued", "running", "running"]
            (gate / "open").touch()
            await asyncio.gather(*tasks)

    asyncio.run(main())


def test_an_elastic_pool_grows_for_calls_and_shows_itself(gate: Path, opened: OpenRoom, me: Caller) -> None:
    def shown(room: Room, name: str) -> float:
        (line,) = [line for line in scraped(room).splitlines() if line.startswith(f"lollms_{name}{{")]
        return float(line.split()[-1])

    more = f"{ELSEWHERE}\npool = [0, 2]\nwait_target = 0\nidle_timeout = 0.1\nplace = {{ kind = 'process' }}"

    async def main() -> None:
        async with opened(gate_model(gate, more)) as room:
            assert shown(room, "workers") == 0
            tasks = [ask(room, me, f"wait {n}") for n in range(3)]
            await true(lambda: len([note for note in notes(gate) if note.startswith("begin")]) == 2)
            assert (shown(room, "workers"), shown(room, "workers_starting")) == (2, 0)
            assert shown(room, "workers_waited_for") == 0, "the third waits in the queue, in its turn"
            assert sorted(call.state for call in room.calls(TERMINAL)) == ["queued", "running", "running"]
            (gate / "open").touch()
            await asyncio.gather(*tasks)
            await true(lambda: shown(room, "workers") == 0)
            assert await ask(room, me, "wait again")

    asyncio.run(main())


NOT_TO_BE_ASKED: list[tuple[str, tuple[object, ...], dict[str, object], type[Exception]]] = [
    ("generate_audio", ("quick",), {"voice": "../../etc/passwd"}, VoiceNotFoundError),
    ("generate_audio", ("quick",), {"voice": "plain\0"}, VoiceNotFoundError),
    ("generate_audio", ("quick",), {"output_path": "/tmp/x.wav"}, OptionError),
    ("generate_audio", ("quick",), {"timeout": 5}, OptionError),
    ("generate_audio", ("quick",), {"cancel": None}, OptionError),
    ("generate_audio", ("quick",), {"sped": 2}, OptionError),
    ("generate_audio", ("quick",), {"reference": "/etc/hostname"}, OptionError),
    ("generate_audio", ("quick",), {"reference": "file:///etc/passwd"}, OptionError),
    ("generate_audio", ("quick",), {"lexicon": "/etc/passwd"}, OptionError),
    ("generate_audio", ("quick",), {"endpoint": "http://0x7f.1/"}, OptionError),
    ("generate_audio", (), {}, OptionError),
    ("generate_audio", ("quick", "plain", "more"), {}, OptionError),
    ("generate_audio", (b"quick",), {}, OptionError),
    ("generate_audio", ("",), {}, OptionError),
    ("close", (), {}, UnsupportedError),
    ("set_settings", ({"folder": "/"},), {}, UnsupportedError),
    ("_note", ("x",), {}, UnsupportedError),
    ("__init__", (), {}, UnsupportedError),
    ("generate_image", ("x",), {}, UnsupportedError),
]


@PLACES
def test_what_cannot_be_asked(gate: Path, opened: OpenRoom, me: Caller, place: str) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, place)) as room:
            for verb, args, options, error in NOT_TO_BE_ASKED:
                with pytest.raises(error):
                    await room.call(room.find("gate", "tts", me), me, verb, *args, **options)
                assert not [note for note in notes(gate) if note.startswith("begin")], (verb, args, options)
                assert room.calls(TERMINAL) == []
            await ask(room, me, "quick", reference=b"RIFF", endpoint=None)

    asyncio.run(main())


def test_a_stream_where_a_result_is_wanted_and_the_other_way_round(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            chosen = room.find("gate", "tts", me)
            with pytest.raises(UnsupportedError):
                await room.call(chosen, me, "stream_audio", "quick")
            with pytest.raises(UnsupportedError):
                await anext(room.stream(chosen, me, "generate_audio", "quick"))
            assert room.calls(TERMINAL) == []

    asyncio.run(main())


def test_a_model_of_the_binding_has_a_process_of_its_own_where_a_call_cannot_choose(
    gate: Path, opened: OpenRoom, me: Caller
) -> None:
    async def main() -> None:
        async with opened(gate_model(gate), max_loaded=1) as room:
            await ask(room, me, "quick")
            for name in ("gate/org/large", "gate/small", "gate/small"):
                await room.call(room.find(name, "tts", me), me, "generate_audio", "quick")
            assert [note for note in notes(gate) if "load" in note] == ["load", "load org/large", "load small"]
            assert [(row["name"], row["loaded"]) for row in room.state(me)] == [
                ("gate", False), ("gate/org/large", False), ("gate/small", True),
            ]  # fmt: skip
            for wrong in ("gate/../x", "gate/large", "gate//etc/passwd", "gate/small\0"):
                with pytest.raises(ModelNotServed):
                    await room.call(room.find(wrong, "tts", me), me, "generate_audio", "quick")
            assert len(room.state(me)) == 3
            room.reconfigure(room.configuration)
            await room.call(room.find("gate/small", "tts", me), me, "generate_audio", "quick")

    asyncio.run(main())


def test_a_binding_without_models_serves_none(opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened('[models.example]\nbinding = "example"\nmodality = "tts"\nisolated = false\n') as room:
            with pytest.raises(ModelNotServed, match="no models to choose"):
                await room.call(room.find("example/x", "tts", me), me, "generate_audio", "one")

    asyncio.run(main())


def test_a_stream_that_nobody_reads_gives_its_place_back(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            chosen = room.find("gate", "tts", me)
            await ask(room, me, "quick")
            stream = room.stream(chosen, me, "stream_audio", "quick quick quick", deadline=2)
            await anext(stream)
            await ask(room, me, "quick 2")
            with pytest.raises(CallTimeout):
                await anext(stream)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
            assert room.calls(TERMINAL) == []

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_seconds_are_seconds(gate: Path, opened: OpenRoom, admin: Caller, wrong: float) -> None:
    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            for name in ("deadline", "keep_alive"):
                with pytest.raises(OptionError, match=name):
                    await ask(room, admin, "quick", **{name: wrong})

    asyncio.run(main())


def test_whose_call_it_is(gate: Path, opened: OpenRoom, admin: Caller) -> None:
    mine, other = Caller("mine", "user", "10.0.0.1"), Caller("other", "user", "10.0.0.1")

    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            task = ask(room, mine, "wait", request_id="same")
            second = ask(room, other, "wait", request_id="same")
            await true(lambda: len(room.calls(TERMINAL)) == 2)
            (call,) = room.calls(mine)
            (others,) = room.calls(other)
            assert call.id == "same"
            assert others.id != "same"
            assert len(room.calls(admin)) == 2
            for call_id, caller in (("same", other), (others.id, mine), ("none", admin)):
                with pytest.raises(CallNotFound):
                    room.cancel(call_id, caller)
            room.cancel(others.id, admin)
            with pytest.raises(CallCancelled):
                await second
            room.cancel("same", mine)
            with pytest.raises(CallCancelled):
                await task

    asyncio.run(main())


def test_progress_arrives_on_the_loop(opened: OpenRoom, me: Caller) -> None:
    told: list[tuple[Progress, bool]] = []

    async def main() -> None:
        async with opened('[models.example]\nbinding = "example"\nmodality = "tts"\nisolated = false\n') as room:
            chosen = room.find("example", "tts", me)
            here = threading.get_ident()
            await room.call(
                chosen, me, "generate_audio", "one two three",
                progress=lambda p: told.append((p, threading.get_ident() == here)),
            )  # fmt: skip
            await asyncio.sleep(0.05)

    asyncio.run(main())
    assert told
    assert all(on_loop for _, on_loop in told)
    assert told[-1][0].fraction == 1


def test_of_reports_at_once_each_stage_has_its_first_and_its_last() -> None:
    told: list[Progress] = []

    async def main() -> None:
        call: Any = SimpleNamespace(progress=None)
        tell = OnLoop(call, told.append)
        for stage in ("load", "make"):
            for done in range(101):
                tell(Progress(stage, done, 100, "step", preview=b"early" if (stage, done) == ("make", 97) else None))
        assert not told
        await asyncio.sleep(0)
        assert [(p.stage, p.done, p.preview) for p in told] == [
            ("load", 0, None), ("load", 100, None), ("make", 0, None), ("make", 100, b"early"),
        ]  # fmt: skip
        assert call.progress.done == 100
        told.clear()
        for done in range(10_000):  # another stage each time
            tell(Progress(f"part {done}", done, 10_000, "step"))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert told[-1].done == 9_999
    assert len(told) <= 64


def test_the_end_lets_calls_end_and_refuses_others(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            under_way, queued = ask(room, me, "wait 1"), ask(room, me, "wait 2")
            await begun(gate, "wait 1")
            closing = asyncio.create_task(room.close(60))
            await true(lambda: room.health()["status"] == "ending")
            assert not room.ready()
            with pytest.raises(Ending) as caught:
                await ask(room, me, "quick")
            assert caught.value.retry_after > 0
            (gate / "open").touch()
            await closing
            assert (await under_way).duration == (await queued).duration == 0.1
            assert notes(gate)[-1] == "free"

    asyncio.run(main())


@PLACES
def test_the_end_cancels_what_takes_too_long(gate: Path, opened: OpenRoom, me: Caller, place: str) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, place)) as room:
            under_way, queued = ask(room, me, "wait 1"), ask(room, me, "wait 2")
            await begun(gate, "wait 1")
            await room.close(0.05)
            for task in (under_way, queued):
                with pytest.raises((CallCancelled, Ending)):
                    await task

    asyncio.run(main())


def test_the_log_has_names_and_times_and_nothing_that_was_said(
    gate: Path, opened: OpenRoom, me: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lollms_server")
    caller = Caller("nightingale", "user", "10.1.2.3")

    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            await ask(room, caller, "quick and secret words", request_id="r-9")
            with pytest.raises(VoiceNotFoundError):
                await ask(room, me, "quick", voice="secret voice")

    asyncio.run(main())
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "lollms_server.calls"]
    assert [line["outcome"] for line in lines] == ["ok", "refused"]
    assert (
        lines[0].items() >= {"request": "r-9", "key": "nightingale", "model": "gate", "verb": "generate_audio"}.items()
    )
    assert lines[0].keys() >= {"time", "waited", "engine", "whole"}
    assert lines[1]["address"] == "127.0.0.1"
    assert "secret" not in caplog.text


def test_what_an_admin_does_to_anothers_is_written_down(
    gate: Path, opened: OpenRoom, admin: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lollms_server.audit")
    anna, recording = Caller("anna", "user", "10.0.0.1"), bytes(Audio.from_pcm(bytes(64000), 16000))

    async def main() -> None:
        async with opened(gate_model(gate)) as room:
            chosen = room.find("gate", "tts", anna)
            for who, by in ((anna, anna), (admin, admin), (anna, admin)):
                voice = await room.recorded.add(chosen, who, "Mine", recording, "Anna herself")
                await room.recorded.remove(voice.id, by, lambda _: chosen)
                task = ask(room, who, "wait", request_id=f"{who.key_name}-{by.key_name}")
                await true(lambda: room.calls(TERMINAL))
                room.cancel(f"{who.key_name}-{by.key_name}", by)
                with pytest.raises(CallCancelled):
                    await task

    asyncio.run(main())
    acts = [json.loads(record.getMessage()) for record in caplog.records if record.name == "lollms_server.audit"]
    assert [(act["who"], act["act"]) for act in acts] == [("key boss", "remove_voice"), ("key boss", "cancel")]
    assert acts[1]["call"] == "anna-boss"


def scraped(room: Room) -> str:
    from prometheus_client import generate_latest

    return generate_latest(room.metrics.registry).decode()


def test_metrics_tell_of_queues_times_and_models(gate: Path, opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(gate_model(gate, ELSEWHERE)) as room:
            running, queued = ask(room, me, "wait 1"), ask(room, me, "wait 2", request_id="q")
            await begun(gate, "wait 1")
            text = scraped(room)
            assert 'lollms_queue_length{modality="tts",model="gate"} 1.0' in text
            assert 'lollms_at_work{modality="tts",model="gate"} 1.0' in text
            assert 'lollms_model_loaded{modality="tts",model="gate"} 1.0' in text
            (memory,) = [line for line in text.splitlines() if line.startswith("lollms_model_memory_bytes{")]
            assert float(memory.split()[-1]) > 5_000_000
            room.cancel("q", me)
            (gate / "open").touch()
            await asyncio.gather(running, queued, return_exceptions=True)
            async for _ in room.stream(room.find("gate", "tts", me), me, "stream_audio", "quick"):
                pass
            text = scraped(room)
            names = 'modality="tts",model="gate"'
            assert (
                f'lollms_calls_total{{{names},outcome="ok",verb="generate_audio"}} 1.0'.replace(
                    names + ',outcome="ok"', 'modality="tts",model="gate",outcome="ok"'
                )
                in text
            )
            assert f'lollms_first_item_seconds_count{{{names},verb="stream_audio"}} 1.0' in text
            assert f"lollms_real_time_factor_count{{{names}}} 2.0" in text
            assert 'lollms_wait_seconds_count{modality="tts",model="gate"} 2.0' in text
            assert 'lollms_refused_total{modality="tts",model="gate",reason="CallCancelled"} 1.0' in text

    asyncio.run(main())
