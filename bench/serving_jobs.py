"""Jobs of ``lollms serve``: what one takes longer than the call that it is, and how long a list of many takes."""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lollms_modalities import LollmsTTSBindingManager

from bench.harness import show_extra
from bench.idle_binding import install
from bench.serving import served

_VERB = "/lollms/v2/bindings/tts/idle/verbs/generate_audio"
_JOBS = "/lollms/v2/jobs"
_JSON = {"Content-Type": "application/json"}
_ASYNC = _JSON | {"Prefer": "respond-async"}
_WAITING = 1000


def serving_jobs() -> None:
    """All of it, with the store and the files that there are where nothing is configured."""
    with tempfile.TemporaryDirectory() as folder:
        site = str(install(Path(folder)))
        sys.path.insert(0, site)
        LollmsTTSBindingManager().refresh()
        try:
            with served(Path(folder), site) as (port, _):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                _added(connection)
                _listed(connection)
        finally:
            sys.path.remove(site)
            LollmsTTSBindingManager().refresh()


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: object = None, headers: object = None
) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    connection.request(method, path, data, headers or {})  # type: ignore[arg-type]
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 300:
        raise RuntimeError(content.decode())
    return content


def _added(connection: http.client.HTTPConnection) -> None:
    """A call, and the same as a job: asked for, watched until it is done, fetched."""
    body = {"arguments": {"text": "hi"}}

    def call() -> bytes:
        return _ask(connection, "POST", _VERB, body, _JSON)

    def job() -> bytes:
        made = json.loads(_ask(connection, "POST", _VERB, body, _ASYNC))["id"]
        events = _ask(connection, "GET", f"{_JOBS}/{made}", None, {"Accept": "text/event-stream"})
        assert b'"status":"completed"' in events
        return _ask(connection, "GET", f"{_JOBS}/{made}/content")

    assert call() == job()
    differences, floors = [], []
    for number in range(105):
        taken = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            (job, call)[which]()
            taken[which] = time.perf_counter() - start
        if number >= 5:
            differences.append(taken[0] - taken[1])
            floors.append(taken[1])
    how = f"p50 over the call of {statistics.median(floors) * 1e3:.2f} ms"
    show_extra("a job, fetched", statistics.median(differences), 20e-3, 1e3, "ms", how)


def _listed(connection: http.client.HTTPConnection) -> None:
    """A list of many that wait, behind one that takes long."""
    for number in range(_WAITING + 1):
        body = {"arguments": {"text": "hi", **({"wait": 600.0} if number == 0 else {})}}
        _ask(connection, "POST", _VERB, body, _ASYNC)
    times = []
    for _ in range(30):
        start = time.perf_counter()
        rows = json.loads(_ask(connection, "GET", f"{_JOBS}?limit={_WAITING}&status=queued"))["data"]
        times.append(time.perf_counter() - start)
        assert len(rows) >= _WAITING - 1
    show_extra(f"a list of {len(rows)} that wait", statistics.median(times), 50e-3, 1e3, "ms", "p50 of the request")
