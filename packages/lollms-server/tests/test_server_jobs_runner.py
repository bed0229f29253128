"""Jobs within one process: what becomes of them at moments that a client seldom meets."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from eventually import true
from lollms_modalities import LollmsError
from lollms_server.jobs import sweeping
from lollms_server.jobs.board import KINDS, Jobs, Lease
from lollms_server.jobs.errors import JobNotFound, StoreLost
from lollms_server.jobs.job import Job
from lollms_server.jobs.requests import Request
from lollms_server.jobs.schema import JOBS, now
from lollms_server.jobs.store import Store
from lollms_server.room.callers import Caller
from lollms_server.room.room import Room
from lollms_server.web import errors
from rooms import OpenRoom, gate_model, notes
from sqlalchemy import select

Opened = Callable[[], Any]


def tell(exc: BaseException) -> dict[str, Any]:
    return errors.told(exc, ours=True).body["error"]  # type: ignore[no-any-return]


@pytest.fixture
def jobs(gate: Path, opened: OpenRoom, tmp_path: Path) -> Opened:
    """Gives the jobs of a room of the binding ``gate``, and that room; they are not running yet."""

    @asynccontextmanager
    async def make(lease: Lease | None = None) -> AsyncIterator[tuple[Jobs, Room]]:
        async with opened(gate_model(gate)) as room:
            folder = tmp_path / "under way"
            folder.mkdir(exist_ok=True)
            made = Jobs(room, tell, folder, lease)
            try:
                yield made, room
            finally:
                await made.close()
                assert not [*folder.iterdir()], "of what was under way nothing is left"

    return make


async def ask(jobs: Jobs, room: Room, me: Caller, text: str = "quick") -> Job:
    chosen = room.find("gate", "tts", me)
    return await jobs.create(me, "call", chosen, "generate_audio", Request({"text": text}, "text"))


async def ended(jobs: Jobs, job: Job, me: Caller) -> Job:
    return [now async for now in jobs.watch(job, me)][-1]


def files(jobs: Jobs, job: Job) -> list[str]:
    folder = Path(jobs._room.configuration.serve.keys_path().with_name("results")) / job.id
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_one_that_is_cancelled_before_it_began_gives_its_place_back(jobs: Opened, me: Caller) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            for end in (board.cancel, board.remove):
                job = await ask(board, room, me)
                (head,) = board.store.waiting()
                taken = board.store.take(head.number, "s", "t", 100.0)
                assert taken is not None
                board.runner._begin(taken, "t", head)  # whose task has not run a line when it is cancelled
                await asyncio.wait_for(end(job, me), 10)
                assert board.runner._running == {}
            board.start()
            assert (await asyncio.wait_for(ended(board, await ask(board, room, me), me), 30)).state == "completed"

    asyncio.run(main())


def test_one_that_has_ended_keeps_its_files_when_it_is_cancelled_after(jobs: Opened, me: Caller) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            board.start()
            before = await ask(board, room, me)
            done = await ended(board, before, me)
            assert (await board.cancel(before, me)).state == "completed", "what is known of it may be old"
            assert files(board, done) == [done.files[0]["name"]]

    asyncio.run(main())


def test_what_an_earlier_server_had_written_goes_when_the_job_is_done(jobs: Opened, me: Caller) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            job = await ask(board, room, me)
            # It wrote this, was ended, and gave the job back.
            board.files.write(job.id, "0123abcd-0.wav", b"whole, and nobody's")
            board.start()
            done = await ended(board, job, me)
            await true(lambda: files(board, done) == [done.files[0]["name"]])

    asyncio.run(asyncio.wait_for(main(), 30))


def test_what_an_admin_does_to_anothers_job_is_written_down(
    jobs: Opened, me: Caller, admin: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lollms_server.audit")

    async def main() -> list[str]:
        async with jobs() as (board, room):
            mine = [await ask(board, room, me) for _ in range(4)]
            for job, who in zip(mine, (me, admin) * 2, strict=True):
                await (board.cancel if job in mine[:2] else board.remove)(job, who)
            return [job.id for job in mine]

    ids = asyncio.run(main())
    acts = [json.loads(record.getMessage()) for record in caplog.records if record.name == "lollms_server.audit"]
    assert [(act["who"], act["act"], act["job"]) for act in acts] == [
        ("key boss", "cancel", ids[1]), ("key boss", "delete", ids[3]),
    ]  # fmt: skip


def test_a_lease_is_renewed_while_its_job_runs(jobs: Opened, gate: Path, me: Caller) -> None:
    assert Lease() == (5.0, 20.0), "as the docs say"

    async def main() -> None:
        async with jobs(Lease(0.02, 1000.0)) as (board, room):
            board.start()
            job = await ask(board, room, me, "wait")
            await true(lambda: "begin wait" in notes(gate))
            seen = {lease_of(board, job)}
            while len(seen) < 4:
                seen.add(lease_of(board, job))
                await asyncio.sleep(0.01)
            (gate / "open").touch()
            assert (await ended(board, job, me)).state == "completed"
            assert lease_of(board, job) is None

    asyncio.run(asyncio.wait_for(main(), 30))


def lease_of(board: Jobs, job: Job) -> float | None:
    """Until when it is held, by the database's clock."""
    with board.store._writing() as connection:
        until: float | None = connection.scalar(select(JOBS.c.lease).where(JOBS.c.id == job.id))
        return until


