"""Locks that are taken crosswise by one call, or outside of any; interrupts at the door of what lets go of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import lollms_modalities
import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    BusyError,
    GenerationError,
    LollmsTTSBinding,
    ModelCache,
    SharedModel,
    report_progress,
)
from lollms_modalities.calls import locks
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]


class Does(LollmsTTSBinding):
    """Does nothing."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(b"\1\0", 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for letter in "ab":
            yield AudioChunk(b"\1\0", 8000, text=letter)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def outcomes(background: Spawn, *runs: Callable[[], Any]) -> list[str]:
    """What became of each, in threads of their own: "ok" or "busy"."""

    def told(run: Callable[[], Any]) -> str:
        try:
            run()
        except BusyError:
            return "busy"
        return "ok"

    return sorted(each.result() for each in [background(lambda run=run: told(run)) for run in runs])  # type: ignore[misc]


def test_models_that_load_each_other_outside_of_any_call(background: Spawn) -> None:
    both = threading.Barrier(2)

    def load(other: str) -> SharedModel[str]:
        both.wait(10)
        return SharedModel(key=other, load=lambda: other)

    def ask(mine: str, other: str) -> Any:
        return SharedModel(key=mine, load=lambda: load(other))

    found = outcomes(background, lambda: ask("cross-a", "cross-b"), lambda: ask("cross-b", "cross-a"))
    assert found == ["busy", "ok"]


def test_caches_that_load_from_each_other(background: Spawn) -> None:
    both = threading.Barrier(2)
    caches: dict[str, ModelCache[str, str]] = {}

    def cache(mine: str, other: str) -> ModelCache[str, str]:
        def load(name: str) -> str:
            if name == "outer":
                both.wait(10)
                return caches[other].get("inner")
            return name

        return ModelCache(load, key=(mine,), limit=2)

    caches["a"], caches["b"] = cache("a", "b"), cache("b", "a")

    class Uses(Does):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            caches[text].get("outer")
            return super().generate_audio(text)

    one, two = Uses(), Uses()
    found = outcomes(background, lambda: one.generate_audio("a"), lambda: two.generate_audio("b"))
    assert found == ["busy", "ok"]


def test_the_lock_of_an_instance_and_that_of_a_model_crosswise(background: Spawn) -> None:
    inside = threading.Event()

    class Shares(Does):
        other: Any = None

        def load_model(self) -> SharedModel[str]:
            return SharedModel(key="crosswise", load=lambda: "model")

        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            if self.other is not None:
                inside.set()
                wait_until(lambda: locks._waiting)  # the other call has its instance, and waits for the model
                self.other.generate_audio("inner")
            return super().generate_audio(text)

    one, two = Shares(), Shares()
    one.load()
    two.other = one

    def plain() -> None:
        assert inside.wait(10)
        one.generate_audio("plain")

    assert outcomes(background, lambda: two.generate_audio("outer"), plain) == ["busy", "ok"]


def test_a_progress_callable_that_ends_an_iteration_ends_no_loading() -> None:
    class Loads(Does):
        def load_model(self) -> list[int]:
            def parts() -> Iterator[int]:
                report_progress(1, 2)
                yield 1

            return list(parts())

    def tell(_: object) -> None:
        raise StopIteration

    with pytest.raises(GenerationError):
        Loads().load(progress=tell)


# --- interrupts -----------------------------------------------------------------------------------------------------

ROOT = str(Path(lollms_modalities.__file__).parent)


def interrupt(run: Callable[[], object], number: int) -> bool:
    """Raise KeyboardInterrupt where the interpreter may for the ``number``-th time in our code: whether it came."""
    count, came = 0, False

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count, came
        if event not in ("call", "c_return") or not frame.f_code.co_filename.startswith(ROOT):
            return
        above: FrameType | None = frame
        while above is not None:
            if above.f_code.co_name == "__del__":
                return  # Python itself drops what is raised there
            above = above.f_back
        count += 1
        if count == number:
            sys.setprofile(None)
            came = True
            raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        run()
    except BaseException:
        if not came:
            raise
    finally:
        sys.setprofile(None)
    return came


def with_a_stream(does: Does) -> None:
    with does.stream_audio("hi") as stream:  # type: ignore[attr-defined]
        next(stream)


def after_load(does: Does) -> None:
    does.load()
    does.unload()


@pytest.mark.parametrize("use", [lambda does: does.generate_audio("hi"), with_a_stream, after_load])
def test_no_interrupt_keeps_a_lock(use: Callable[[Does], Any]) -> None:
    class Loads(Does):
        def load_model(self) -> SharedModel[str]:
            return SharedModel(key="interrupted", load=lambda: "model")

    use(Loads())
    number = 0
    while True:
        number += 1
        does = Loads()
        came = interrupt(lambda does=does: use(does), number)  # type: ignore[misc]
        model = does._model
        taken = [does._lock, does._loading, *([model.lock] if isinstance(model, SharedModel) else [])]
        assert not any(lock.holders or lock._waiters for lock in taken), number
        assert not locks._waiting
        does.close()
        if not came:
            break
    assert number > 20
