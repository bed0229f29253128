"""One browser and one server for all that is tested of the page, and a visit for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Visit, chromium, visiting
from harvard import spoken
from lollms_server.room.keys import Keys
from page_served import CONFIGURATION, SENTENCE, Keyed
from playwright.sync_api import Browser
from serving import Server, serving


@pytest.fixture(scope="package")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence that Piper speaks."""
    file = tmp_path_factory.mktemp("recording") / "glue sheet.wav"
    spoken(SENTENCE).save(file)
    return file


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It serves Piper, faster-whisper, the examples, and engines that write down what becomes of them."""
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION) as running:
        yield running


@pytest.fixture(scope="package")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server with keys."""
    folder = tmp_path_factory.mktemp("keyed")
    keys = Keys(folder / "keys.json")
    user, admin = keys.add("anna"), keys.add("boss", role="admin")
    with serving(folder, CONFIGURATION) as running:
        yield Keyed(running, user, admin)


@pytest.fixture(scope="package")
def browser(recording: Path) -> Iterator[Browser]:
    """Chromium, into whose microphone the recording is spoken."""
    with chromium(microphone=recording) as started:
        yield started


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    """Somebody who looks at the page."""
    with visiting(browser, server.address) as made:
        yield made
