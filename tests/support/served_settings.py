"""A ``lollms serve`` of its own whose models are what a test asks for, and come and go while it runs."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from lollms_modalities import ServerPlace, WorkerPolicy
from lollms_server.room.keys import Keys
from lollms_server.room.terminal import ask
from waiting import wait_until


class ServedSettings:
    """One server, with a key of an admin's.

    Args:
        folder: for its files.
        site: a folder of distributions that it finds besides those that are installed.
        host: the address at which it listens.
    """

    def __init__(self, folder: Path, site: Path | None = None, host: str = "127.0.0.1") -> None:
        self._host = host
        self._file, self._log, self._socket = folder / "config.toml", folder / "log", folder / "socket"
        self._tables: dict[str, str] = {}  # what the configuration says of a model, by its name
        self._variables = dict(os.environ)
        if site is not None:
            found = filter(None, (str(site), os.environ.get("PYTHONPATH")))
            self._variables["PYTHONPATH"] = os.pathsep.join(found)
        self.key = Keys(folder / "keys.json").add("suite", role="admin")
        self._head = (
            f'[serve]\nkeys_file = "{folder / "keys.json"}"\nsocket = "{self._socket}"\nmax_queue = 1000\n'
            '[models.placeholder]\nbinding = "example"\nmodality = "tti"\n'
        )
        self._write()
        with socket.create_server((host, 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "lollms_client", "serve", "--config", self._file, "--host", host]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._variables
            )  # fmt: skip
        wait_until(lambda: self._ask("/ready") is not None, 240)

    def model(self, modality: str, binding: str, settings: dict[str, Any], policy: WorkerPolicy | None = None) -> str:
        """The name of a model with these settings, in as many processes, kept as long, as the policy says."""
        told = {name: _plain(value) for name, value in settings.items() if value is not None}
        table = f"binding = {_toml(binding)}\nmodality = {_toml(modality)}\n"
        if policy is not None:
            table += f"pool = {_toml(policy.pool)}\n"
            table += "" if policy.idle_timeout is None else f"idle_timeout = {policy.idle_timeout}\n"
        kept = told.get("keep_alive")
        if isinstance(kept, (int, float)) and kept >= 0:  # anything else the binding refuses, and not the server
            table += f"keep_alive = {_toml(told.pop('keep_alive'))}\n"
        table += f"settings = {_toml(told)}\n"
        for name, has in self._tables.items():
            if has == table:
                return name
        name = f"{binding}-{len(self._tables)}" if self._tables else binding
        self._tables[name] = table
        try:
            self._tell()
        except BaseException:
            del self._tables[name]  # or the server would take no other, either
            raise
        return name

    def drop_models(self) -> None:
        """Take all out of the configuration."""
        self._tables.clear()
        self._tell()

    def calls(self) -> list[Any]:
        """What is under way there."""
        return list(ask(self._socket, act="ps")["calls"])  # also where no network reaches it

    def place(self) -> ServerPlace:
        return ServerPlace(f"http://{self._host}:{self.port}", key=self.key, allow_http=True)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()

    def _ask(self, path: str) -> Any:
        assert self.process.poll() is None, self._log.read_text()
        request = urllib.request.Request(
            f"http://{self._host}:{self.port}{path}", headers={"Authorization": f"Bearer {self.key}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(self._head + "".join(f"[models.{n}]\n{t}" for n, t in self._tables.items()), "utf-8")
        os.replace(part, self._file)

    def _tell(self) -> None:
        self._write()
        self.process.send_signal(signal.SIGHUP)
        names = {"placeholder", *self._tables}
        wait_until(lambda: {row["name"] for row in self._ask("/lollms/v2/bindings")["data"]} == names)


def _plain(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(name))} = {_toml(held)}" for name, held in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value)
