"""What crosses to a worker and back is what it was: warnings, settings with masks, values, errors; secrets do not."""

from __future__ import annotations

import array
import contextlib
import datetime
import ipaddress
import json
import os
import re
import shutil
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from distributions import install
from lollms_modalities import GenerationError, LollmsError, LollmsTTSBindingManager, OptionError, WorkerCrashedError
from lollms_modalities import errors as core_errors
from lollms_modalities.calls.failures import without_secrets
from lollms_modalities.workers.policy import WorkerPolicy
from lollms_modalities.workers.pool import Workers
from lollms_modalities.workers.remote_errors import unpack_warning
from waiting import wait_until

SOURCE = Path(__file__).parent / "support" / "crossing_bindings.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The binding as an installed distribution."""
    folder = tmp_path_factory.mktemp("crossing") / "site"
    install(folder, "crossing", "[lollms_client.tts_bindings]\ncrossing = crossing_bindings:CrossingTTSBinding\n")
    shutil.copy(SOURCE, folder)
    return folder


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[..., Any]]:
    """Makes isolated bindings that are closed at the end."""
    made: list[Any] = []

    def make(**settings: Any) -> Any:
        manager = LollmsTTSBindingManager(folder)
        made.append(manager.require_binding("crossing", isolated=True, policy=WorkerPolicy(grace=0.5), **settings))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


def new_worker(tts: Any) -> None:
    """The next request is another worker's."""
    for worker in tts._workers.all():
        os.kill(worker.process.pid, signal.SIGKILL)
        wait_until(lambda worker=worker: not worker.alive)  # type: ignore[misc]


OURS = [c.__name__ for c in vars(core_errors).values() if isinstance(c, type) and issubclass(c, Warning)]


def test_warnings_arrive_as_themselves(opened: Callable[..., Any]) -> None:
    tts = opened()
    assert "MediaWarning" in OURS
    expected = {name: name for name in [*OURS, "RuntimeWarning", "DeprecationWarning"]} | {"OwnWarning": "UserWarning"}
    found = {}
    for name in expected:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tts.warn(name)
        found[name] = [(w.category.__name__, str(w.message)) for w in caught]
        if name == "BindingUnavailableWarning":
            assert isinstance(caught[0].message.error, LollmsError)  # type: ignore[union-attr]
    assert found == {name: [(arrives, "said")] for name, arrives in expected.items()}


@pytest.mark.parametrize("category", ["print", "Exception", "errors", "LollmsError", "Nowhere", 5, None])
def test_what_is_no_warning_is_a_user_warning(category: Any) -> None:
    made = unpack_warning({"category": category, "message": "said"})
    assert (type(made), str(made)) == (UserWarning, "said")


def test_a_form_that_comes_back_reaches_new_workers_as_what_it_stands_for(opened: Callable[..., Any]) -> None:
    tts = opened(api_key="one-key", keys=["two-key", "three-key"], table={"a": "four-key"}, raw=b"\xff\xfe")
    before = tts.list_voices()
    tts.set_settings(tts.get_settings())
    new_worker(tts)
    assert tts.list_voices() == before == ["one-key", "two-key", "three-key", "four-key", r"b'\xff\xfe'"]
    mask = "*" * 10
    tts.set_settings({"keys": [mask, "new-key"], "table": {"a": mask, "b": "other-key"}, "api_key": mask})
    changed = tts.list_voices()
    tts.set_settings(tts.get_settings())
    new_worker(tts)
    assert tts.list_voices() == changed == ["one-key", "two-key", "new-key", "four-key", "other-key", r"b'\xff\xfe'"]


def with_a_stream(tts: Any) -> None:
    with tts.stream_audio("hi") as stream:
        next(stream)


USES: list[Callable[[Any], Any]] = [
    lambda tts: tts.generate_audio("hi"),
    with_a_stream,
    lambda tts: tts.list_voices(),
    lambda tts: tts.load(),
    lambda tts: tts.set_settings({"raw": b"x"}),
]


