"""Answers that come in two, or break off after their status; and base64 as servers pack it."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from lollms_modalities import ServiceAuthError, ServiceError
from lollms_modalities.kit.http import HttpClient
from lollms_modalities.kit.http.reading import decode_base64
from lollms_modalities.kit.languages import language_code
from loopback import Reply, serving


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server that says this to every request, without asking what it is; with the requests of each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[int] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                asked.append(0)
                with sock:
                    while sock.recv(1 << 16):
                        asked[-1] += 1
                        sock.sendall(answer.replace(b"NUMBER", b"%d" % asked[-1]))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("hint", ["103 Early Hints\r\nLink: x", "102 Processing", "100 Continue"])
def test_an_answer_after_hints_is_the_answer(hint: str) -> None:
    real = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\nNUMBER"
    answer = f"HTTP/1.1 {hint}\r\n\r\n{real.replace('Length: 6', 'Length: 1')}".encode()
    with answering(answer) as (url, asked):
        http = HttpClient(url, retries=0)
        # Else each would get the answer to the one before.
        assert [http.get_json("x") for _ in range(3)] == [1, 2, 3]
        http.close()
    assert asked == [3]


@pytest.mark.parametrize(("status", "kind"), [(500, ServiceError), (401, ServiceAuthError)])
def test_an_error_that_breaks_off_has_its_status(status: int, kind: type[ServiceError]) -> None:
    with serving({"*": Reply({"detail": "x" * 1000}, status, cut=3)}) as server:
        http = HttpClient(server.url, retries=0)
        with pytest.raises(kind, match=f"answered {status}") as caught:
            http.post_json("x", {})
        assert caught.value.status == status
        http.close()


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("form", ["{}", "{}\n", " {}"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 100])
def test_base64_as_servers_pack_it(head: str, form: str, size: int) -> None:
    data = bytes(range(size))
    packed = base64.encodebytes(data).decode()
    for text in (packed, packed.replace("\n", ""), packed.replace("\n", "\r\n")):
        assert decode_base64(head + form.format(text) if head else form.format(text)) == data


@pytest.mark.parametrize("text", ["no base64", "A", "data:image/png,abc!", "\xe9\xe9\xe9\xe9"])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|ASCII"):
        decode_base64(text)


@pytest.mark.parametrize(
    ("tag", "code"),
    [(None, None), ("", None), (" ", None), ("AUTO", None), ("English ", "en"), ("haitian  creole", "ht"), ("zh_Hans_CN", "zh"),
     ("deu", "de"), ("in", "id"), ("ga", "ga"), ("klingon", "klingon")],
)  # fmt: skip
def test_codes_of_languages(tag: str | None, code: str | None) -> None:
    assert language_code(tag) == code
