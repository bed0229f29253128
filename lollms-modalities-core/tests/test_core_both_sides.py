"""What an engine is given in fields that take anything, and what is refused, is the same in place and in a worker."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import io
import json
import math
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import pytest
from distributions import install
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    LollmsError,
    LollmsSTTBindingManager,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    OptionError,
    Segment,
    Speed,
    TopP,
    hookimpl,
    hooks,
    option,
    setting,
)
from lollms_modalities.workers import protocol, values
from lollms_modalities.workers.exchange import Exchange
from lollms_modalities.workers.policy import WorkerPolicy
from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr
from waiting import wait_until

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both") / "site"
    points = "[lollms_client.tts_bindings]\ncrossing = crossing_bindings:CrossingTTSBinding\n"
    install(folder, "crossing", points + "nasty = nasty_bindings:NastyTTSBinding\n"
            "[lollms_client.stt_bindings]\nnasty = nasty_bindings:NastySTTBinding\n")  # fmt: skip
    for name in ("crossing_bindings.py", "nasty_bindings.py"):
        shutil.copy(SUPPORT / name, folder)
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[tuple[Any, Any]]:
    """The same binding here and in a worker."""
    manager = LollmsTTSBindingManager(folder)
    with manager.require_binding("crossing") as here, manager.require_binding("crossing", isolated=True) as there:
        yield here, there


class Colour(enum.Enum):
    RED = "red"


class Name(enum.StrEnum):
    ANNE = "Anne"


class Flag(enum.IntFlag):
    ONE = 1
    TWO = 2


class Point(collections.namedtuple("Point", "x y")):
    __slots__ = ()


@dataclasses.dataclass(frozen=True)
class Size:
    width: int
    kept: tuple[int, ...] = (1, 2)


class Words(str):
    __slots__ = ()


class Model(BaseModel):
    key: SecretStr
    sizes: list[Size] = []


class Sound(Audio):
    """An application's own."""


ODD: dict[str, Any] = {
    "tuple": (1, (2, [3, ()])),
    "set": {1, 2},
    "frozenset": frozenset({(1, 2)}),
    "named tuple": Point(1, Colour.RED),
    "enum": Colour.RED,
    "text enum": Name.ANNE,
    "flags": Flag.ONE | Flag.TWO,
    "dict of enums": {Name.ANNE: Colour.RED, Colour.RED: (Colour.RED,)},
    "dict with tuples for keys": {(1, (2,)): 1, None: 2},
    "decimal": [Decimal("1.10"), Fraction(1, 3), Decimal("NaN")],
    "text of a class": [Words("x"), {Words("k"): Words("v")}],
    "numpy": [np.float32(0.5), np.int64(3), np.bool_(True), np.float64(0.25)],
    "deque": collections.deque([1, (2,)]),
    "range": range(3),
    "ordered": collections.OrderedDict(a=1, b={2}),
    "mapping": types.MappingProxyType({"a": (1,)}),
    "keys": {"a": 1}.keys(),
    "user's own": [collections.UserString("x"), collections.UserList([(1,)]), collections.UserDict(a={2})],
    "bytearray": bytearray(b"\1\2"),
    "view": memoryview(b"abcdef")[::2],
    "path": [PurePosixPath("a/b"), Path("c")],
    "dataclass": Size(3),
    "set of dataclasses": {Size(3)},
    "model": Model(key=SecretStr("k3y"), sizes=[Size(1)]),
    "secret": SecretStr("s3cr3t"),
    "secrets": [SecretBytes(b"s3cr3t"), {"a": SecretStr("s3cr3t")}, Secret[int](5)],
    "numbers": [math.inf, 2**80, True, complex(1, 2)],
    "half a character": "\ud800",
    "a key of ours": {"$": (1, {"$": {2}})},
    "sound": Audio.from_pcm(b"\1\0", 8000),
    "times": (Segment("a", 0.0, 1.0), AudioChunk(b"\1\0", 8000)),
    "a call of more": (b"x", [bytes(3), {"y": (bytearray(3),)}]),
}


