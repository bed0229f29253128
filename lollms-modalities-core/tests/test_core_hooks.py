from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from lollms_modalities import Audio, CallOptions, GenerationError, LollmsTTSBinding, hookimpl, hooks


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
