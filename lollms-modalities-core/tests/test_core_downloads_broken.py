"""Downloads that break off in the midst: what is there is kept, and the rest is asked for, unless that may be wrong."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import CallCancelled, CancelToken, LollmsTTSBinding, Progress, SaveError, ServiceError
from lollms_modalities.kit import download
from loopback import Reply, Request, serving

CONTENT = bytes(range(256)) * 1200
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def broken(content: bytes, at: int, version: str | None = '"1"') -> Callable[[Request], Reply]:
    """A server that gives ``at`` bytes of what it is asked for and then ends the connection."""

    def answer(request: Request) -> Reply:
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"ETag": version} if version else {}
        left = content[start:]
        short = at if len(left) > at else None
        if not start:
            return Reply(left, headers=headers, short=short)
        told = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}", **headers}
        return Reply(left, 206, told, short=short)

    return answer


class Nothing(LollmsTTSBinding):
    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Any: ...

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


@contextmanager
def a_call(progress: Callable[[Progress], object] | None = None, cancel: CancelToken | None = None) -> Iterator[None]:
    with Nothing().task("download_model", progress=progress, cancel=cancel):
        yield


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_modalities.kit.downloading._PAUSES", (0.0,) * 4)


def test_what_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with serving({"*": broken(CONTENT, 100_000)}) as server, a_call(seen.append):
        assert download(f"{server.url}/x", tmp_path / "x", size=len(CONTENT)).read_bytes() == CONTENT
    starts = [int(each.headers.get("Range", "bytes=0-")[6:-1]) for each in server.asked]
    assert starts[0] == 0
    assert len(starts) >= 4
    assert starts == sorted(set(starts)), "each goes on where the one before broke off"
    assert [each.headers.get("If-Range") for each in server.asked] == [None, *['"1"'] * (len(starts) - 1)]
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert seen[-1].done == seen[-1].total == len(CONTENT)


def test_a_file_that_is_another_by_then_is_fetched_from_its_beginning(tmp_path: Path) -> None:
    replies = iter([Reply(b"a" * 1000, headers={"ETag": '"1"'}, short=600), Reply(b"b" * 900, headers={"ETag": '"2"'})])
    with serving({"*": lambda request: next(replies)}) as server:
        assert download(f"{server.url}/x", tmp_path / "x").read_bytes() == b"b" * 900
        assert server.asked[1].headers["Range"].startswith("bytes=")


@pytest.mark.parametrize("version", [None, 'W/"1"'])
def test_without_a_version_it_is_gone_on_with_where_a_digest_tells(version: str | None, tmp_path: Path) -> None:
    with serving({"*": broken(CONTENT, 100_000, version)}) as server:
        with pytest.raises(ServiceError, match=r"broke off|bytes of") as caught:
            download(f"{server.url}/x", tmp_path / "x")
        assert (len(server.asked), caught.value.retryable) == (1, True)
        assert download(f"{server.url}/x", tmp_path / "x", sha256=DIGEST).read_bytes() == CONTENT
        assert all("If-Range" not in each.headers for each in server.asked)
        whole, other = server.routes["*"], broken(CONTENT[::-1], 1 << 30, version)
        server.routes["*"] = lambda request: (other if "Range" in request.headers else whole)(request)  # type: ignore[operator]
        with pytest.raises(ServiceError, match="sha256"):
            download(f"{server.url}/x", tmp_path / "y", sha256=DIGEST)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.usefixtures("no_pauses")
def test_a_server_that_is_gone_or_breaks_off_at_one_place_is_left(tmp_path: Path) -> None:
    first = broken(CONTENT, 100_000)
    gone = Reply(b"", 503)
    stuck = Reply(CONTENT, headers={"ETag": '"1"'}, short=100_000)  # it gives no parts
    with serving({"*": first}) as server:
        for then, said in ((gone, "503"), (stuck, "broke off|bytes of")):
            server.asked.clear()
            server.routes["*"] = lambda request, then=then: first(request) if len(server.asked) == 1 else then  # type: ignore[misc]
            with pytest.raises(ServiceError, match=said):
                download(f"{server.url}/x", tmp_path / "x", sha256=DIGEST)
            assert 5 <= len(server.asked) <= 7
        server.asked.clear()
        server.routes["*"] = gone
        with pytest.raises(ServiceError, match="503"):
            download(f"{server.url}/x", tmp_path / "x", sha256=DIGEST)
        assert len(server.asked) == 1, "where nothing came at all the caller is told at once"
    assert list(tmp_path.iterdir()) == []


def test_another_part_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    for said in ("bytes 5-9/307200", "bytes 100000-307199/9", "items 1-2/3", ""):
        other = Reply(b"x" * 5, 206, {"Content-Range": said})
        first = broken(CONTENT, 100_000)
        with serving({}) as server:
            server.routes["*"] = lambda request, first=first, other=other: (  # type: ignore[misc]
                other if "Range" in request.headers else first(request)
            )
            with pytest.raises(ServiceError, match="was asked for what follows"):
                download(f"{server.url}/x", tmp_path / "x", sha256=DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_a_call_is_stopped_while_it_waits_for_another_attempt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lollms_modalities.kit.downloading._PAUSES", (0.0, 600.0))
    first, token = broken(CONTENT, 100_000), CancelToken()

    def answer(request: Request) -> Reply:
        if "Range" not in request.headers:
            return first(request)
        threading.Timer(0.2, token.cancel).start()
        return Reply(b"", 503)

    with serving({"*": answer}) as server, a_call(cancel=token), pytest.raises(CallCancelled):
        download(f"{server.url}/x", tmp_path / "x", sha256=DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_no_fault_of_the_server() -> None:
    with serving({"*": Reply(CONTENT, headers={"ETag": '"1"'})}) as server:
        with pytest.raises(SaveError, match="No space left"):
            download(f"{server.url}/x", Path("/dev/full"))
        assert len(server.asked) == 1


def test_what_is_looked_at_before_it_is_there(tmp_path: Path) -> None:
    seen: list[tuple[bytes, bool]] = []

    def check(path: Path) -> None:
        seen.append((path.read_bytes(), (tmp_path / "x").exists()))
        if len(seen) > 1:
            raise ServiceError("no")

    with serving({"*": Reply(b"hello")}) as server:
        download(f"{server.url}/x", tmp_path / "x", check=check)
        with pytest.raises(ServiceError, match="no"):
            download(f"{server.url}/x", tmp_path / "y", check=check)
    assert seen == [(b"hello", False), (b"hello", True)]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_large_file_is_not_held(tmp_path: Path) -> None:
    large = bytes(40_000_000)
    with serving({"*": broken(large, 15_000_000)}) as server:
        tracemalloc.start()
        try:
            download(f"{server.url}/x", tmp_path / "x", size=len(large), sha256=hashlib.sha256(large).hexdigest())
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(server.asked) >= 3
    assert (tmp_path / "x").stat().st_size == len(large)
    assert most < 3 * len(large), "that is the server's, in this process"
