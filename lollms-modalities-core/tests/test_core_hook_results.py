"""What plug-ins may give for a result, and what they may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lollms_modalities import Audio, AudioChunk, BusyError, LollmsTTSBinding, hookimpl, hooks


class Speaks(LollmsTTSBinding):
    """Says the same each time."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(b"\1\0", 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        yield AudioChunk(b"\1\0", 8000, text=text)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


@contextmanager
def registered(plugin: object) -> Iterator[None]:
    hooks.register(plugin)
    try:
        yield
    finally:
        hooks.unregister(plugin)


@pytest.mark.parametrize(
    "nonsense", [True, 42, "text", object(), [1], [Audio(b"")]], ids=lambda value: type(value).__name__
)
def test_nonsense_for_a_result_is_left_out(nonsense: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Replaces:
        @hookimpl
        def lollms_after_call(self) -> Any:
            return nonsense

    with registered(Replaces()):
        assert Speaks().generate_audio("hi").duration > 0
    assert "cannot be used" in caplog.text


def test_a_generator_that_is_no_wrapper_gives_no_result(caplog: pytest.LogCaptureFixture) -> None:
    class Yields:
        @hookimpl
        def lollms_after_call(self) -> Iterator[None]:
            yield

    with registered(Yields()):
        assert isinstance(Speaks().generate_audio("hi"), Audio)
    assert "gave generator" in caplog.text


def test_a_hook_is_not_awaited(caplog: pytest.LogCaptureFixture) -> None:
    class Awaits:
        @hookimpl
        async def lollms_before_call(self) -> None: ...

        @hookimpl
        async def lollms_after_call(self) -> None: ...

        @hookimpl
        async def lollms_answer_call(self) -> None: ...

    with registered(Awaits()):
        assert isinstance(Speaks().generate_audio("hi"), Audio)
    assert caplog.text.count("TypeError: a hook is called and not awaited") == 3


def test_a_usable_result_of_another_plug_in_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    whole = Audio.from_pcm(b"\2\0", 8000)

    class Right:
        @hookimpl
        def lollms_after_call(self) -> bytes:
            return bytes(whole)

    class Wrong:
        @hookimpl
        def lollms_after_call(self) -> int:
            return 5

    with registered(Right()), registered(Wrong()):
        assert Speaks().generate_audio("hi") == whole


@pytest.mark.parametrize("ask", [lambda b: b.generate_audio("x", wat=1), lambda b: list(b.stream_audio("x", wat=1))])
def test_the_items_of_an_answer_are_no_engine_s_code(ask: Any) -> None:
    told: list[str] = []

    class Answers:
        @hookimpl
        def lollms_answer_call(self, binding: Any) -> Iterator[AudioChunk]:
            def items() -> Iterator[AudioChunk]:
                for n in range(2):
                    with pytest.raises(BusyError) as caught:
                        ask(binding)
                    told.append(str(caught.value))
                    yield AudioChunk(b"\2\0", 8000, text=str(n))

            return items()

    with registered(Answers()):
        assert [chunk.text for chunk in Speaks().stream_audio("hi")] == ["0", "1"]
    assert len(told) == 2
