"""Hostile moments: interrupts, finalizers, errors that cannot be shown, callables that raise what they should not."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    BusyError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    GenerationError,
    LollmsTTSBinding,
    ModelCache,
    OptionError,
    SharedModel,
    UnsupportedError,
    current_call,
    hookimpl,
    hooks,
    report_progress,
)
from lollms_modalities.calls import locks, sweeping
from lollms_modalities.calls.call import Call
from lollms_modalities.calls.scheduler import Scheduler
from pydantic import SecretStr
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]


class Unshowable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Does(LollmsTTSBinding):
    """Does what it is told."""

    class Settings(BindingSettings):
        api_key: SecretStr | None = None

    settings: Settings
    closing: BaseException | None = None

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        self.do(text)
        return Audio.from_pcm(b"\1\0", 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        try:
            for letter in ("a", "b", "c"):
                yield AudioChunk(b"\1\0", 8000, text=letter)
                self.do(text)
        finally:
            if self.closing is not None:
                raise self.closing

    def do(self, text: str) -> None:
        report_progress(1, 2)
        if text == "unshowable":
            raise Unshowable
        if text == "surrogate":
            raise RuntimeError("half \ud800")
        if text == "secret":
            try:
                raise KeyError("s3cr3t-key")
            except KeyError as exc:
                raise OSError(5, "s3cr3t-key", "file") from exc

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def free(binding: LollmsTTSBinding) -> bool:
    return not binding._lock.holders and not binding._lock._waiters


def raising(error: BaseException) -> Callable[[object], None]:
    def tell(_: object) -> None:
        raise error

    return tell


# --- what a progress callable may do --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration()])
def test_what_means_the_end_of_an_iteration_does_not_end_a_stream_as_if_whole(error: Exception) -> None:
    does = Does()
    stream = does.stream_audio("hi", progress=raising(error))
    assert next(stream).text == "a"
    with pytest.raises(GenerationError) as caught:
        next(stream)
    assert caught.value.__cause__ is error
    assert free(does)

    async def main() -> None:
        stream = does.astream_audio("hi", progress=raising(error))
        await anext(stream)
        with pytest.raises(GenerationError):
            await anext(stream)
        with pytest.raises((GenerationError, StopAsyncIteration)):
            await does.agenerate_audio("hi", progress=raising(error))

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("verb", ["generate_audio", "stream_audio"])
def test_what_a_signal_s_handler_raises_is_told_as_it_is(verb: str) -> None:
    class Signalled(Does):
        def do(self, text: str) -> None:
            signal.raise_signal(signal.SIGUSR1)

    alarm, does = TimeoutError("alarm"), Signalled()
    before = signal.signal(signal.SIGUSR1, lambda *_: raising(alarm)(None))
    try:
        with pytest.raises(TimeoutError) as caught:
            list(getattr(does, verb)("hi"))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught.value is alarm
    assert free(does)


def test_a_verb_of_the_binding_is_refused_in_its_progress_callable() -> None:
    does, errors = Does(), []

    def tell(_: object) -> None:
        with pytest.raises(BusyError) as caught:
            does.generate_audio("x", wat=1)
        errors.append(caught.value)

    does.generate_audio("hi", progress=tell)
    assert len(errors) == 1


def test_a_verb_asked_for_through_another_binding_is_checked() -> None:
    class Through(Does):
        other: Any = None

        def do(self, text: str) -> None:
            if self.other is not None:
                self.other(text)

    one, two = Through(), Through()
    one.other = lambda text: two.generate_audio(text)
    two.other = lambda text: one.generate_audio(text, wat=1) if text == "x" else None
    with pytest.raises(OptionError):
        one.generate_audio("x")
    assert one.generate_audio("y")


def test_a_progress_object_is_not_closed() -> None:
    class Display:
        closed = 0

        def __call__(self, _: object) -> None:
            assert not self.closed

        def close(self) -> None:
            self.closed += 1

    display = Display()
    for _ in range(2):
        Does().generate_audio("hi", progress=display)
    assert not display.closed


# --- inner calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "timeout", "close", "progress"])
def test_what_stops_a_call_stops_the_calls_that_it_makes(how: str, background: Spawn) -> None:
    inside = threading.Event()

    class Inner(Does):
        def do(self, text: str) -> None:
            stopped = threading.Event()
            current_call().on_cancel(stopped.set)
            inside.set()
            assert stopped.wait(10)
            assert current_call().stopped
            current_call().check()

    class Outer(Does):
        inner = Inner()

        def do(self, text: str) -> None:
            outer = current_call()
            if how == "progress":
                helper = threading.Thread(target=lambda: inside.wait(10) and outer.stop(CallCancelled("enough")))
                helper.start()
            self.inner.generate_audio(text)

    outer, token = Outer(), CancelToken()
    run = background(lambda: outer.generate_audio("hi", cancel=token, timeout=0.3 if how == "timeout" else None))
    assert inside.wait(10)
    if how == "cancel":
        token.cancel()
    elif how == "close":
        outer.close()
    with pytest.raises(CallTimeout if how == "timeout" else CallCancelled):
        run.result()
    assert free(outer)
    assert free(outer.inner)


# --- locks and interrupts -------------------------------------------------------------------------------------------


class Interrupting(threading.Event):
    """An interrupt that comes when the wait is over."""

    def wait(self, timeout: float | None = None) -> bool:
        super().wait(timeout)
        raise KeyboardInterrupt


def test_an_interrupt_after_the_lock_is_had_leaves_it_free(monkeypatch: pytest.MonkeyPatch) -> None:
    acquire = locks.CallLock.acquire

    def interrupted(self: Any, call: Any, **kwargs: Any) -> bool:
        acquire(self, call, **kwargs)
        raise KeyboardInterrupt

    does = Does()
    for verb in (
        does.generate_audio,
        lambda t: next(does.stream_audio(t)),
        lambda _: does.load(),
        lambda _: does.unload(),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(locks.CallLock, "acquire", interrupted)
            with pytest.raises(KeyboardInterrupt):
                verb("hi")
        assert free(does)
        assert does.generate_audio("hi")


def test_an_interrupt_after_the_loading_is_had_lets_others_load(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loads(Does):
        def load_model(self) -> SharedModel[str]:
            return SharedModel(key="interrupted", load=lambda: "model")

    acquire, loads = locks.CallLock.acquire, Loads()
    for n in range(1, 4):
        taken = 0

        def interrupted(self: Any, call: Any, n: int = n, **kwargs: Any) -> bool:
            nonlocal taken
            taken += 1
            acquire(self, call, **kwargs)
            if taken == n:
                raise KeyboardInterrupt
            return True

        with monkeypatch.context() as patch:
            patch.setattr(locks.CallLock, "acquire", interrupted)
            with pytest.raises(KeyboardInterrupt):
                loads.load()
        assert free(loads)
        assert not loads._loading.holders
    loads.load()
    assert loads.model == "model"


def test_close_that_was_interrupted_can_be_asked_for_again(background: Spawn) -> None:
    freed: list[str] = []
    stop, go_on = threading.Event(), threading.Event()

    class Loads(Does):
        def load_model(self) -> str:
            return "model"

        def free_model(self, model: str) -> None:
            freed.append(model)

        def do(self, text: str) -> None:
            stop.set()
            assert go_on.wait(10)

    loads = Loads()
    call = background(lambda: loads.generate_audio("hi"))
    assert stop.wait(10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loads, "_unload", raising(KeyboardInterrupt()))
        go_on.set()
        with pytest.raises(BaseException):  # noqa: B017, PT011 - whichever comes first
            loads.close()
    with pytest.raises(CallCancelled):
        call.result()
    loads.close()
    assert freed == ["model"]


def test_a_close_does_not_cancel_another(background: Spawn) -> None:
    does = Does()
    first = Call("close", does)
    does._lock.acquire(first)  # and has not looked yet whether it is to stop
    second = background(does.close)
    wait_until(lambda: does._lock._waiters)
    first.check()
    does._lock.release(first)
    second.result()


def test_a_second_close_waits_for_the_end(background: Spawn) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Does):
        def load_model(self) -> str:
            return "model"

        def free_model(self, model: str) -> None:
            inside.set()
            assert go_on.wait(10)

    slow = Slow()
    slow.load()
    first = background(slow.close)
    assert inside.wait(10)
    second = background(slow.close)
    wait_until(lambda: slow._lock._waiters)
    assert second.running
    go_on.set()
    first.result()
    second.result()


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["generate_audio", "stream_audio"])
def test_an_error_that_cannot_be_shown_is_a_typed_one(verb: str) -> None:
    does = Does()
    with pytest.raises(GenerationError, match="Unshowable"):
        list(getattr(does, verb)("unshowable"))
    assert free(does)


def test_an_error_can_be_printed() -> None:
    with pytest.raises(GenerationError) as caught:
        Does().generate_audio("surrogate")
    assert str(caught.value).encode()
    assert "half \\ud800" in str(caught.value)
    assert GenerationError("\udcff", hint="\udcff", path="\udcff").__dict__ == {
        "message": "\\udcff", "hint": "\\udcff", "path": "\\udcff", "remote_type": "",
    }  # fmt: skip


@pytest.mark.parametrize("verb", ["generate_audio", "stream_audio"])
def test_a_traceback_shows_no_secret(verb: str) -> None:
    with pytest.raises(GenerationError) as caught:
        list(getattr(Does(api_key="s3cr3t-key"), verb)("secret"))
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cr3t-key" not in shown.replace('"s3cr3t-key"', "")  # but for the line of the program
    assert caught.value.__cause__ is not None


def test_the_caller_s_own_error_is_not_hidden_by_the_engine_s_end(caplog: pytest.LogCaptureFixture) -> None:
    does = Does()
    does.closing = RuntimeError("the engine's end")

    def fail_meanwhile() -> None:
        with does.stream_audio("hi") as stream:  # type: ignore[attr-defined]
            next(stream)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail_meanwhile()
    assert "the engine's end" in caplog.text
    stream = does.stream_audio("hi")
    next(stream)
    with pytest.raises(GenerationError, match="the engine's end"):
        stream.close()  # type: ignore[attr-defined]
    token = CancelToken()
    stream = does.stream_audio("hi", cancel=token)
    next(stream)
    token.cancel("enough")
    with pytest.raises(CallCancelled, match="enough"):
        next(stream)
    assert free(does)


def test_a_binding_says_why_it_cannot_be_pickled() -> None:
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(UnsupportedError, match="create_binding"):
            take(Does())


def test_system_exit_in_a_callback_does_not_end_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    scheduler, done = Scheduler("test"), threading.Event()
    with caplog.at_level(logging.CRITICAL):
        scheduler.at(time.monotonic(), lambda: raising(SystemExit(1))(None))
        scheduler.at(time.monotonic(), done.set)
        assert done.wait(10)


def test_a_function_that_blocks_when_a_call_is_out_of_time_holds_up_no_other(background: Spawn) -> None:
    go_on, blocked = threading.Event(), threading.Event()

    class Blocks(Does):
        def do(self, text: str) -> None:
            current_call().on_cancel(lambda: blocked.set() or go_on.wait(20))
            assert blocked.wait(10)
            current_call().check()

    class Listens(Does):
        def do(self, text: str) -> None:
            stopped = threading.Event()
            current_call().on_cancel(stopped.set)
            assert stopped.wait(10), "its deadline was not kept"
            current_call().check()

    one = background(lambda: Blocks().generate_audio("hi", timeout=0.05))
    assert blocked.wait(10)
    with pytest.raises(CallTimeout):
        Listens().generate_audio("hi", timeout=0.05)
    go_on.set()
    with pytest.raises(CallTimeout):
        one.result()


# --- finalizers -----------------------------------------------------------------------------------------------------


def test_a_forgotten_stream_needs_no_lock_that_is_interrupted(
    background: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = threading.Lock()

    class Locks(Does):
        """As an isolated one, whose streams take the locks of its workers when they end."""

        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
            try:
                yield AudioChunk(b"\1\0", 8000, text="a")
            finally:
                with lock:
                    pass

    locks = Locks()
    stream: Any = locks.stream_audio("hi")
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    started = locks._lock
    del stream, cycle

    def collect() -> None:
        with lock:
            gc.collect()

    # Of our own modules is what is interrupted in the middle of holding a lock.
    ours = eval("lambda fn: fn()", {"__name__": "lollms_modalities.workers.pool"})
    background(lambda: ours(collect)).result()
    assert locks.generate_audio("x"), "it waits for the end of the stream, and is not told that it owns it"
    assert not started.holders


def test_a_forgotten_model_is_let_go_of() -> None:
    freed: list[str] = []
    model = SharedModel(key="forgotten", load=lambda: "model", free=freed.append)
    ours = eval("lambda box: box.clear()", {"__name__": "lollms_piper.engine"})
    box = [model]
    del model
    ours(box)
    wait_until(lambda: freed)
    assert sweeping._thread is not None


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [0.05, None, 3600.0])
def test_keep_alive_holds_from_when_it_is_changed(change: float | None) -> None:
    class Loads(Does):
        def load_model(self) -> str:
            return "model"

    loads = Loads(keep_alive=None if change == 0.05 else 0.2)
    loads.load()
    loads.set_settings({"keep_alive": change})
    if change == 0.05:
        wait_until(lambda: not loads.loaded)
    else:
        assert loads._reaping is None or loads._reaping.fn is not None
        time.sleep(0.5)
        assert loads.loaded


def test_a_cache_keeps_a_model_that_is_in_use(background: Spawn) -> None:
    freed: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    class Caches(Does):
        concurrency = 2

        def load_model(self) -> ModelCache[str, str]:
            return ModelCache(lambda name: name, key=("in use",), free=freed.append)

        def do(self, text: str) -> None:
            self.model.get(text)
            if text == "a":
                inside.set()
                assert go_on.wait(10)
                assert not freed

    caches = Caches()
    first = background(lambda: caches.generate_audio("a"))
    assert inside.wait(10)
    caches.generate_audio("b")
    go_on.set()
    first.result()
    assert freed == ["a"]
    caches.close()
    assert freed == ["a", "b"]


def test_waiting_for_a_model_that_another_loads_can_be_stopped(background: Spawn) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def load() -> str:
        inside.set()
        assert go_on.wait(10)
        return "model"

    class Loads(Does):
        def load_model(self) -> SharedModel[str]:
            return SharedModel(key="slow", load=load)

    first = background(lambda: Loads().load())
    assert inside.wait(10)
    with pytest.raises(CallTimeout):
        Loads().load(timeout=0.05)
    go_on.set()
    first.result()


@pytest.mark.parametrize("how", ["thread", "executor"])
def test_a_helper_of_load_model_that_asks_for_the_model_is_told(how: str, background: Spawn) -> None:
    class Circular(Does):
        def load_model(self) -> Any:
            if how == "executor":
                with ThreadPoolExecutor(1) as pool:
                    return pool.submit(lambda: self.model).result()
            errors: list[Exception] = []

            def work() -> None:
                try:
                    errors.append(self.model)
                except Exception as exc:
                    errors.append(exc)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            raise errors[0]

    with pytest.raises(GenerationError, match="asks for the model"):
        background(lambda: Circular().generate_audio("hi")).result()


# --- plug-ins -------------------------------------------------------------------------------------------------------


class Wraps:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl(wrapper=True)
    def lollms_after_call(self) -> Iterator[Any]:
        answers = yield
        self.seen.append(answers)
        return answers

    @hookimpl(hookwrapper=True)
    def lollms_answer_call(self) -> Iterator[Any]:
        outcome = yield
        self.seen.append(outcome.get_result())

    @hookimpl(wrapper=True)
    def lollms_before_call(self) -> Iterator[Any]:
        yield
        raise KeyError("a wrapper that fails")


def test_a_wrapper_is_around_the_others(caplog: pytest.LogCaptureFixture) -> None:
    another = Audio.from_pcm(b"\2\0", 8000)

    class Replaces:
        @hookimpl
        def lollms_after_call(self) -> Any:
            return another

    wraps, replaces = Wraps(), Replaces()
    hooks.register(wraps)
    try:
        assert isinstance(Does().generate_audio("hi"), Audio)
        hooks.register(replaces)
        assert Does().generate_audio("hi") is another
    finally:
        hooks.unregister(wraps)
        hooks.unregister(replaces)
    assert wraps.seen == [[], [], [], [another]]
    assert "a wrapper that fails" in caplog.text


@pytest.mark.parametrize("nonsense", [42, "text", [1, 2], {"a": 1}, iter([None])])
def test_a_stream_answered_with_nonsense_is_left_to_the_engine(nonsense: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Answers:
        @hookimpl
        def lollms_answer_call(self) -> Any:
            return nonsense

    answers = Answers()
    hooks.register(answers)
    try:
        assert [chunk.text for chunk in Does().stream_audio("hi")] == ["a", "b", "c"]
    finally:
        hooks.unregister(answers)
    assert "cannot be used" in caplog.text


def test_a_verb_asked_for_by_a_plug_in_is_refused() -> None:
    errors: list[Exception] = []

    class Asks:
        @hookimpl
        def lollms_before_call(self, binding: Any) -> None:
            with pytest.raises(BusyError) as caught:
                binding.generate_audio("x", wat=1)
            errors.append(caught.value)

    asks = Asks()
    hooks.register(asks)
    try:
        Does().generate_audio("hi")
    finally:
        hooks.unregister(asks)
    assert len(errors) == 1
