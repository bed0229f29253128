"""A binding that does what a test tells it to, found like any other; and rooms that serve it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import LollmsTTSBindingManager
from lollms_server.room.callers import Caller
from lollms_server.room.configuration import Configuration, load_configuration
from lollms_server.room.room import Room
from rooms import OpenRoom

SUPPORT = Path(__file__).parents[3] / "tests" / "support"


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the binding ``gate``: what it notes, and the file ``open`` that lets its calls end."""
    site = tmp_path / "site"
    names = "".join(
        f"{name} = gate_binding:{kind}TTSBinding\n" for name, kind in (("gate", "Gate"), ("wide", "WideGate"))
    )
    install(site, "lollms_gate", f"[lollms_client.tts_bindings]\n{names}")
    (site / "gate_binding.py").write_text((SUPPORT / "gate_binding.py").read_text("utf-8"), "utf-8")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    for modality in ("TTS", "STT", "TTI", "TTM", "TTV"):
        monkeypatch.delenv(f"LOLLMS_{modality}_BINDING", raising=False)
    LollmsTTSBindingManager().refresh()
    folder = tmp_path / "gate"
    folder.mkdir()
    yield folder
    sys.modules.pop("gate_binding", None)
    LollmsTTSBindingManager().refresh()


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Configuration]:
    """Gives a configuration of a text, with its keys in the test's folder."""

    def make(text: str, **serve: Any) -> Configuration:
        file = tmp_path / "serve.toml"
        file.write_text(text, "utf-8")
        return load_configuration(file, keys_file=tmp_path / "keys" / "keys.json", **serve)

    return make


@pytest.fixture
def opened(configure: Callable[..., Configuration]) -> OpenRoom:
    """Gives an open room of a configuration's text."""

    @asynccontextmanager
    async def make(text: str, **serve: Any) -> AsyncIterator[Room]:
        room = Room.open(configure(text, **serve))
        try:
            yield room
        finally:
            await room.close(0)

    return make


@pytest.fixture
def me() -> Caller:
    """Somebody on this machine."""
    return Caller(None, "anonymous", "127.0.0.1")


@pytest.fixture
def admin() -> Caller:
    """Somebody who may do all."""
    return Caller("boss", "admin", "127.0.0.1")
