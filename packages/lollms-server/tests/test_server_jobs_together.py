"""Three servers over one PostgreSQL and one folder of results: any of them answers for any job."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from job_servers import ENDED, JOBS, SPEAK, Shared, ask, kill, shared, states
from postgres import postgres
from serving import Server
from waiting import wait_until

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with postgres() as running, shared(tmp_path_factory.mktemp("together") / "all", running.url, isolated=True) as made:
        yield made


@pytest.fixture(scope="module")
def three(servers: Shared) -> list[Server]:
    return [servers.start() for _ in range(3)]


def events(server: Server, job: str) -> list[dict[str, Any]]:
    reply = server.ask("GET", f"{JOBS}/{job}", headers={"Accept": "text/event-stream"})
    assert reply.status == 200
    lines = reply.body.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def test_any_tells_lists_serves_and_deletes_what_any_has_made(servers: Shared, three: list[Server]) -> None:
    jobs = [ask(server, 4, f"any {n}") for n, server in enumerate(three * 3)]
    for (job, _, _), server in zip(jobs, itertools.cycle(three[1:] + three[:1]), strict=False):
        told = events(server, job)
        assert told[-1]["status"] == "completed", told
        progress = [event["progress"] for event in told]
        assert progress == sorted(progress)
        assert len({other.ask("GET", f"{JOBS}/{job}/content").body for other in three}) == 1
    assert states(three[0]) == states(three[1]) == states(three[2])
    begun = servers.begun()
    assert {begun[text] for _, text, _ in jobs} == {1}, "none is run twice"
    job = jobs[0][0]
    assert three[2].ask("DELETE", f"{JOBS}/{job}").status == 200
    assert [server.ask("GET", f"{JOBS}/{job}").status for server in three] == [404] * 3
    assert not (servers.results / job).exists()


def test_a_cancel_at_any_reaches_the_one_that_runs_it(servers: Shared, three: list[Server]) -> None:
    before = [counted.count("cancelled") for counted in servers.counted]
    jobs = [ask(server, 100000, f"long {n}") for n, server in enumerate(three)]
    wait_until(lambda: all(servers.begun()[text] == 1 for _, text, _ in jobs), 60)
    for (job, _, _), server in zip(jobs, three[1:] + three[:1], strict=True):
        assert server.ask("POST", f"{JOBS}/{job}/cancel").json["status"] == "cancelled"
    wait_until(lambda: sum(c.count("cancelled") for c in servers.counted) == sum(before) + 3, 60)
    for server in three:
        assert {states(server)[job]["status"] for job, _, _ in jobs} == {"cancelled"}


ODD = ["job_" + "0" * 31 + "%00", "%00", "job_" + "0" * 32, "JOB_" + "0" * 32, "job_" + "0" * 32 + "%00", "%F0%9F%98%80", "%ff",
       "job_%ed%a0%80" + "0" * 26, "x" * 5000, "%27%3B--", "video_" + "0" * 32]  # fmt: skip


def test_what_is_no_id_is_not_found_and_no_database_is_lost(servers: Shared, three: list[Server]) -> None:
    """PostgreSQL has no NUL, nothing that is no UTF-8, and no longer text than a column takes."""
    server, _, _ = three
    for odd in ODD:
        for path in (JOBS, "/v1/videos", "/v1/music", "/v1/images/results"):
            tails = ("/0",) if "images" in path else ("", "/content")
            for tail in tails:
                reply = server.ask("GET", f"{path}/{odd}{tail}")
                assert (reply.status, reply.error["code"] in ("job_not_found", "not_found")) == (404, True), (path, odd)
            if "images" not in path:
                assert server.ask("DELETE", f"{path}/{odd}").status == 404
                assert server.ask("GET", f"{path}?after={odd}").json["data"] == []
        for path in (f"{JOBS}/{odd}/cancel", f"/v1/videos/{odd}/remix"):
            assert server.ask("POST", path, {"prompt": "x"} if "remix" in path else None).status == 404
        assert server.ask("DELETE", f"/lollms/v2/calls/{odd}").status == 404
    headers = {"Prefer": "respond-async", "Idempotency-Key": "a\xff\xe9"}
    for text, ends in (("work 1 0.05 a\0b", "failed"), ("work 1 0.05 \U0001f600 \x7f \u2028", "completed")):
        made = {server.ask("POST", SPEAK, {"arguments": {"text": text}}, headers).json["id"] for _ in range(2)}
        assert len(made) == 1, "it is one job"
        told = events(server, *made)
        assert told[-1]["status"] == ends, told
        if ends == "failed":  # the table holds it, the engine is not given it
            assert "NUL" in told[-1]["error"]["message"]
        headers |= {"Idempotency-Key": "b" * 255}
    assert "does not answer" not in server.log.read_text()


def test_what_a_killed_one_ran_is_told_by_the_others_and_what_waited_runs(servers: Shared) -> None:
    one, *others = [servers.start() for _ in range(3)]
    number = len(servers.counted) - 3
    jobs = [ask(one, 60 if n < 12 else 2, f"killed {n}") for n in range(18)]
    wait_until(lambda: sum(servers.begun(number).values()) > 0, 60)
    kill(one)
    for server in others:
        wait_until(lambda server=server: all(states(server)[job]["status"] in ENDED for job, _, _ in jobs), 90)  # type: ignore[misc]
    assert states(others[0]) == states(others[1])
    rows, begun, gone = states(others[0]), servers.begun(), servers.begun(number)
    for job, text, _ in jobs:
        assert begun[text] <= 1, "none is run twice"
        if rows[job]["status"] == "failed":
            assert rows[job]["error"]["code"] == "job_lost"
            assert gone[text] or not begun[text], "only what the killed one had taken"
        else:
            assert rows[job]["status"] == "completed"
    assert {rows[job]["status"] for job, _, _ in jobs} == {"completed", "failed"}
