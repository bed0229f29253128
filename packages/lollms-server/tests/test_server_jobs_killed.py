"""Two servers over one table, of which one is ended, gracefully or not: every job ends once, right or told."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_servers import all_ended, ask, files, kill, shared, states
from postgres import postgres
from serving import Server
from waiting import wait_until


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as running:
        yield running.url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("database"))


def running(server: Server) -> list[str]:
    return [job for job, row in states(server).items() if row["status"] == "in_progress"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_every_job_ends_once(url: str, tmp_path: Path, number: int) -> None:
    with shared(tmp_path / "all", url) as servers:
        first, second = servers.start(), servers.start()
        before = set(states(first))
        jobs = [ask(first, 60 if n < 8 else 3, f"{number} {n}") for n in range(20)]
        # It is at work, and so is the other.
        wait_until(lambda: all(counted.count("began") > counted.count("ended") for counted in servers.counted))
        kill(first, number)
        ended = all_ended(second, jobs)
        assert set(states(second)) - before == {job for job, _, _ in jobs}, "none is lost, none is there twice"
        begun = servers.begun()
        if number == signal.SIGKILL:
            failed = {job for job, row in states(second).items() if row["status"] == "failed"} - before
            others = {job for job, text, _ in jobs if text in servers.begun(1)}
            assert not failed & others, "only those whose server is gone are failed"
            assert ended["failed"] == len(failed) > 0
            assert max(begun[text] for _, text, _ in jobs) == 1, "none is run twice"
        else:
            assert ended == {"completed": 20}, "what it could not end goes back into the queue"
        kept = files(servers.results, jobs)
        done = {job for job, row in states(second).items() if row["status"] == "completed"}
        assert {job: number for job, number in kept.items() if number} == {job: 1 for job, _, _ in jobs if job in done}


@pytest.mark.full
def test_what_waited_runs_after_a_restart(tmp_path: Path) -> None:
    with shared(tmp_path / "all") as servers:
        first = servers.start()
        jobs = [ask(first, 400 if n < 4 else 1, str(n)) for n in range(8)]
        wait_until(lambda: len(running(first)) == 4)
        kill(first)
        again = servers.start()
        assert all_ended(again, jobs) == {"completed": 4, "failed": 4}


@pytest.mark.full
def test_two_servers_share_the_work(url: str, tmp_path: Path) -> None:
    with shared(tmp_path / "all", url) as servers:
        one, other = servers.start(), servers.start()
        jobs = [ask(one, 30, f"shared {n}") for n in range(16)]
        assert all_ended(other, jobs) == {"completed": 16}
        assert all(counted.count("began") for counted in servers.counted), "both have run some"
        assert set(servers.begun()[text] for _, text, _ in jobs) == {1}


def test_a_job_is_cancelled_from_another_server(tmp_path: Path) -> None:
    with shared(tmp_path / "all") as servers:
        one = servers.start()
        job, _, _ = ask(one, 100000, "long")
        wait_until(lambda: servers.counted[0].count("began") == 1)
        other = servers.start()
        assert other.ask("POST", f"/lollms/v2/jobs/{job}/cancel").json["status"] == "cancelled"
        wait_until(lambda: servers.counted[0].count("cancelled") == 1)
        job, _, _ = ask(one, 100000, "longer")
        wait_until(lambda: servers.counted[0].count("began") + servers.counted[1].count("began") == 2)
        assert other.ask("DELETE", f"/lollms/v2/jobs/{job}").status == 200
        wait_until(lambda: servers.counted[0].count("cancelled") + servers.counted[1].count("cancelled") == 2)
        wait_until(lambda: not (servers.results / job).exists())


@pytest.mark.full
def test_a_database_that_goes_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    with postgres() as database, shared(tmp_path / "all", database.url) as servers:
        server = servers.start()
        long = ask(server, 150, "long")
        wait_until(lambda: running(server) == [long[0]])
        database.stop()
        refused = server.ask("GET", f"/lollms/v2/jobs/{long[0]}")
        assert (refused.status, refused.error["code"]) == (503, "store_lost")
        assert int(refused.headers["retry-after"]) > 0
        wait_until(lambda: servers.counted[0].count("ended") == 1)  # it is done while nobody can be told
        database.start()
        assert all_ended(server, [long]) == {"completed": 1}
        more = [ask(server, 2, str(n)) for n in range(4)]
        assert all_ended(server, more) == {"completed": 4}