def told(tts: Any, value: Any) -> Any:
    """The type of what the engine was given, and its text, which tells the types of all that is in it."""
    return tts.generate_audio("hi", value=value).provenance.extra


@pytest.mark.parametrize("name", ODD)
def test_what_takes_anything_gets_the_same(both: tuple[Any, Any], name: str) -> None:
    here, there = both
    assert told(here, ODD[name]) == told(there, ODD[name])
    shown = [json.dumps(tts.generate_audio("hi", value=ODD[name]).provenance.to_json()["options"]) for tts in both]
    assert shown[0] == shown[1]
    assert "s3cr3t" not in shown[1]


def test_settings_that_take_anything_are_the_same(folder: Path) -> None:
    for name in ("tuple", "set", "enum", "named tuple", "dataclass", "decimal"):
        manager = LollmsTTSBindingManager(folder)
        with (
            manager.require_binding("crossing", anything=ODD[name]) as here,
            manager.require_binding("crossing", isolated=True, anything=ODD[name]) as there,
        ):
            assert here.tell_anything() == there.tell_anything()


def test_results_of_methods_keep_their_types(both: tuple[Any, Any]) -> None:
    for value in (("a", {1}), [(1,), frozenset({2})], SecretStr("x"), bytearray(b"x"), {(1, (2,)): {}}):
        for tts in both:
            back = tts.give_back(value)
            assert (back, repr(back)) == (value, repr(value))


def test_what_holds_itself_is_refused_on_both_sides(both: tuple[Any, Any]) -> None:
    knot: list[Any] = []
    knot.append((knot,))
    for tts in both:
        with pytest.raises(OptionError, match="holds itself"):
            tts.generate_audio("hi", value=knot)
        assert tts.generate_audio("hi")


def test_what_cannot_cross_stays_as_it_is_here_and_is_refused_there(both: tuple[Any, Any]) -> None:
    here, there = both
    thing = object()
    assert here.generate_audio("hi", value=[thing]).provenance.extra["type"] == "list"
    with pytest.raises(OptionError, match="cannot cross"):
        there.generate_audio("hi", value=[thing])
    closed = io.BytesIO()
    closed.close()
    for unreadable in (closed, os):
        with pytest.raises(OptionError, match="cannot be read"):
            there.generate_audio("hi", value=unreadable)
    file = io.BytesIO(b"abc")
    assert here.generate_audio("hi", value=file).provenance.extra["type"] == "BytesIO"
    assert there.generate_audio("hi", value=file).provenance.extra["type"] == "bytes"


def test_an_older_end_is_told_in_its_own_words() -> None:
    payloads: list[Any] = []
    packed = values.pack(
        {"a": (1, {2}), "b": [SecretStr("x"), bytearray(b"y")], "$": {"$": "set", "items": ({3},)}}, payloads
    )
    older = values.untyped(packed)
    assert "tuple" not in str(older)
    assert values.unpack(older, payloads) == {"a": [1, [2]], "b": ["x", b"y"], "$": {"$": "set", "items": [[3]]}}
    assert values.unpack(packed, payloads)["b"][1] == bytearray(b"y")


