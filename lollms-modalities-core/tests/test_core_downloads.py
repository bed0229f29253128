"""What a server may answer to the request for a file, and what of it is the file."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lollms_modalities import ServiceError
from lollms_modalities.kit.downloading import download, read_url

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """The address of a server that answers each request with these bytes and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    if not connection.recv(65536):
                        return
                    connection.sendall(raw)

        thread = threading.Thread(target=run)
        thread.start()
        host, port = server.getsockname()
        try:
            yield f"HTTP://{host}:{port}/file.bin"
        finally:
            socket.create_connection((host, port)).close()
            thread.join(60)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


REFUSED = {
    "a part": (b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-4/50\r\nContent-Length: 5\r\n\r\nhello", 206, False),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, False),
    "not yet": (b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello", 202, False),
    "compressed": (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello"), None, False),
    "too often": (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", 429, True),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_not_the_whole_file_is_refused(which: str, tmp_path: Path) -> None:
    raw, status, again = REFUSED[which]
    with answering(raw) as url:
        for fetch in (lambda: download(url, tmp_path / "file.bin"), lambda: read_url(url)):
            with pytest.raises(ServiceError) as refused:
                fetch()
            assert (refused.value.status, refused.value.retryable) == (status, again)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", [b"abc", b"-5", b"5, 5", b""])
def test_a_length_that_is_none_is_none(said: bytes, tmp_path: Path) -> None:
    with answering(OK + b"Content-Length: " + said + b"\r\n\r\nhello") as url:
        assert download(url, tmp_path / "file.bin").read_bytes() == b"hello"
        assert read_url(url) == b"hello"


def test_an_archive_that_servers_call_compressed_is_fetched_as_it_is(tmp_path: Path) -> None:
    packed = gzip.compress(b"hello")
    with answering(OK + b"Content-Encoding: x-gzip\r\n\r\n" + packed) as url:
        assert download(url, tmp_path / "file.tar.gz").read_bytes() == packed


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:abc/x", "http://127.0.0.1:1/a b", "http:///x", "http://127.0.0.1:1/ä"]
)
def test_an_address_that_is_none_is_not_tried_again(url: str) -> None:
    with pytest.raises(ServiceError) as refused:
        read_url(url)
    assert refused.value.retryable is (url == "http:///x")