def test_an_interrupt_before_a_worker_is_given_back_keeps_none(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tts, give = opened(), Workers.give

    for use in USES:
        interrupts = iter([KeyboardInterrupt])

        def interrupted(self: Any, *args: Any, interrupts: Any = interrupts, **kwargs: Any) -> None:
            if threading.current_thread() is threading.main_thread():
                for error in interrupts:
                    raise error
            give(self, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(Workers, "give", interrupted)
            with contextlib.suppress(KeyboardInterrupt):
                use(tts)
        wait_until(lambda: not any(w.users for w in tts._workers.all()))
        assert tts.generate_audio("hi")


def test_an_interrupt_as_soon_as_one_may_send_lets_others_send(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tts = opened()

    class Interrupted:
        def __init__(self, lock: Any) -> None:
            self.lock = lock

        def acquire(self, **kwargs: Any) -> bool:
            self.lock.acquire(**kwargs)
            raise KeyboardInterrupt

        def release(self) -> None:
            self.lock.release()

    for use in USES:
        channel = tts._workers.all()[0].channel
        monkeypatch.setattr(channel, "_sending", Interrupted(channel._sending))
        with pytest.raises(KeyboardInterrupt):
            use(tts)
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(tts.generate_audio, "hi").result(30)
        assert tts._workers.all()[0].channel is channel


VALUES = [
    ipaddress.ip_address("::1"), ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_interface("::1/64"), re.compile("a.b", re.IGNORECASE),
    re.compile("a", re.ASCII), re.compile(b"\xff+"), ZoneInfo("UTC"), datetime.UTC,
    datetime.timezone(datetime.timedelta(hours=-3, minutes=-30)),
]  # fmt: skip


def extra(tts: Any, value: Any) -> Any:
    return tts.generate_audio("hi", value=value).provenance.extra


def test_values_are_as_in_place(opened: Callable[..., Any], folder: Path) -> None:
    here, there = LollmsTTSBindingManager(folder).require_binding("crossing"), opened()
    for value in VALUES:
        found = [extra(b, value) for b in (here, there)]
        assert found[0] == found[1]
    strided = memoryview(b"abcdef")[::2]
    assert extra(there, strided) == extra(here, bytes(strided))
    assert extra(there, memoryview(array.array("h", [1])[::-1]))["type"] == "bytes"


def test_wide_integers_cross(opened: Callable[..., Any]) -> None:
    tts, wide = opened(), [10**5000, -(2**20_000), 2**10_000, {10**5000: 10**1000}]
    assert tts.give_back(wide) == wide
    with pytest.raises(OptionError, match="fraction cannot cross"):
        tts.give_back(Fraction(10**5000, 3))


def test_what_an_engine_records_that_is_no_json_ends_no_worker(opened: Callable[..., Any]) -> None:
    tts = opened()
    with tts.stream_audio("record") as stream:
        list(stream)
    for made in (tts.generate_audio("record"), stream):
        assert made.provenance.usage == {"read": "<1 bytes>", "wide": "<16610 bits>"}
        told = {"odd": "<class 'object'>", "1": "nan"}
        assert {**made.provenance.extra, **told} == made.provenance.extra
        json.dumps(made.provenance.to_json(), allow_nan=False)


def test_an_error_s_facts_that_are_no_json_end_no_worker(opened: Callable[..., Any]) -> None:
    tts = opened()
    with pytest.raises(GenerationError, match="It went wrong") as caught:
        tts.fail_widely()
    assert (caught.value.known, hasattr(caught.value, "odd")) == (1, False)  # type: ignore[attr-defined]
    assert tts.generate_audio("hi")


def test_an_error_that_cannot_be_shown_ends_no_worker(opened: Callable[..., Any]) -> None:
    tts = opened()
    with pytest.raises(GenerationError, match="whose text cannot be had"):
        tts.fail()
    assert tts.generate_audio("hi")


def test_no_form_of_a_printed_secret_is_shown(opened: Callable[..., Any]) -> None:
    tts = opened(api_key="pass\\word \"with' \xe4", binary_key=b"pass\xffword")
    with pytest.raises(WorkerCrashedError) as caught:
        tts.print_keys()
    assert "*****" in str(caught.value)
    assert "word" not in str(caught.value).partition("printed")[2]


def test_a_secret_deep_in_a_group_of_errors_is_masked() -> None:
    class Requested(Exception):
        """Says what it does not hold."""

        def __str__(self) -> str:
            return f"https://host/?key={os.fspath('s3cr3t-key')}"

    inner = ExceptionGroup("inner", [Requested(), ValueError("kept")])
    inner.add_note("a note")
    masked = without_secrets(ExceptionGroup("outer", [inner]), ["s3cr3t-key"])
    shown = "".join(traceback.format_exception(masked))
    assert "s3cr3t" not in shown
    assert "kept" in shown
    assert "a note" in shown
