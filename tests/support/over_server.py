"""A plug-in of pytest: the conformance suites with each binding behind ``lollms serve``, which serves its settings.

    PYTHONPATH=tests/support pytest -p over_server packages/lollms-piper/tests/test_piper_conformance.py

A server for each suite; each kind of settings is a model of its configuration, which it reads again at SIGHUP.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities.testing.suite import Suite
from served_settings import ServedSettings

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
    def maker(cls: Any) -> Iterator[Callable[..., Any]]:
        with tempfile.TemporaryDirectory() as folder:
            server = ServedSettings(Path(folder))

            def make(**settings: Any) -> Any:
                name = server.model(cls.binding.modality, cls.ref().name, {**cls.settings, **settings})
                return cls.manager().require_binding(name, place=server.place())

            try:
                yield make
            finally:
                server.close()


def pytest_configure(config: pytest.Config) -> None:
    """From now on it is these."""
    for name in ("isolated", "maker"):
        setattr(Suite, name, vars(_Fixtures)[name])
