"""A plug-in of pytest: the conformance suites with each binding behind ``lollms serve``, which serves its settings.

    PYTHONPATH=tests/support pytest -p over_server packages/lollms-piper/tests/test_piper_conformance.py

A server for each suite; each kind of settings is a model of its configuration, which it reads again at SIGHUP.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import ServerPlace
from lollms_modalities.testing.suite import Suite
from lollms_server.room.keys import Keys
from waiting import wait_until


class ServedSettings:
    """One server, whose models are added while it runs."""

    def __init__(self, folder: Path) -> None:
        self._file, self._log = folder / "config.toml", folder / "log"
        self._names: dict[tuple[str, str, str], str] = {}
        self.key = Keys(folder / "keys.json").add("suite", role="admin")
        self._head = (
            f'[serve]\nkeys_file = "{folder / "keys.json"}"\nsocket = "{folder / "socket"}"\nmax_queue = 1000\n'
        )
        self._models = '[models.placeholder]\nbinding = "example"\nmodality = "tti"\n'
        self._write()
        self._begin()

    def _begin(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "lollms_client",
            "serve",
            "--config",
            str(self._file),
            "--port",
            str(self.port),
        ]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self._ask("/ready") is not None, 60)

    def _ask(self, path: str) -> Any:
        assert self.process.poll() is None, self._log.read_text()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {self.key}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(self._head + self._models, "utf-8")
        os.replace(part, self._file)

    def model(self, modality: str, binding: str, settings: dict[str, Any]) -> str:
        """The name of a model with these settings."""
        told = {name: _plain(value) for name, value in settings.items() if value is not None}
        key = (modality, binding, json.dumps(told, sort_keys=True))
        if key not in self._names:
            name = f"{binding}-{len(self._names)}" if self._names else binding
            rows = "".join(f"{n} = {_toml(v)}\n" for n, v in told.items())
            self._models += (
                f'[models.{name}]\nbinding = "{binding}"\nmodality = "{modality}"\n[models.{name}.settings]\n{rows}'
            )
            self._write()
            self.process.send_signal(signal.SIGHUP)
            wait_until(lambda: name in [row["name"] for row in self._ask("/lollms/v2/bindings")["data"]])
            self._names[key] = name
        return self._names[key]

    def place(self) -> ServerPlace:
        return ServerPlace(f"http://127.0.0.1:{self.port}", key=self.key)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()


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


# What these look at is not the binding's here: the model is the server's, and its process another machine's.
NOT_HERE = {
    "test_listing_loads_nothing": "the model may be loaded, as others have used it",
    "test_nothing_grows_with_calls": "the process that would grow is the server's",
    "test_nothing_grows_with_calls_that_are_stopped": "the process that would grow is the server's",
    "test_nothing_grows_with_calls_that_are_refused": "the process that would grow is the server's",
    "test_nothing_grows_with_streams": "the process that would grow is the server's",
    "test_unloaded_when_nobody_asks": "keep_alive is the served model's, not the setting of the binding",
}


# Nor these, of bindings whose settings are paths: only the server's configuration says those.
PATHS_ARE_SET = ("test_a_default_of_the_settings_is_what_is_used", "test_instances_are_independent")
OF_PATHS = ("TestPiper",)


def _applies(item: pytest.Item) -> bool:
    name, suite = getattr(item, "originalname", item.name), getattr(getattr(item, "cls", None), "__name__", "")
    return name not in NOT_HERE and not (suite in OF_PATHS and name in PATHS_ARE_SET)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not apply."""
    config.hook.pytest_deselected(items=[item for item in items if not _applies(item)])
    items[:] = [item for item in items if _applies(item)]


class _Fixtures:
    """In the place of the suites' own."""

    @pytest.fixture(scope="class")
    @classmethod
    def isolated(cls: Any) -> bool:
        return True

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls: Any) -> Iterator[Callable[..., Any]]:
        made: list[Any] = []
        with tempfile.TemporaryDirectory() as folder:
            server = ServedSettings(Path(folder))

            def make(**settings: Any) -> Any:
                name = server.model(cls.binding.modality, cls.ref().name, {**cls.settings, **settings})
                made.append(cls.manager().require_binding(name, place=server.place()))
                return made[-1]

            try:
                yield make
                for binding in made:
                    binding.close()
            finally:
                server.close()


def pytest_configure(config: pytest.Config) -> None:
    """From now on it is these."""
    for name in ("isolated", "make"):
        setattr(Suite, name, vars(_Fixtures)[name])
