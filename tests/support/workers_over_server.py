"""A plug-in for pytest, ``-p workers_over_server``: isolated bindings are models of a ``lollms serve``, in its processes.

So the tests of isolated bindings run over a server as a place. Each kind of settings is a model of its own, and the key
is an admin's, who may do what the owner of a process may. ``NOT_HERE`` says what is left out, and why.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import WorkerPolicy
from lollms_modalities.finding.manager import BindingManager, Maker
from served_settings import ServedSettings

_NASTY = Path(__file__).parents[2] / "lollms-modalities-core" / "tests" / "support" / "nasty_bindings.py"
_running = ExitStack()

# What these look at is the server's there, whoever asks it.
_FILES = "what a file holds is looked at here, where it is, and told with fewer words"
_KILLED = "whoever waits is told at once; that the engine goes on is the server's business, which kills it"
_MODEL = "closing a binding ends its session, never the model that is served"
_ENVIRONMENT = "where its models run a server says itself: environment= is refused"
_CONFIGURED = "how long a process is kept, and by what measure, is said in the server's configuration"
NOT_HERE = {
    "test_wrong_options_say_what_they_say_in_place[wrong2]": _FILES,
    "test_shared_settings_go_where_they_would_go_in_place": "what a program's bindings share is not told to a server",
    "test_errors_of_the_worker_arrive_as_the_nearest_that_is_known": "a server tells no tracebacks",
    "test_an_engine_that_does_not_listen_is_killed": _KILLED,
    "test_out_of_time": _KILLED,
    "test_a_worker_that_takes_nothing_in_is_no_reason_to_wait_for_ever": "there is no process of ours to hold",
    "test_a_worker_that_is_killed_before_it_is_there_is_replaced": "how many workers there are, the server knows",
    "test_closed": _MODEL,
    "test_a_binding_that_nobody_has_ends_its_worker": _MODEL,
    "test_what_the_engine_prints_goes_to_the_log": "it goes to the log of the server",
    "test_replaced_after_so_many_calls": _CONFIGURED,
    "test_replaced_when_it_has_grown": _CONFIGURED,
    "test_a_killed_host_leaves_nothing": _MODEL,
    "test_a_killed_host_whose_forked_child_lives_leaves_no_worker": _MODEL,
    "test_the_interpreter_ends_and_so_does_the_worker": _MODEL,
    "test_a_forked_child_has_a_worker_of_its_own": _MODEL,
    "test_what_environments_hold_is_listed_and_made": _ENVIRONMENT,
    "test_the_path_of_an_environment_will_do": _ENVIRONMENT,
    "test_an_environment_shares_nothing_with_its_host": _ENVIRONMENT,
    "test_what_is_not_there_is_told": _ENVIRONMENT,
    "test_an_environment_without_the_core_or_with_an_old_one": _ENVIRONMENT,
    "test_another_version_of_the_protocol_is_told": _ENVIRONMENT,
}
_served: list[ServedSettings] = []


def pytest_configure(config: pytest.Config) -> None:
    folder = Path(_running.enter_context(tempfile.TemporaryDirectory()))
    site = folder / "site"
    site.mkdir()
    shutil.copy(_NASTY, site)
    points = (
        f"[lollms_client.{m}_bindings]\nnasty = nasty_bindings:Nasty{m.upper()}Binding\n" for m in ("tts", "stt", "tti")
    )
    install(site, "nasty", "".join(points))
    server = ServedSettings(folder, site)
    _served.append(server)
    _running.callback(server.close)
    here = BindingManager.maker

    def maker(
        self: Any, binding_name: str, *, isolated: bool = False, policy: WorkerPolicy | None = None, **more: Any
    ) -> Maker[Any]:
        if not isolated:
            return here(self, binding_name, policy=policy, **more)

        def make(settings: Any) -> Any:
            name = server.model(self.modality, binding_name, dict(settings), policy)
            return here(self, name, place=server.place(), policy=policy)({})

        return Maker(make, dict)

    BindingManager.maker = maker  # type: ignore[method-assign,assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not apply; each name there is one of a test."""
    names = {item.name: getattr(item, "originalname", item.name) for item in items}
    out = [item for item in items if {item.name, names[item.name]} & NOT_HERE.keys()]
    items[:] = [item for item in items if item not in out]
    config.hook.pytest_deselected(items=out)


@pytest.fixture(autouse=True)
def models_of_its_own() -> Iterator[None]:
    """What a test has set, or killed, is not another's."""
    yield
    _served[0].drop_models()


def pytest_unconfigure(config: pytest.Config) -> None:
    _running.close()
