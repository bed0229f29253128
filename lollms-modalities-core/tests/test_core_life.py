"""Settings that change, models that are loaded, shared, unloaded; the end of a binding."""

from __future__ import annotations

import gc
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingClosedError,
    BindingSettings,
    BusyError,
    CallCancelled,
    CancelToken,
    GenerationError,
    LollmsTTSBinding,
    ModelCache,
    SettingsError,
    SharedModel,
    report_progress,
    setting,
)
from lollms_modalities.calls import locks
from lollms_modalities.calls.call import Call
from pydantic import SecretStr

Spawn = Callable[[Callable[[], Any]], Any]


class Engine:
    """A model that knows whether it was freed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.freed = False


class Loads(LollmsTTSBinding):
    """Loads a model."""

    class Settings(BindingSettings):
        model_name: str = setting("a", description="Model.", reload=True)
        volume: float = setting(1.0, description="Volume.", ge=0)
        kind: Literal["x", "y"] | None = setting(None, description="Kind.")
        api_key: SecretStr = setting(SecretStr(""), description="Key.")
        folder: Path | None = setting(None, description="Folder.", shared=True)

    settings: Settings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.loads: list[str] = []
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def load_model(self) -> Engine:
        self.loads.append(self.settings.model_name)
        if self.settings.model_name == "bad":
            raise OSError("no such model")
        return Engine(self.settings.model_name)

    def free_model(self, model: Engine) -> None:
        model.freed = True

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        engine: Engine = self.model
        self.inside.set()
        while not self.go_on.wait(0.005):
            report_progress(0)
        assert not engine.freed
        return Audio.from_pcm(engine.name.encode("utf-16-le"), 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for _ in range(3):
            yield AudioChunk(b"\0\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def spoken_by(binding: Loads) -> str:
    return binding.generate_audio("hi")[44:].decode("utf-16-le")


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_come_by_name_in_order_or_as_an_object() -> None:
    assert Loads("m", 2).settings.volume == 2.0
    assert Loads(model_name="m", volume="3").settings.volume == 3.0
    made = Loads.from_settings(Loads.Settings(model_name="m", api_key=SecretStr("hunter2")))
    assert made.settings.api_key.get_secret_value() == "hunter2"
    with pytest.raises(TypeError, match="multiple"):
        Loads("m", model_name="m")
    with pytest.raises(TypeError, match="6"):
        Loads(*range(7))
    with pytest.raises(SettingsError, match="BindingSettings"):
        Loads.from_settings(BindingSettings())
    assert list(inspect.signature(Loads).parameters) == [
        "model_name", "volume", "kind", "api_key", "folder", "keep_alive",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"volume": "loud"}, {"volume": -1}, {"kind": "z"}, {"modelname": "a"}])
def test_wrong_settings_say_which(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(SettingsError, match=name):
        Loads(**wrong)


def test_the_list_form() -> None:
    form = {row["name"]: row for row in Loads(api_key="hunter2", folder="/x").get_settings()}
    documented = {"name": "volume", "type": "float", "value": 1.0, "description": "Volume."}
    assert documented.items() <= form["volume"].items()
    assert form["kind"]["options"] == ["x", "y"]
    assert form["kind"]["type"] == "str"
    assert form["api_key"]["is_secret"] is True
    assert form["folder"]["value"] == "/x"
    assert "hunter2" not in repr(form)


def test_a_masked_secret_that_comes_back_changes_nothing() -> None:
    loads = Loads(api_key="hunter2")
    assert loads.set_settings(loads.get_settings()) is True
    assert loads.settings.api_key.get_secret_value() == "hunter2"
    loads.set_settings({"api_key": "other"})
    assert loads.settings.api_key.get_secret_value() == "other"
    for shown in (repr(loads), repr(loads.settings), str(loads.settings), repr(loads.get_settings())):
        assert "other" not in shown


def test_a_secret_of_a_wrong_type_is_not_shown() -> None:
    with pytest.raises(SettingsError, match="api_key") as caught:
        Loads(api_key=["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_set_settings_is_all_or_nothing() -> None:
    loads = Loads()
    with pytest.raises(SettingsError):
        loads.set_settings({"volume": 2, "kind": "z"})
    with pytest.raises(SettingsError, match="'name'"):
        loads.set_settings([{"volume": 2}])
    with pytest.raises(SettingsError):
        loads.set_settings("volume=2")  # type: ignore[arg-type]
    assert loads.settings.volume == 1.0
    loads.set_settings([{"name": "volume", "value": 2}, {"name": "kind", "value": "x", "type": "str"}])
    assert (loads.settings.volume, loads.settings.kind) == (2.0, "x")


def test_shared_settings_are_those_that_say_so() -> None:
    assert Loads.shared_settings() == {"folder"}


# --- loading --------------------------------------------------------------------------------------------------------


def test_the_model_is_loaded_at_first_use_once() -> None:
    loads = Loads()
    assert not loads.loaded
    loads.list_voices(), loads.capabilities, loads.get_settings(), loads.describe()
    assert loads.loads == []
    assert [spoken_by(loads), spoken_by(loads)] == ["a", "a"]
    loads.load()
    assert loads.loads == ["a"]


def test_only_what_the_model_depends_on_reloads_it() -> None:
    loads = Loads()
    loads.set_settings({"model_name": "b"})
    assert loads.loads == []
    assert spoken_by(loads) == "b"
    loads.set_settings({"volume": 2})
    assert loads.loads == ["b"]
    old = loads.model
    loads.set_settings({"model_name": "c"})
    assert loads.loads == ["b", "c"]
    assert old.freed
    assert spoken_by(loads) == "c"


def test_a_failing_reload_keeps_the_old_one_working() -> None:
    loads = Loads()
    loads.load()
    with pytest.raises(GenerationError) as caught:
        loads.set_settings({"model_name": "bad", "volume": 5})
    assert isinstance(caught.value.__cause__, OSError)
    assert (loads.settings.model_name, loads.settings.volume) == ("a", 1.0)
    assert spoken_by(loads) == "a"


def test_a_failing_first_load_can_be_mended() -> None:
    loads = Loads(model_name="bad")
    with pytest.raises(GenerationError, match="no such model"):
        loads.generate_audio("hi")
    loads.set_settings({"model_name": "a"})
    assert spoken_by(loads) == "a"


def test_a_reload_waits_for_the_call_under_way(background: Spawn) -> None:
    loads = Loads()
    loads.go_on.clear()
    call = background(lambda: spoken_by(loads))
    assert loads.inside.wait(5)
    change = background(lambda: loads.set_settings({"model_name": "b"}))
    time.sleep(0.03)
    assert change.running
    assert loads.settings.model_name == "a"
    loads.go_on.set()
    assert call.result() == "a"
    assert change.result() is True
    assert spoken_by(loads) == "b"


def test_waiting_for_a_model_that_loads_can_be_cancelled(background: Spawn) -> None:
    class SlowLoad(Loads):
        concurrency = 2
        loading = threading.Event()
        loaded_now = threading.Event()

        def load_model(self) -> Engine:
            self.loading.set()
            assert self.loaded_now.wait(5)
            return super().load_model()

    slow = SlowLoad()
    first = background(lambda: spoken_by(slow))
    assert slow.loading.wait(5)
    token = CancelToken()
    second = background(lambda: slow.generate_audio("hi", cancel=token))
    while len(slow._lock.holders) < 2:
        time.sleep(0.001)
    token.cancel()
    with pytest.raises(CallCancelled):
        second.result()
    slow.loaded_now.set()
    assert first.result() == "a"
    assert slow.loads == ["a"]


def test_loading_reports_and_stops() -> None:
    class Reports(Loads):
        def load_model(self) -> Engine:
            report_progress(1, 2, stage="load")
            return super().load_model()

    seen: list[Any] = []
    token = CancelToken()
    Reports().load(progress=seen.append)
    assert [(p.stage, p.done) for p in seen] == [("load", 1)]
    token.cancel()
    with pytest.raises(CallCancelled):
        Reports().load(cancel=token)


# --- unloading ------------------------------------------------------------------------------------------------------


def test_unload_idle_and_busy(background: Spawn) -> None:
    loads = Loads()
    loads.load()
    engine = loads.model
    loads.unload()
    assert engine.freed
    assert not loads.loaded
    assert spoken_by(loads) == "a"
    loads.go_on.clear()
    loads.inside.clear()
    call = background(lambda: spoken_by(loads))
    assert loads.inside.wait(5)
    unload = background(loads.unload)
    time.sleep(0.03)
    assert unload.running
    loads.go_on.set()
    assert call.result() == "a"
    unload.result()
    assert not loads.loaded


def test_unload_and_close_from_inside_are_told() -> None:
    class Inside(Loads):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            for verb in (self.unload, self.close):
                with pytest.raises(BusyError):
                    verb()
            return super().generate_audio(text)

    inside = Inside()
    assert spoken_by(inside) == "a"
    stream = inside.stream_audio("hi")
    next(stream)
    with pytest.raises(BusyError):
        inside.unload()
    inside.close()


def test_keep_alive_unloads_when_idle_and_never_during_a_call(background: Spawn) -> None:
    loads = Loads(keep_alive=0.05)
    spoken_by(loads)
    engine = loads.model
    until = time.monotonic() + 5
    while loads.loaded and time.monotonic() < until:
        time.sleep(0.005)
    assert engine.freed
    stream = loads.stream_audio("hi")
    next(stream)
    loads.go_on.clear()
    time.sleep(0.15)
    assert loads.loaded, "an open stream is a call"
    stream.close()  # type: ignore[attr-defined]
    loads.go_on.set()
    assert spoken_by(loads) == "a"
    assert sum(t.name == "lollms-reaper" for t in threading.enumerate()) == 1


def test_close_cancels_and_later_use_is_told(background: Spawn) -> None:
    loads = Loads()
    loads.go_on.clear()
    call = background(lambda: loads.generate_audio("hi"))
    assert loads.inside.wait(5)
    waiting = background(lambda: loads.generate_audio("ho"))
    while not loads._lock._waiters:
        time.sleep(0.001)
    engine = loads.model
    loads.close()
    with pytest.raises(CallCancelled, match="closed"):
        call.result()
    with pytest.raises(BindingClosedError):
        waiting.result()
    assert engine.freed
    loads.close()
    for use in (lambda: loads.generate_audio("hi"), loads.load, lambda: next(loads.stream_audio("hi"))):
        with pytest.raises(BindingClosedError):
            use()


def test_close_ends_an_open_stream() -> None:
    with Loads() as loads:
        stream = loads.stream_audio("hi")
        next(stream)
    with pytest.raises(CallCancelled):
        next(stream)


# --- shared models --------------------------------------------------------------------------------------------------


class Shares(Loads):
    def load_model(self) -> Any:
        return SharedModel(key=("m", self.settings.model_name), load=super().load_model, free=super().free_model)


def test_two_bindings_hold_one_copy_freed_with_the_last() -> None:
    one, two = Shares(), Shares()
    one.load(), two.load()
    assert one.model is two.model
    assert one.loads + two.loads == ["a"]
    engine = one.model
    one.close()
    assert not engine.freed
    assert spoken_by(two) == "a"
    two.unload()
    assert engine.freed


def test_a_binding_that_is_dropped_lets_go() -> None:
    one = Shares(model_name="dropped")
    one.load()
    engine = one.model
    del one
    gc.collect()
    assert engine.freed


def test_calls_on_one_model_never_overlap(background: Spawn) -> None:
    one, two = Shares(), Shares()
    one.load(), two.load()
    one.go_on.clear()
    first = background(lambda: spoken_by(one))
    assert one.inside.wait(5)
    second = background(lambda: spoken_by(two))
    time.sleep(0.03)
    assert not two.inside.is_set()
    one.go_on.set()
    assert [first.result(), second.result()] == ["a", "a"]
    one.close(), two.close()


def test_a_call_within_a_call_on_the_same_model_does_not_wait_for_itself() -> None:
    class Asks(Shares):
        other: Loads

        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            return self.other.generate_audio(text)

    asks = Asks()
    with asks, Shares() as asks.other:
        assert spoken_by(asks) == "a"


def test_many_first_users_load_once_and_a_failure_is_not_kept(background: Spawn) -> None:
    loaded = []
    fail = [True]

    def load() -> Engine:
        time.sleep(0.01)
        loaded.append(1)
        if fail:
            fail.pop()
            raise OSError("first")
        return Engine("x")

    runs = [background(lambda: SharedModel(key="many", load=load)) for _ in range(8)]
    models, failures = [], 0
    for run in runs:
        try:
            models.append(run.result())
        except OSError:
            failures += 1
    assert failures == 1
    assert len(loaded) == 2
    assert len({id(m.value) for m in models}) == 1
    assert models[0].users == 7
    for model in models:
        model.release()
        model.release()
    with pytest.raises(RuntimeError, match="released"):
        _ = models[0].value


def test_a_shared_model_may_be_used_by_one_call_at_a_time(background: Spawn) -> None:
    """Two bindings' caches hold one copy; waiting for the other's use of it ends when the call is stopped."""
    first, second = (ModelCache(Engine, key=("taking turns",)) for _ in range(2))
    assert first.get("a") is second.get("a")
    began, end = threading.Event(), threading.Event()

    def hold() -> None:
        with Call("first").attach(), first.using("a") as model, first.using("a") as again:
            assert again is model, "a call does not wait for itself"
            began.set()
            end.wait(10)

    holding = background(hold)
    assert began.wait(10)
    call = Call("second")
    with call.attach():
        with second.using("b") as other:
            assert other.name == "b"
        threading.Timer(0.05, call.cancel).start()
        with pytest.raises(CallCancelled), second.using("a"):
            pytest.fail("the first one uses it")
    waiting = background(lambda: use(second))
    time.sleep(0.05)
    assert waiting.running
    end.set()
    holding.result()
    assert waiting.result() == "a"


def use(cache: ModelCache[str, Engine]) -> str:
    with Call("third").attach(), cache.using("a") as model:
        return model.name


def test_a_load_model_that_asks_for_the_model_is_told() -> None:
    class Circular(Loads):
        def load_model(self) -> Engine:
            return self.model  # type: ignore[no-any-return]

    with pytest.raises(GenerationError, match=r"load_model\(\) asks for the model"):
        Circular().load()
    with pytest.raises(GenerationError, match=r"load_model\(\) asks for the model"):
        _ = Circular().model


def test_the_model_is_not_loaded_again_after_close() -> None:
    loads = Loads()
    loads.close()
    with pytest.raises(BindingClosedError):
        _ = loads.model
    assert not loads.loads


def test_an_interrupt_while_waiting_leaves_no_lock_held(background: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = locks.CallLock()
    first, second = Call("first"), Call("second")
    lock.acquire(first)

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            lock.release(first)  # which grants it to the one that is interrupted
            raise KeyboardInterrupt

    monkeypatch.setattr(threading, "Event", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        lock.acquire(second)
    assert not lock.holders
