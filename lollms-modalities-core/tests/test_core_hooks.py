from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingClosedError,
    CallCancelled,
    CallOptions,
    CancelToken,
    GenerationError,
    LollmsTTSBinding,
    OptionError,
    Provenance,
    Seed,
    hookimpl,
    hooks,
)


class Speaks(LollmsTTSBinding):
    class Options(CallOptions):
        fail: bool = False

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if kwargs["fail"]:
            raise KeyError("engine")
        return Audio.from_pcm(b"\0\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def lollms_before_call(self, call: Any) -> None:
        self.heard.append(f"before {call.verb}")

    @hookimpl
    def lollms_after_call(self, call: Any, result: Any) -> Any:
        self.heard.append(f"after {call.verb}")
        return Audio.from_pcm(b"\1\1", 8000) if result is not None else None

    @hookimpl
    def lollms_stream_chunk(self, chunk: Any) -> None:
        self.heard.append("chunk")

    @hookimpl
    def lollms_call_failed(self, error: BaseException) -> None:
        self.heard.append(f"failed {type(error).__name__}")


class Fails:
    @hookimpl
    def lollms_after_call(self, result: Any) -> Any:
        raise ValueError("plug-in")


@pytest.fixture
def listener() -> Iterator[Listener]:
    plugin = Listener()
    hooks.register(plugin)
    yield plugin
    hooks.unregister(plugin)


def test_a_plug_in_hears_of_calls_and_may_replace_results(listener: Listener) -> None:
    speaks = Speaks()
    assert speaks.generate_audio("hi")[-2:] == b"\1\1"
    list(speaks.stream_audio("hi"))
    with pytest.raises(GenerationError):
        speaks.generate_audio("hi", fail=True)
    assert listener.heard == [
        "before generate_audio", "after generate_audio", "before stream_audio", "chunk", "after stream_audio",
        "before generate_audio", "failed GenerationError",
    ]  # fmt: skip


def test_a_plug_in_that_raises_is_told_and_loses_nothing(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    fails = Fails()
    hooks.register(fails)
    try:
        with caplog.at_level(logging.ERROR):
            assert Speaks().generate_audio("hi")[-2:] == b"\1\1"
    finally:
        hooks.unregister(fails)
    assert "failed in lollms_after_call" in caplog.text


def test_a_plug_in_has_a_name(caplog: pytest.LogCaptureFixture) -> None:
    one, two, three = Fails(), Fails(), Fails()
    hooks.register(one)
    hooks.register(two)
    hooks.register(three, "mine")
    try:
        with pytest.raises(ValueError, match="mine"):
            hooks.register(Fails(), "mine")
        Speaks().generate_audio("hi")
    finally:
        for plugin in (one, two, three):
            hooks.unregister(plugin)
    for name in ("Fails", "Fails-2", "mine"):
        assert f"plug-in '{name}' failed in lollms_after_call" in caplog.text


def test_without_a_plug_in_nothing_is_imported() -> None:
    program = (
        "import sys\nfrom typing import Any\n"
        "from lollms_modalities import Audio, LollmsTTSBinding\n"
        "class S(LollmsTTSBinding):\n"
        "    def generate_audio(self, text, voice=None, **kwargs): return Audio.from_pcm(bytes(2), 8000)\n"
        "    def list_voices(self, **kwargs): return []\n"
        "S().generate_audio('hi')\n"
        "assert 'pluggy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


# --- answering in the engine's place --------------------------------------------------------------------------------


class Answers:
    """Answers calls with what it is given, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.ended: list[tuple[str, Any]] = []

    @hookimpl
    def lollms_answer_call(self, call: Any, arguments: dict[str, Any]) -> Any:
        self.asked.append(dict(arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @hookimpl
    def lollms_after_call(self, call: Any, result: Any) -> None:
        self.ended.append((call.answered_by, result))


class Loads(Speaks):
    loaded_times = 0

    def load_model(self) -> str:
        type(self).loaded_times += 1
        return "model"


@contextmanager
def registered(plugin: Any) -> Iterator[Any]:
    hooks.register(plugin)
    try:
        yield plugin
    finally:
        hooks.unregister(plugin)


def test_an_answer_takes_the_engines_place(tmp_path: Path) -> None:
    kept = Audio.from_pcm(b"\2\2" * 100, 8000).with_provenance(Provenance(binding="kept"))
    with registered(Answers(kept)) as plugin:
        binding = Loads()
        result = binding.generate_audio("hi", output_format="flac", fail=True)
        assert (result.format, result.provenance.binding) == ("flac", "kept")
        assert (Loads.loaded_times, binding.loaded) == (0, False), "no model for what is known"
        assert plugin.asked == [{"text": "hi", "fail": True}]
        ((who, seen),) = plugin.ended
        assert who
        assert seen is result
        written = binding.generate_audio("hi", output_path=tmp_path / "a.wav")
        assert written.path == tmp_path / "a.wav"
        assert (tmp_path / "a.wav").read_bytes() == kept


def test_plain_bytes_will_do() -> None:
    with registered(Answers(bytes(Audio.from_pcm(bytes(2), 8000)))):
        assert isinstance(Speaks().generate_audio("hi"), Audio)


@pytest.mark.parametrize(("answer", "said"), [(5, "gave int, not Audio"), (Audio(b"damaged"), "MediaError")])
def test_an_answer_that_cannot_be_used_is_left_to_the_engine(
    answer: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with registered(Answers(answer)) as plugin, caplog.at_level(logging.ERROR):
        made = Speaks().generate_audio("hi", output_format="flac")
        assert made.duration > 0
        assert plugin.ended[-1][0] == "", "it was the engine's after all"
    assert "answered generate_audio with what cannot be used" in caplog.text
    assert said in caplog.text


def test_an_answer_that_fails_is_left_to_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    with registered(Answers(ValueError("disk"))), caplog.at_level(logging.ERROR):
        assert Speaks().generate_audio("hi").sample_rate == 8000
    assert "failed in lollms_answer_call" in caplog.text


def test_a_stream_is_answered_item_by_item() -> None:
    chunks = [AudioChunk(b"\3\3", 8000), AudioChunk(b"\4\4", 8000)]
    with registered(Answers(chunks)) as plugin:
        binding = Loads()
        assert list(binding.stream_audio("hi")) == chunks  # type: ignore[attr-defined]
        assert plugin.ended[-1][1] is None
        assert plugin.ended[-1][0]
        with binding.stream_audio("hi") as stream:  # type: ignore[attr-defined]
            next(stream)
            assert binding.generate_audio is not None
        assert Loads.loaded_times == 0


def test_an_answered_call_is_still_a_call() -> None:
    with registered(Answers(Audio.from_pcm(bytes(2), 8000))):
        binding = Speaks()
        token = CancelToken()
        token.cancel()
        with pytest.raises(CallCancelled):
            binding.generate_audio("hi", cancel=token)
        with pytest.raises(OptionError):
            binding.generate_audio("hi", speed=1)
        binding.close()
        with pytest.raises(BindingClosedError):
            binding.generate_audio("hi")


def test_an_awaitable_twin_is_answered_too() -> None:
    import asyncio

    kept = Audio.from_pcm(b"\5\5", 8000)
    with registered(Answers(kept)):
        assert asyncio.run(Speaks().agenerate_audio("hi")) == kept


def test_a_drawn_seed_is_told() -> None:
    class Seeded(Speaks):
        class Options(CallOptions):
            seed: Seed = None

        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            return Audio.from_pcm(b"\0\0", 8000)

    drawn = []

    class Looks:
        @hookimpl
        def lollms_answer_call(self, call: Any, arguments: dict[str, Any]) -> None:
            drawn.append((call.drawn, arguments["seed"] is not None))

    with registered(Looks()):
        Seeded().generate_audio("hi")
        Seeded().generate_audio("hi", seed=4)
    assert drawn == [(True, True), (False, True)]


def test_threads_that_make_the_first_call_look_once_and_lose_nothing(
    background: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    entered, go = threading.Event(), threading.Event()

    def read(group: str) -> list[Any]:
        looks.append(group)
        entered.set()
        assert go.wait(10)
        return []

    class Plugin:
        """Hears of nothing."""

    plugin, before = Plugin(), hooks.relay()
    hooks.replace(None)
    monkeypatch.setattr(hooks, "read_entry_points", read)
    try:
        first = background(hooks.relay)
        assert entered.wait(10)
        others = [background(lambda: hooks.register(plugin)), background(hooks.relay)]
        go.set()
        for each in [first, *others]:
            each.result()
        relay = hooks.relay()
        assert relay is not None
        assert plugin in relay.manager.get_plugins()
        assert len(looks) == 2  # one look for them, and one for what register makes where there is none
    finally:
        monkeypatch.undo()
        hooks.replace(before)
