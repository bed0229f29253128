"""What an engine's library prints by itself."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

import pytest
from lollms_modalities import LollmsTTIBinding
from lollms_modalities.calls.call import Call
from lollms_modalities.kit.quieting import relay_logs, without_bars


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """What a library prints that has its own handler, as transformers and diffusers have."""
    logger, text = logging.getLogger("noisy_library"), io.StringIO()
    handler = logging.StreamHandler(text)
    logger.addHandler(handler)
    logger.propagate = False
    yield text
    logger.removeHandler(handler)


@pytest.fixture
def application() -> Iterator[list[str]]:
    """What an application hears that listens to the root logger."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listener = Listener()
    logging.getLogger().addHandler(listener)
    yield heard
    logging.getLogger().removeHandler(listener)


class Idle(LollmsTTIBinding):
    def generate_image(self, prompt: str, *args: object, **kwargs: object) -> bytes:  # type: ignore[override]
        return b""

    def list_services(self, **kwargs: object) -> list[dict[str, str]]:
        return []


def test_inside_a_call_the_application_s_logging_hears_it(printed: io.StringIO, application: list[str]) -> None:
    relay_logs("noisy_library")
    relay_logs("noisy_library")
    noisy = logging.getLogger("noisy_library.part")
    with Call("generate", Idle()).attach():
        noisy.warning("inside")
    assert printed.getvalue() == ""
    assert application == ["inside"]
    noisy.warning("outside")
    assert printed.getvalue() == "outside\n"


def test_a_handler_that_the_application_shares_hears_it_once(printed: io.StringIO) -> None:
    handler = logging.getLogger("noisy_library").handlers[0]
    logging.getLogger().addHandler(handler)
    try:
        relay_logs("noisy_library")
        with Call("generate", Idle()).attach():
            logging.getLogger("noisy_library").warning("inside")
    finally:
        logging.getLogger().removeHandler(handler)
    assert printed.getvalue() == "inside\n"


class Bars:
    """As transformers' and diffusers' ``utils.logging``."""

    def __init__(self, name: str, shown: bool) -> None:
        self.__name__ = name
        self.shown = shown

    def is_progress_bar_enabled(self) -> bool:
        return self.shown

    def enable_progress_bar(self) -> None:
        self.shown = True

    def disable_progress_bar(self) -> None:
        self.shown = False


def test_bars_are_shown_again_afterwards_where_they_were() -> None:
    on, off = Bars("on", True), Bars("off", False)
    with contextlib.suppress(KeyError), without_bars(on, off):
        assert (on.shown, off.shown) == (False, False)
        raise KeyError
    assert (on.shown, off.shown) == (True, False)