def test_an_older_worker_gets_lists(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MINOR", 1)  # what the host says of itself
    with LollmsTTSBindingManager(folder).require_binding("crossing", isolated=True) as tts:
        assert tts._workers.all()[0].channel.minor == 1
        assert tts.generate_audio("hi", value=(1, {2})).provenance.extra["type"] == "list"
        assert tts.give_back((1,)) == [1]


# --- numbers that are none ------------------------------------------------------------------------------------------


class Numbers(LollmsTTSBinding):
    """Options of all kinds of numbers."""

    class Options(CallOptions):
        plain: float = 1.0
        many: list[float] = option([])
        named: dict[str, float] = option({})
        exact: Decimal = Decimal(1)
        either: float | str | None = None
        whole: int = 1
        free: float = option(1.0, allow_inf_nan=True)
        speed: Speed = option(1.0, le=4)
        wide: Speed = option(1.0, ge=0.5)
        top_p: TopP | None = option(None, le=0.9)
        short: Annotated[str, Field(max_length=10)] = option("", max_length=4)
        late: Late = option(1, le=30)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        int(kwargs["plain"])  # as engines do, which fail on what is no number
        return Audio.from_pcm(b"\1\0", 8000)


Late = Annotated[int, Field(le=100)]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["plain", "many", "named", "exact", "either", "whole", "speed", "voice"])
def test_a_number_that_is_none_is_the_caller_s_fault(name: str, wrong: float) -> None:
    value = {"many": [1.0, wrong], "named": {"a": wrong}, "exact": Decimal(wrong)}.get(name, wrong)
    with pytest.raises(OptionError, match=name):
        Numbers().generate_audio("hi", **{name: value})


def test_an_option_may_say_that_it_takes_infinity() -> None:
    assert Numbers().generate_audio("hi", free=math.inf)


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("speed", 4, 4.5), ("speed", 0.1, 0.05), ("wide", 10, 10.5), ("wide", 0.5, 0.3), ("top_p", 0.9, 0.95),
        ("short", "abcd", "abcde"), ("late", 30, 31),
    ],
)  # fmt: skip
def test_of_a_type_s_limit_and_a_field_s_own_the_narrower_holds(name: str, taken: Any, refused: Any) -> None:
    numbers = Numbers()
    assert numbers.generate_audio("hi", **{name: taken})
    with pytest.raises(OptionError, match=name):
        numbers.generate_audio("hi", **{name: refused})


def test_forms_tell_the_narrower_limit() -> None:
    class Other(Numbers):
        class Options(Numbers.Options):
            speed: Speed = option(1.0, le=3)

        class Settings(BindingSettings):
            default_speed: Speed = setting(1.0, le=2)

    rows = {row["name"]: row for row in [*Numbers().get_options(), *Other().get_settings()]}
    assert [rows[n]["max"] for n in ("speed", "wide", "late", "default_speed")] == [4, 10, 30, 2]
    assert {row["name"]: row for row in Other().get_options()}["speed"]["max"] == 3


# --- streams --------------------------------------------------------------------------------------------------------

WRONG: list[dict[str, Any]] = [
    {"speeed": 1}, {"speed": "fast"}, {"count": math.nan}, {"count": None, "size": "x"}, {"sample": "none.wav"},
    {"timeout": -1}, {"seed": -2},
]  # fmt: skip


@pytest.fixture(scope="module")
def nasty(folder: Path) -> Iterator[tuple[Any, Any]]:
    manager = LollmsTTSBindingManager(folder)
    with manager.require_binding("nasty") as here, manager.require_binding("nasty", isolated=True) as there:
        yield here, there


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_stream_s_arguments_are_checked_at_the_call(nasty: tuple[Any, Any], wrong: dict[str, Any]) -> None:
    said = []
    for tts in nasty:
        for verb in ("stream_audio", "astream_audio", "stream_encoded"):
            with pytest.raises(OptionError) as caught:
                getattr(tts, verb)("hi", **wrong)
            said.append((caught.value.message, caught.value.hint))
    assert len(set(said)) == 1
    with pytest.raises(OptionError, match="nothing"):
        nasty[1].stream_audio(" ")
    assert [chunk.text for chunk in nasty[1].stream_audio("hi", count=2)] == ["hi 0", "hi 1"]


