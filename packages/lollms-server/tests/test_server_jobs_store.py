"""The table of jobs, on both databases: who takes a job, who has lost it, what is promised."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import ConfigurationError
from lollms_server.jobs import schema
from lollms_server.jobs.errors import KeyReused, StoreFull, StoreLost
from lollms_server.jobs.files import Files, files_of
from lollms_server.jobs.job import Job
from lollms_server.jobs.store import Limits, Store
from lollms_server.room.errors import QueueFull
from postgres import Postgres, postgres
from sqlalchemy import text

NO_LIMITS = Limits(1 << 40, 1 << 20)
LIFE = 1000.0


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/jobs.sqlite3"
        return
    server: Postgres = request.getfixturevalue("database")
    yield server.url
    store = Store(server.url)
    with store._writing() as connection:
        schema.metadata.drop_all(connection)
    store.close()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store(url)
    yield made
    made.close()


def values(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": f"job_{number:032x}", "kind": "call", "owner": "key anna", "modality": "tts", "model": "one",
        "verb": "generate_audio", "state": "queued", "shown": {"prompt": "p"}, "request": {"options": {"a": 1}},
        "size": 10, **more,
    }  # fmt: skip


def add(store: Store, number: int = 0, **more: Any) -> Job:
    return store.add(values(number, **more), NO_LIMITS)[0]


def taken(store: Store, job: Job, token: str = "t", lease: float = 100.0) -> Job:
    found = store.take(job.number, "server", token, lease)
    assert found is not None
    return found


def test_a_job_goes_its_way(store: Store) -> None:
    job = add(store)
    assert (job.state, job.request, job.has_ended) == ("queued", {"options": {"a": 1}}, False)
    (head,) = store.waiting()
    assert head == ("tts", "one", "key anna", job.number)
    running = taken(store, job)
    assert (running.state, store.waiting()) == ("in_progress", [])
    store.progress("t", 0.5, {"stage": "x"})
    seen = store.get(job.id)
    assert seen is not None
    assert (seen.done, seen.progress) == (0.5, {"stage": "x"})
    assert store.finish("t", {"state": "completed", "result": {"files": []}, "size": 7, "shown": {}}, LIFE)
    ended = store.get(job.id)
    assert ended is not None
    assert (ended.state, ended.size, ended.request, ended.shown) == ("completed", 7, {}, {}), "what was asked is gone"
    assert ended.created <= (ended.taken or 0) <= (ended.ended or 0)
    assert ended.expires == pytest.approx((ended.ended or 0) + LIFE, abs=1)
    assert abs(ended.created - time.time()) < 60
    assert not store.finish("t", {"state": "failed"}, LIFE), "a job ends once"
    assert not store.cancel(job.id, LIFE)


def test_of_many_who_take_it_one_has_it(store: Store) -> None:
    jobs = [add(store, n) for n in range(10)]
    begin = threading.Barrier(8)

    def take_all(server: int) -> list[str]:
        begin.wait(10)
        return [job.id for job in jobs if store.take(job.number, str(server), f"{server} {job.number}", 100)]

    with ThreadPoolExecutor(8) as threads:
        taken = [job_id for found in threads.map(take_all, range(8)) for job_id in found]
    assert sorted(taken) == sorted(job.id for job in jobs)


def test_only_leases_that_are_over_are_failed(store: Store) -> None:
    lost, held, waits = (add(store, n) for n in range(3))
    taken(store, lost, "lost", -1.0)
    taken(store, held, "held", 100.0)
    assert store.fail_lost({"message": "told"}, LIFE) == [lost.id]
    failed, kept = store.get(lost.id), store.get(held.id)
    assert failed is not None
    assert kept is not None
    assert (failed.state, failed.error, failed.request) == ("failed", {"message": "told"}, {})
    assert kept.state == "in_progress"
    assert [head.number for head in store.waiting()] == [waits.number]
    # Who was thought dead and is not has lost it.
    assert store.hold(["lost", "held"], 100.0) == {"held"}
    assert not store.finish("lost", {"state": "completed"}, LIFE)


def test_a_lease_that_is_renewed_holds(store: Store) -> None:
    job = taken(store, add(store), "t", 0.2)
    for _ in range(5):
        assert store.hold(["t"], 30.0) == {"t"}
        assert store.fail_lost({}, LIFE) == []
    assert store.hold(["t"], -1.0) == {"t"}
    assert store.fail_lost({}, LIFE) == [job.id]


def test_a_cancelled_or_deleted_job_is_lost_to_who_runs_it(store: Store) -> None:
    for number, end in enumerate((lambda j: store.cancel(j.id, LIFE), lambda j: store.remove(j.id))):
        job = taken(store, add(store, number), f"t{number}")
        assert end(job)
        assert store.held([f"t{number}"]) == set()
        assert not store.finish(f"t{number}", {"state": "completed"}, LIFE)


def test_one_that_is_given_back_waits_as_long_as_is_said(store: Store) -> None:
    job = taken(store, add(store))
    assert store.release("t", 100.0)
    assert store.waiting() == []
    with store._writing() as connection:
        connection.execute(schema.JOBS.update().values(not_before=0))
    assert [head.number for head in store.waiting()] == [job.number]
    assert store.take(job.number, "other", "u", 100.0) is not None
    assert not store.release("t", 0.0), "its former holder has no say"


def test_lists_are_pages(store: Store) -> None:
    for number in range(25):
        add(store, number, owner="key anna" if number % 5 else "key ben", kind="video" if number % 2 else "call")
    seen: list[str] = []
    after, more = None, True
    while more:
        rows, more = store.listed("key anna", ["video", "call"], after=after, limit=7)
        seen += [job.id for job in rows]
        after = rows[-1].id
    assert seen == [f"job_{n:032x}" for n in reversed(range(25)) if n % 5]
    rows, _ = store.listed("key anna", ["video"], order="asc", limit=100)
    assert [job.id for job in rows] == [f"job_{n:032x}" for n in range(25) if n % 5 and n % 2]
    assert store.listed(None, ["call", "video"], limit=100)[0].__len__() == 25
    assert store.listed("key anna", ["call"], after="nobody's") == ([], False)
    assert store.listed(None, ["call"], state="failed") == ([], False)


def test_a_request_that_is_sent_again_is_one_job(store: Store) -> None:
    same = {"idempotency": "i" * 64, "asked": "a" * 64}
    first, made = store.add(values(1, **same), NO_LIMITS)
    again, made_again = store.add(values(2, **same), NO_LIMITS)
    assert (made, made_again, again.id) == (True, False, first.id)
    with pytest.raises(KeyReused):
        store.add(values(3, **{**same, "asked": "b" * 64}), NO_LIMITS)
    store.remove(first.id)
    assert store.add(values(4, **same), NO_LIMITS)[1], "a deleted job is none"


def test_at_once_too_it_is_one_job(store: Store) -> None:
    begin = threading.Barrier(6)

    def ask(number: int) -> str:
        begin.wait(10)
        return store.add(values(number, idempotency="i" * 64, asked="a" * 64), NO_LIMITS)[0].id

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(ask, range(6)))) == 1
    assert store.counts() == ({("call", "queued"): 1}, 10)


def test_when_it_is_full_it_says_so_and_deletes_nothing(store: Store) -> None:
    add(store, 1, size=100)
    with pytest.raises(StoreFull, match="100 bytes, of 100"):
        store.add(values(2), Limits(100, 10))
    store.add(values(2, size=0), Limits(101, 2))
    with pytest.raises(QueueFull):
        store.add(values(3), Limits(1000, 2))
    store.add(values(3, owner="key ben"), Limits(1000, 2))
    assert store.counts()[0] == {("call", "queued"): 3}


def test_what_is_over_is_deleted_and_nothing_before(store: Store) -> None:
    for number, life in enumerate((-1.0, 100.0)):
        taken(store, add(store, number), f"t{number}")
        store.finish(f"t{number}", {"state": "completed"}, life)
    add(store, 2)
    assert store.remove_expired() == [f"job_{0:032x}"]
    assert store.known([f"job_{n:032x}" for n in range(4)]) == {f"job_{1:032x}", f"job_{2:032x}"}


def test_the_waiting_jobs_of_an_owner_are_failed(store: Store) -> None:
    add(store, 0)
    add(store, 1, owner="key ben")
    running = taken(store, add(store, 2), "t")
    assert sorted(store.owners_waiting()) == ["key anna", "key ben"]
    assert store.fail_of(["key anna"], {"message": "gone"}, LIFE) == [f"job_{0:032x}"]
    assert store.held(["t"]) == {"t"}, "one that runs goes on"
    assert store.fail_waiting({"message": "old"}, LIFE, older=1000.0) == []
    assert store.fail_waiting({"message": "old"}, LIFE, older=-1.0) == [f"job_{1:032x}"]
    assert running.state == "in_progress"


def test_jobs_that_wait_outlive_an_upgrade(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    older = Store(url)
    job = add(older)

    def second(connection: Any) -> None:
        connection.execute(text("ALTER TABLE lollms_jobs ADD COLUMN colour TEXT"))

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, second])
    with ThreadPoolExecutor(3) as threads:  # servers that start at once: one of them changes it
        newer = list(threads.map(lambda _: Store(url), range(3)))
    assert taken(newer[0], job).request == {"options": {"a": 1}}
    assert add(older, 1).state == "queued", "a server of the older version goes on beside it"
    monkeypatch.undo()
    with pytest.raises(ConfigurationError, match=r"has version 2, and this lollms-server knows 1"):
        Store(url)
    with newer[0]._writing() as connection:  # for the next test
        connection.execute(text("UPDATE lollms_jobs_version SET version = 1"))
    for one in (older, *newer):
        one.close()


def test_its_files_are_the_owners_alone(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/sub/jobs.sqlite3")
    add(store)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "sub").iterdir()}
    assert set(modes.values()) == {0o600}, modes
    store.close()


def test_what_was_asked_is_not_on_the_disk_any_more(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/jobs.sqlite3")
    secret = "a horse of a quite particular colour"
    taken(store, add(store, request={"options": {"prompt": secret}}, shown={"prompt": secret}))
    assert store.finish("t", {"state": "completed", "shown": {}}, LIFE)
    store.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert b"particular" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:geheim@h/d", "no database that it can be"), ("nonsense", "store: "), ("sqlite://", "in memory"),
        ("sqlite:////proc/none/x", "proc"), ("postgresql://u:geheim@127.0.0.1:1/d", "127.0.0.1"),
    ],
)  # fmt: skip
def test_what_is_no_store_is_told_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        Store(url)
    assert "geheim" not in str(refused.value)


def test_a_database_that_is_lost_is_told(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/jobs.sqlite3")
    with store._writing() as connection:
        schema.metadata.drop_all(connection)
    for ask in (lambda: add(store), store.waiting, lambda: store.get("x"), lambda: store.hold(["t"], 1), store.counts):
        with pytest.raises(StoreLost) as lost:
            ask()
        assert lost.value.retry_after > 0
    store.close()


@pytest.mark.full
def test_it_is_found_again_when_it_is_back() -> None:
    with postgres() as server:
        store = Store(server.url)
        job = taken(store, add(store))
        server.stop()
        with pytest.raises(StoreLost):
            store.hold(["t"], 100.0)
        server.start()
        assert store.hold(["t"], 100.0) == {"t"}
        assert store.finish("t", {"state": "completed"}, LIFE)
        assert job.id
        store.close()


@pytest.mark.full
def test_it_is_reached_over_tcp_with_a_password() -> None:
    with postgres("geheim") as server:
        store = Store(server.url)
        assert store.finish("t", {"state": "completed"}, LIFE) is False
        assert taken(store, add(store)).state == "in_progress"
        assert "geheim" not in store.shown
        store.close()
        with pytest.raises(ConfigurationError, match="password authentication failed") as refused:
            Store(server.url.replace("geheim", "falsch"))
        assert "falsch" not in str(refused.value)


def test_a_full_disk_of_the_database_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """SQLite tells of its limit of pages as of a disk."""
    store = Store(f"sqlite:///{tmp_path}/jobs.sqlite3")
    kept = taken(store, add(store))
    with store._writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    _until_it_is_full(store, kept)
    store.close()


@pytest.mark.full
def test_a_full_disk_of_postgresqls_too(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.fail("A small disk is made by root alone.")
    with postgres() as server, tempfile.TemporaryDirectory() as disk:  # not below tmp_path, which is root's alone
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk], check=True)
        try:
            os.chmod(disk, 0o777)
            place = Path(disk) / "space"
            place.mkdir()
            os.chown(place, server.who["user"], server.who["group"])
            store = Store(server.url)
            with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"CREATE TABLESPACE small LOCATION '{place}'")
                connection.exec_driver_sql("ALTER TABLE lollms_jobs SET TABLESPACE small")
            _until_it_is_full(store, taken(store, add(store)))
            store.close()
            server.stop()
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


def _until_it_is_full(store: Store, kept: Job) -> None:
    """Add until there is no room for more; what was promised before stays, and is ended where there is room again."""
    added: list[Job] = []

    def fill() -> None:
        for number in range(1, 2000):
            added.append(add(store, number, request={"options": {"prompt": secrets.token_hex(2000)}}))

    with pytest.raises(StoreFull, match="disk with the jobs is full"):
        fill()
    assert store.known([job.id for job in added]) == {job.id for job in added}
    assert store.hold(["t"], 100.0) == {"t"}
    for job in added[:3]:
        store.remove(job.id)
    assert store.finish("t", {"state": "completed", "result": {"files": []}}, LIFE)
    now = store.get(kept.id)
    assert now is not None
    assert now.state == "completed"


@pytest.fixture(params=["", "file://", "memory://"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return files_of(f"{request.param}{tmp_path}/results")


def test_files_are_written_read_and_removed(files: Files, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(b"xyz")
    assert files.write("a", "u0", tmp_path / "upload") == 3
    assert files.write("a", "r", b"result") == 6
    with files.open("a", "r") as file:
        assert file.read() == b"result"
    assert files.ids(-1.0) == ["a"]
    assert files.ids(1000.0) == []
    files.remove("a", but=("r",))
    with pytest.raises(FileNotFoundError):
        files.open("a", "u0")
    with files.open("a", "r") as file:
        assert file.read() == b"result"
    for _ in range(2):
        files.remove("a")
    assert files.ids(-1.0) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of(tmp_path / "results")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull):
        files.write("a", "r", b"result")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("address", ["nonsense://x", "/proc/none/x"])
def test_where_nothing_can_be_kept_is_told(address: str) -> None:
    with pytest.raises(ConfigurationError, match="results"):
        files_of(address)
