"""A server in a process of its own, for tests, and raw requests to it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from counting import Counted, plant
from forking import Forked, fork
from waiting import files_below

SERVE = "[serve]\nkeys_file = KEYS\n"  # with which a configuration begins


def models(binding: str = "counting", /, **names: str) -> str:
    """The part of a configuration in which a binding is served in place under names, each for a modality."""
    return "".join(
        f'[models.{name}]\nbinding = "{binding}"\nmodality = "{modality}"\nisolated = false\n'
        for name, modality in names.items()
    )


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of the answer, which is one."""
        told = self.json
        assert isinstance(told["error"]["message"], str)
        assert told["detail"] == told["error"]["message"]
        error: dict[str, Any] = told["error"]
        return error


class Server:
    """One server.

    Attributes:
        port: that it listens at; ``hears`` and ``speaks``, those of Wyoming, where it is spoken.
        counted: what the counting engines have written down.
        uploads: the folder in which it makes its own.
    """

    def __init__(self, process: Forked, ports: list[int], counted: Counted, uploads: Path, log: Path) -> None:
        self.process = process
        self.port, self.hears, self.speaks = ports if len(ports) == 3 else (ports[0], 0, 0)
        self.counted = counted
        self.uploads = uploads
        self.log = log

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, data: bytes) -> Reply:
        """What is answered to raw bytes."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_reply(connection)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **more: str
    ) -> Reply:
        """Ask: a body that is no bytes is JSON."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(data))}
        if body is not None and not isinstance(body, bytes):
            given["Content-Type"] = "application/json"
        given |= {**(headers or {}), **more}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        return self.send("\r\n".join(lines).encode("latin-1") + data)

    def files(self) -> list[Path]:
        """The uploads that lie on its disk."""
        return files_below(self.uploads)


def read_reply(connection: socket.socket) -> Reply:
    """The next answer on a connection; one without length is read to its end."""
    head, _, rest = _until(connection, b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = _chunked(connection, rest)
    else:
        body = rest
        while len(body) < int(headers.get("content-length", "0")):
            if not (part := connection.recv(65536)):
                raise ConnectionError("cut")
            body += part
    return Reply(int(first.split(" ")[1]), headers, body)


def _until(connection: socket.socket, end: bytes, before: bytes = b"") -> tuple[bytes, bytes, bytes]:
    data = before
    while end not in data:
        if not (part := connection.recv(65536)):
            raise ConnectionError(f"cut after {data[:200]!r}")
        data += part
    return data.partition(end)


def _chunked(connection: socket.socket, rest: bytes) -> bytes:
    body = b""
    while True:
        size, _, rest = _until(connection, b"\r\n", rest)
        wanted = int(size, 16)
        while len(rest) < wanted + 2:
            if not (part := connection.recv(65536)):
                raise ConnectionError("cut")
            rest += part
        body, rest = body + rest[:wanted], rest[wanted + 2 :]
        if not wanted:
            return body


def form(parts: Mapping[str, str | tuple[str, bytes]], boundary: str = "b0undary") -> tuple[bytes, dict[str, str]]:
    """A form's body and its headers; a part with a name and bytes is a file."""
    body = b""
    for name, part in parts.items():
        said = f'name="{name}"' + (f'; filename="{part[0]}"' if isinstance(part, tuple) else "")
        data = part[1] if isinstance(part, tuple) else part.encode()
        body += f"--{boundary}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


@contextmanager
def serving(folder: Path, configuration: str, **limits: Any) -> Iterator[Server]:
    """A server that is ended with the block.

    Args:
        folder: for all that it keeps.
        configuration: its file.
        limits: other limits than the usual ones.
    """
    planted = plant(folder / "planted")
    counted, uploads = Counted(folder / "counted"), folder / "uploads"
    uploads.mkdir()
    file = folder / "config.toml"
    file.write_text(configuration.replace("KEYS", json.dumps(str(folder / "keys.json"))), "utf-8")
    environment = os.environ | {"COUNTING_LOG": str(counted.path)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(planted), environment.get("PYTHONPATH"))))
    log = folder / "log"
    wanted = {"file": str(file), "limits": limits, "uploads": str(uploads), "environment": environment}
    with fork(wanted, log) as process:
        said = process.said()
        assert said, log.read_text()
        yield Server(process, [int(port) for port in said.split()], counted, uploads, log)


def server_of(configuration: str, **limits: Any) -> Any:
    """A fixture: one server for all tests of a file; arguments as of ``serving``."""
    import pytest  # which the soaks that have servers do not

    @pytest.fixture(scope="module")
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with serving(tmp_path_factory.mktemp("server"), configuration, **limits) as running:
            yield running

    return server
