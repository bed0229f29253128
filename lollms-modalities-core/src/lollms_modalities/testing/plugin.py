"""The pytest plug-in: where the suites' bindings run, and one mark."""

from __future__ import annotations

from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lollms-isolated`` and ``--lollms-place``."""
    group = parser.getgroup("lollms", "conformance of bindings")
    group.addoption(
        "--lollms-isolated",
        action="store_true",
        help="run the conformance suites with each binding in another process",
    )
    group.addoption(
        "--lollms-place",
        metavar="PLACE",
        help="run them with each binding at that place: a name, or an address such as ssh://user@host",
    )


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Say of an engine that fails in a test of the suite what the contract wants, as the suite's own failures do."""
    try:
        return (yield)
    except (Exception, SystemExit) as exc:
        from lollms_modalities.testing.contract import engine_fails

        raise engine_fails(pyfuncitem, exc) from exc


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line("markers", "lollms_crosses: what an engine's values do on their way to another process")