def test_what_is_over_goes_with_its_files_and_files_of_nobody_go_too(
    jobs: Opened, me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_ORPHAN", -1.0)

    async def main() -> None:
        async with jobs(Lease(0.05, 20.0)) as (board, room):
            board.start()
            stays, goes = [await ended(board, await ask(board, room, me), me) for _ in range(2)]
            board.files.write("job_" + "0" * 32, "u0", b"whose server was killed before it was asked for")
            with board.store._writing() as connection:
                connection.execute(JOBS.update().where(JOBS.c.id == goes.id).values(expires=now() - 1))
            await true(lambda: not files(board, goes))
            with pytest.raises(JobNotFound):
                await board.found(goes.id, me, KINDS)
            await board.aside(board._sweeper.sweep_files)
            assert board.files.ids(-1.0) == [stays.id]
            assert (await board.found(stays.id, me, KINDS)).state == "completed"

    asyncio.run(asyncio.wait_for(main(), 30))


def test_one_that_is_deleted_while_its_result_is_written_leaves_nothing(
    jobs: Opened, me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            loop, begun, go = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
            write = board.files.write

            def slowly(job_id: str, name: str, source: Any) -> int:
                loop.call_soon_threadsafe(begun.set)
                asyncio.run_coroutine_threadsafe(go.wait(), loop).result(30)
                return write(job_id, name, source)

            monkeypatch.setattr(board.files, "write", slowly)
            board.start()
            job = await ask(board, room, me)
            await asyncio.wait_for(begun.wait(), 30)
            removing = asyncio.ensure_future(board.remove(job, me))
            await asyncio.sleep(0.05)
            go.set()
            await asyncio.wait_for(removing, 30)
            assert files(board, job) == []
            with pytest.raises(JobNotFound):
                await board.found(job.id, me, ("call",))

    asyncio.run(main())


def test_an_answer_of_the_database_that_is_lost_ends_no_job_twice(
    jobs: Opened, me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            finish, tries = board.store.finish, 0

            def lost(*args: Any) -> bool:
                nonlocal tries
                tries += 1
                done = finish(*args)
                if tries == 1:
                    raise StoreLost("It was done, but nobody was told.", retry_after=0.1)
                return done

            monkeypatch.setattr(board.store, "finish", lost)
            board.start()
            job = await ask(board, room, me)
            done = await ended(board, job, me)
            while tries < 2 or board.runner._running:
                await asyncio.sleep(0.01)
            assert files(board, done) == [done.files[0]["name"]], "what it made is there"

    asyncio.run(main())


def test_a_full_disk_fails_the_job_and_says_so(jobs: Opened, me: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            board.start()

            def full(*args: object) -> None:
                raise OSError(28, "No space left on device")

            job = await ask(board, room, me)
            monkeypatch.setattr("os.fsync", full)
            done = await ended(board, job, me)
            assert (done.state, (done.error or {})["code"]) == ("failed", "insufficient_storage")
            assert files(board, done) == []

    asyncio.run(main())


def test_the_end_of_the_server_gives_a_job_back(jobs: Opened, gate: Path, me: Caller) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            board.start()
            job = await ask(board, room, me, "wait")
            while "begin wait" not in notes(gate):
                await asyncio.sleep(0.01)
            await room.close(0)
            await board.close()
            store = Store(f"sqlite:///{room.configuration.serve.keys_path().with_name('jobs.sqlite3')}")
            back = store.get(job.id)
            store.close()
            assert back is not None
            assert (back.state, back.token) == ("queued", None)

    asyncio.run(main())


def test_one_that_is_taken_while_the_server_ends_is_given_back(
    jobs: Opened, me: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            loop, begun, take, released = asyncio.get_running_loop(), asyncio.Event(), board.store.take, []

            def slowly(*args: Any) -> Job | None:
                found = take(*args)
                loop.call_soon_threadsafe(begun.set)
                time.sleep(0.2)
                return found

            release = board.store.release
            monkeypatch.setattr(board.store, "take", slowly)
            monkeypatch.setattr(board.store, "release", lambda *args: released.append(release(*args)))
            board.start()
            await ask(board, room, me)
            await asyncio.wait_for(begun.wait(), 30)
            await board.close()
            assert released == [True]

    asyncio.run(main())


def test_turns_go_round_between_those_who_ask(jobs: Opened, gate: Path, me: Caller) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            other = Caller(None, "anonymous", "127.0.0.2")
            mine = [await ask(board, room, me, f"quick mine{n}") for n in range(3)]
            theirs = await ask(board, room, other, "quick theirs")
            board.start()
            for job, who in ((mine[-1], me), (theirs, other)):
                await ended(board, job, who)
            begun = [note.removeprefix("begin quick ") for note in notes(gate) if note.startswith("begin")]
            assert begun.index("theirs") == 1, "who asks for much delays another by one"

    asyncio.run(main())


def test_what_is_in_a_request_names_no_file(jobs: Opened, me: Caller) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            options = {"text": "quick", "x": {"media": "../../keys.json"}, "y": ["u0"]}
            chosen = room.find("gate", "tts", me)
            job = await board.create(me, "call", chosen, "generate_audio", Request(options, "text"))
            stored = board.store.get(job.id)
            assert stored is not None
            assert stored.request["media"] == {}
            board.start()
            with pytest.raises(LollmsError):
                await board.found("x" * 65, me, ("call",))
            assert (await ended(board, job, me)).state == "failed"

    asyncio.run(main())


def test_what_is_no_id_is_not_looked_for(jobs: Opened, me: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every database takes any text: PostgreSQL has no NUL, and would seem lost."""

    async def main() -> None:
        async with jobs() as (board, _):
            for method in ("get", "listed"):
                monkeypatch.setattr(board.store, method, None)
            for odd in ("", "x", "job_" + "0" * 31 + "\0", "job_" + "0" * 33, "JOB_" + "0" * 32, "\ud800"):
                with pytest.raises(JobNotFound):
                    await board.found(odd, me, KINDS)
                assert await board.listed(me, KINDS, after=odd) == ([], False)

    asyncio.run(main())


def test_who_watches_and_leaves_is_forgotten(jobs: Opened, me: Caller) -> None:
    async def main() -> None:
        async with jobs() as (board, room):
            job = await ask(board, room, me)
            changes = [board.watch(job, me) for _ in range(3)]
            for each in changes:
                await anext(each)
            assert len(board._changed) == 1
            for each in changes[1:]:
                await each.aclose()
            await board.cancel(job, me)
            assert (await asyncio.wait_for(anext(changes[0]), 30)).state == "cancelled"
            await changes[0].aclose()
            del changes, each
            gc.collect()
            assert len(board._changed) == 0

    asyncio.run(main())
