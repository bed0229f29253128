"""The pytest plug-in: one flag, one mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lollms-isolated``."""
    group = parser.getgroup("lollms", "conformance of bindings")
    group.addoption(
        "--lollms-isolated",
        action="store_true",
        help="run the conformance suites with each binding in another process",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line("markers", "lollms_crosses: what an engine's values do on their way to another process")