def test_the_check_is_no_call(folder: Path) -> None:
    events: list[str] = []

    class Watch:
        @hookimpl
        def lollms_before_call(self, call: Any) -> None:
            events.append(call.verb)

    watch = Watch()
    manager, policy = LollmsTTSBindingManager(folder), WorkerPolicy(max_calls=2)
    with manager.require_binding("nasty", isolated=True, policy=policy) as tts:
        pid = tts._workers.all()[0].process.pid
        hooks.register(watch)
        try:
            streams = [tts.stream_audio("hi", size=1000) for _ in range(3)]
            assert not events
            assert len(list(streams[0])) == 3
        finally:
            hooks.unregister(watch)
        assert events == ["stream_audio"]
        assert tts._workers.all()[0].process.pid == pid


def test_a_stream_is_checked_while_the_worker_is_busy(folder: Path) -> None:
    with (
        LollmsTTSBindingManager(folder).require_binding("nasty", isolated=True) as tts,
        tts.stream_audio("hi") as open_,
    ):
        assert next(open_)
        with pytest.raises(OptionError, match="speeed"):
            tts.stream_audio("hi", speeed=2)


def test_an_event_loop_does_not_wait_for_a_worker_s_start(folder: Path) -> None:
    async def main() -> None:
        stream = tts.astream_audio("hi", speeed=2)
        assert not tts._workers.all()
        with pytest.raises(OptionError, match="speeed"):
            await anext(stream)

    policy = WorkerPolicy(idle_timeout=0.01)
    with LollmsTTSBindingManager(folder).require_binding("nasty", isolated=True, policy=policy) as tts:
        tts.list_voices()
        wait_until(lambda: not tts._workers.all())
        with pytest.raises(OptionError, match="speeed"):
            tts.stream_audio("hi", speeed=2)
        wait_until(lambda: not tts._workers.all())
        asyncio.run(main())


def test_a_recording_is_not_sent_to_be_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    send = Exchange.send

    def noted(self: Exchange, message: Any, payloads: Any = (), look: Any = None) -> None:
        sent.append(sum(len(p) for p in payloads))
        send(self, message, payloads, look)

    monkeypatch.setattr(Exchange, "send", noted)
    with LollmsSTTBindingManager(folder).require_binding("nasty", isolated=True) as stt:
        sent.clear()
        stream = stt.stream_transcript(os.urandom(1000))
        assert sent == [1]
        assert list(stream)
        assert sent == [1, 1000]


def test_a_closed_binding_says_so_at_the_first_item(nasty: tuple[Any, Any], folder: Path) -> None:
    for isolated in (False, True):
        tts = LollmsTTSBindingManager(folder).require_binding("nasty", isolated=isolated)
        tts.close()
        stream = tts.stream_audio("hi")
        with pytest.raises(LollmsError, match="close"):
            next(stream)


@pytest.mark.parametrize("isolated", [False, True])
def test_no_format_is_the_usual_one(folder: Path, isolated: bool) -> None:
    with LollmsTTSBindingManager(folder).require_binding("nasty", isolated=isolated) as tts:
        with tts.stream_encoded("hi", output_format=None, size=8000) as stream:
            assert (stream.output_format, stream.mime_type) == ("mp3", "audio/mpeg")
            assert b"".join(stream)
        assert tts.astream_encoded("hi", output_format=None).output_format == "mp3"


# --- large results --------------------------------------------------------------------------------------------------

LARGE = """
import sys
from pathlib import Path

def highest():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)

if __name__ == "__main__":
    from lollms_modalities import Audio, LollmsTTSBindingManager

    with LollmsTTSBindingManager(sys.argv[1]).require_binding("nasty", isolated=True) as tts:
        tts.generate_audio("hi", do="size", size=10_000_000)
        before = highest()
        sound = tts.generate_audio("hi", do="size", size=100_000_000)
        assert type(sound) is Audio and len(sound) == 100_000_044, repr(sound)
        assert sound.sample_rate == 16000
        print((highest() - before) * 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells the most that was in memory")
def test_a_large_result_is_in_memory_once(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "large.py"
    script.write_text(LARGE)
    done = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 130_000_000
