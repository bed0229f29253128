"""Bindings in another process: as in place, and what happens when that process comes to harm."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributions import install
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingClosedError,
    BindingDependencyError,
    BindingIncompatibleError,
    BindingNotFoundError,
    BindingUnavailableWarning,
    BusyError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    GenerationError,
    Image,
    LollmsSTTBindingManager,
    LollmsTTIBindingManager,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    OptionError,
    Progress,
    SettingsError,
    Transcript,
    UnsupportedError,
    WorkerCrashedError,
    WorkerRestartError,
    WorkerTimeoutError,
    hookimpl,
    hooks,
)
from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.workers import protocol
from lollms_modalities.workers.opening import open_binding
from lollms_modalities.workers.policy import WorkerPolicy
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]
SOURCE = Path(__file__).parent / "support" / "nasty_bindings.py"
QUICK = WorkerPolicy(grace=0.5)


def write_nasty(folder: Path, name: str = "nasty") -> Path:
    """The nasty bindings as an installed distribution in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCE, folder / "nasty_bindings.py")
    points = (
        f"[lollms_client.{m}_bindings]\n{name} = nasty_bindings:Nasty{m.upper()}Binding\n"
        for m in ("tts", "stt", "tti")
    )
    install(folder, name, "".join(points))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nasty(tmp_path_factory.mktemp("nasty") / "site")


@pytest.fixture
def open_tts(folder: Path) -> Iterator[Callable[..., Any]]:
    """Makes isolated bindings that are closed at the end."""
    opened: list[LollmsTTSBinding] = []

    def make(policy: WorkerPolicy = QUICK, **settings: Any) -> Any:
        tts = LollmsTTSBindingManager(folder).require_binding("nasty", isolated=True, policy=policy, **settings)
        opened.append(tts)
        return tts

    yield make
    for tts in opened:
        tts.close()


@pytest.fixture
def tts(open_tts: Callable[..., Any]) -> Any:
    return open_tts()


def pid_of(tts: Any) -> int:
    """The worker that would run the next call."""
    return int(tts.generate_audio("who").provenance.usage["pid"])


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- as in place ----------------------------------------------------------------------------------------------------


def test_it_is_a_binding_of_its_modality(tts: Any) -> None:
    assert isinstance(tts, LollmsTTSBinding)
    assert (tts.binding_name, tts.modality, tts.engine) == ("nasty", "tts", "pydantic")
    assert tts.capabilities.streaming
    assert tts.capabilities.languages == ("en",)
    assert tts.capabilities.limits == {"max_text": 10.0}
    assert tts.list_voices() == ["a", "b"]
    assert tts.list_voice_presets() == {"a": [1, 2]}
    assert "More than the contract" in tts.list_voice_presets.__doc__
    assert "in place" not in repr(tts)
    assert "nasty" in repr(tts)
    with pytest.raises(UnsupportedError, match="another process"):
        _ = tts.model


def test_a_result_is_what_it_would_be_in_place(tts: Any, folder: Path) -> None:
    result = tts.generate_audio("hi", voice="b", seed=7)
    assert type(result) is Audio
    assert result == Audio.from_pcm("hi".encode("utf-16-le"), 8000)
    assert (result.sample_rate, result.format) == (8000, "wav")
    told = result.provenance
    assert (told.binding, told.distribution, told.distribution_version) == ("nasty", "nasty", "1.0")
    assert (told.model, told.seed, told.engine) == ("a", 7, "pydantic")
    assert told.options["speed"] == 1.5, "the default setting"
    assert told.usage["pid"] != os.getpid()
    assert told.elapsed > 0
    assert isinstance(tts.generate_audio("hi").provenance.seed, int)


def test_supports_and_descriptions_are_the_class_s_own(tts: Any, folder: Path) -> None:
    cls = LollmsTTSBindingManager(folder).load_class("nasty")
    assert tts.describe() == {**cls.describe(), "environment": tts.environment}
    assert all(tts.supports(name) for name in ("speed", "sample", "progress", "output_path", "streaming", "seed"))
    assert not tts.supports("cloning")
    import inspect

    assert str(inspect.signature(type(tts))).startswith("(voice_name")


@pytest.mark.parametrize(
    "wrong",
    [{"sped": 2}, {"speed": "fast"}, {"sample": "no/such/file.wav"}, {"output_path": "no/such/folder/x.wav"},
     {"output_format": "mp8"}, {"timeout": -1}, {"cancel": 3}, {"progress": 3}, {"speed": object()}],
)  # fmt: skip
def test_wrong_options_say_what_they_say_in_place(tts: Any, folder: Path, wrong: dict[str, Any]) -> None:
    here = LollmsTTSBindingManager(folder).require_binding("nasty")
    with pytest.raises(OptionError) as expected:
        here.generate_audio("hi", **dict(wrong))
    with pytest.raises(OptionError) as found:
        tts.generate_audio("hi", **dict(wrong))
    if "speed" not in wrong or wrong["speed"] == "fast":
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("nothing", ["", "  ", "...!"])
def test_nothing_to_say_is_told(tts: Any, nothing: str) -> None:
    with pytest.raises(OptionError):
        tts.generate_audio(nothing)


def test_arguments_that_python_would_refuse(tts: Any) -> None:
    with pytest.raises(TypeError, match="missing 1 required"):
        tts.generate_audio()
    with pytest.raises(TypeError, match="multiple values"):
        tts.generate_audio("a", text="b")


def test_wrong_settings_are_told_when_it_is_made(folder: Path) -> None:
    manager = LollmsTTSBindingManager(folder)
    with pytest.raises(SettingsError, match=r"has no setting 'voice_nam'.*Did you mean 'voice_name'"):
        manager.create_binding("nasty", isolated=True, voice_nam="x")
    with pytest.raises(SettingsError, match=r"pool= and policy="):
        manager.create_binding("nasty", pool=2)


def test_settings_change_there_and_here(open_tts: Callable[..., Any]) -> None:
    tts = open_tts(api_key="sesame", voice_name="b")
    assert tts.generate_audio("hi").provenance.model == "b"
    rows = {row["name"]: row for row in tts.get_settings()}
    assert rows["api_key"]["value"] == "**********"
    assert "sesame" not in repr(tts.settings) + repr(tts) + str(tts.generate_audio("hi").provenance)
    assert tts.set_settings([*rows.values()])
    assert tts.set_settings({"voice_name": "a", "default_speed": 2})
    assert tts.settings.voice_name == "a"
    told = tts.generate_audio("hi").provenance
    assert (told.model, told.options["speed"]) == ("a", 2.0)
    with pytest.raises(SettingsError, match="speed"):
        tts.set_settings({"voice_name": "b", "default_speed": 0})
    assert tts.generate_audio("hi").provenance.model == "a"
    # A new worker is made with what was set, the secret too.
    with pytest.raises(WorkerCrashedError):
        tts.generate_audio("hi", do="exit")
    told = tts.generate_audio("hi").provenance
    assert (told.model, told.options["speed"]) == ("a", 2.0)
    with pytest.raises(GenerationError) as caught:
        tts.generate_audio("hi", do="leaking error")
    assert "sesame" not in str(caught.value) + str(caught.value.__cause__)
    assert "the key is **********" in str(caught.value)


def test_shared_settings_go_where_they_would_go_in_place(folder: Path) -> None:
    shared = {"host_address": "http://a", "service_key": "k", "models_path": "/m"}
    manager = LollmsTTSBindingManager(folder)
    with manager.maker("nasty", isolated=True, shared=shared)({}) as tts:
        assert {r["name"]: r["value"] for r in tts.get_settings()}["service_key"] == "**********"
    with manager.maker("nasty", isolated=True, shared=shared)({"host_address": "http://b"}) as tts:
        assert {r["name"]: r["value"] for r in tts.get_settings()}["service_key"] is None


def test_progress_comes_in_order_and_to_its_end(tts: Any) -> None:
    seen: list[Progress] = []
    tts.generate_audio("hi", do="progress", count=2000, progress=seen.append)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert seen[0] == Progress("work", 0, 2000, "step")
    assert seen[-1] == Progress("work", 2000, 2000, "step")
    assert len(seen) < 2000, "thousands of reports are not all sent"


def test_an_exception_from_the_progress_function_ends_the_call(tts: Any) -> None:
    told = []

    def refuse(progress: Progress) -> None:
        told.append(progress)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tts.generate_audio("hi", do="progress", progress=refuse)
    assert len(told) == 1
    assert tts.generate_audio("hi")


def test_asking_from_inside_a_progress_function_is_told(tts: Any) -> None:
    with pytest.raises(BusyError, match="inside one of its own calls"):
        tts.generate_audio("hi", do="progress", progress=lambda p: tts.generate_audio("ho"))


def test_errors_of_the_worker_arrive_as_the_nearest_that_is_known(tts: Any) -> None:
    with pytest.raises(GenerationError) as caught:
        tts.generate_audio("hi", do="unknown error")
    error: Any = caught.value
    assert type(error) is GenerationError
    assert error.remote_type == "nasty_bindings.UnknownError"
    assert (error.message, error.hint, error.answer) == ("It went wrong.", "Do it well.", 42)
    assert "in generate_audio" in str(error.__cause__), "the traceback that it had there"
    with pytest.raises(GenerationError, match="SystemExit"):
        tts.generate_audio("hi", do="system exit")
    assert tts.generate_audio("hi")


def test_warnings_arrive(tts: Any) -> None:
    with pytest.warns(RuntimeWarning, match="the engine is worried"):
        tts.generate_audio("hi", do="warn")


def test_output_path_is_written_by_the_worker(tts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # which the worker does not follow
    result = tts.generate_audio("hi", output_path="hi.flac")
    assert result.path == tmp_path / "hi.flac"
    assert (len(result), result.format, result.sample_rate) == (0, "flac", 8000)
    assert [p.name for p in tmp_path.iterdir()] == ["hi.flac"]
    assert result.provenance.binding == "nasty"


@pytest.mark.parametrize("size", [10, protocol.CHUNK - 44, 3 * protocol.CHUNK + 1, 40_000_000])
def test_results_of_every_size(tts: Any, size: int) -> None:
    result = tts.generate_audio("hi", do="size", size=size + size % 2)
    assert len(result) == size + size % 2 + 44
    assert result[-10:] == bytes(10)


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "bytearray", "file", "audio", "large"])
def test_media_of_every_kind_goes_in(folder: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(Audio.from_pcm(os.urandom(20_000_002 if kind == "large" else 1000), 8000))
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    with LollmsSTTBindingManager(folder).require_binding("nasty", isolated=True) as stt:
        monkeypatch.chdir(tmp_path)
        given: Any = {
            "path": path, "str": "x.wav", "bytes": data, "bytearray": bytearray(data), "large": data,
            "audio": Audio(data), "file": io.BytesIO(data),
        }[kind]  # fmt: skip
        heard = stt.transcribe_audio(given)
        assert type(heard) is Transcript
        assert heard == hashlib.sha256(data).hexdigest()
        assert heard.words[0].text == "ü"
        assert heard.segments[0].extra == {"size": len(data)}
        assert (heard.language, heard.duration) == ("en", 1.0)
        assert [s.text for s in stt.stream_transcript(data)] == [heard]
        with pytest.raises(FileNotFoundError):
            stt.transcribe_audio(tmp_path / "none.wav")


def test_media_in_options(tts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sound = Audio.from_pcm(b"sound!", 8000)
    (tmp_path / "s.wav").write_bytes(sound)
    digest = hashlib.sha256(sound).hexdigest()
    for given in ("s.wav", bytes(sound), sound):
        assert tts.generate_audio("hi", do="sample", sample=given).provenance.extra["sample"] == digest


def test_lists_of_images_and_previews(folder: Path) -> None:
    with LollmsTTIBindingManager(folder).require_binding("nasty", isolated=True) as tti:
        seen: list[Any] = []
        images = tti.generate_images("x", n=3, progress=lambda p: seen.append(p.preview))  # type: ignore[attr-defined]
        assert [(i.width, i.height) for i in images] == [(8, 8), (8, 9), (8, 10)]
        assert all(type(i) is Image and i.provenance.binding == "nasty" for i in images)
        assert seen
        assert type(seen[0]) is Image
        assert seen[0].width == 2
        assert tti.list_services() == [{"name": "a", "caption": "A", "help": ""}]
        assert tti.generate_image("x", width=16).height == 512


def test_streams_give_the_same_items(tts: Any) -> None:
    stream = tts.stream_audio("hi", count=100, size=1000)
    chunks = list(stream)
    assert [c.text for c in chunks] == [f"hi {n}" for n in range(100)]
    assert all(type(c) is AudioChunk and len(c.pcm) == 1000 for c in chunks)
    assert stream.provenance.options["count"] == 100
    assert len(list(tts.stream_audio("hi", count=3, size=10_000_000))) == 3
    assert Audio.from_chunks(tts.stream_audio("hi")).provenance.binding == "nasty"


def test_a_stream_closed_early_frees_its_worker(tts: Any) -> None:
    pid = pid_of(tts)
    with tts.stream_audio("hi", count=100_000) as stream:
        assert next(stream).text == "hi 0"
        with pytest.raises(BusyError):
            tts.generate_audio("hi")
    assert pid_of(tts) == pid
    next(tts.stream_audio("hi", count=100_000))
    gc.collect()  # a stream that was forgotten
    assert pid_of(tts) == pid


def test_a_slow_reader_does_not_let_the_items_pile_up(tts: Any) -> None:
    with tts.stream_audio("hi", count=1000, size=1_000_000) as stream:
        next(stream)
        time.sleep(0.3)
        memory = psutil.Process().memory_info().rss
        time.sleep(0.3)
        assert psutil.Process().memory_info().rss - memory < 40e6


def test_an_error_in_a_stream(tts: Any) -> None:
    stream = tts.stream_audio("hi", do="fail")
    assert next(stream).text == "hi 0"
    with pytest.raises(GenerationError, match="It went wrong"):
        next(stream)
    assert tts.generate_audio("hi")


def test_twins_keep_the_loop_free(open_tts: Callable[..., Any]) -> None:
    tts = open_tts(WorkerPolicy(pool=2))

    async def main() -> tuple[int, list[Any], list[str]]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        heart = asyncio.create_task(beat())
        both = await asyncio.gather(*(tts.agenerate_audio(t, do="wait", seconds=0.3) for t in ("a", "b")))
        heart.cancel()
        texts = [c.text async for c in tts.astream_audio("hi")]
        task = asyncio.create_task(tts.agenerate_audio("c", do="wait", seconds=60))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return beats, both, texts

    beats, both, texts = asyncio.run(main())
    assert beats > 10
    assert both[0].provenance.usage["pid"] != both[1].provenance.usage["pid"]
    assert texts == ["hi 0", "hi 1", "hi 2"]
    assert tts.generate_audio("hi")


def test_plug_ins_hear_of_calls_in_the_host(tts: Any) -> None:
    heard: list[Any] = []

    class Listener:
        @hookimpl
        def lollms_before_call(self, binding: Any, call: Any) -> None:
            heard.append((binding.binding_name, call.verb, call.options.speed))

        @hookimpl
        def lollms_after_call(self, result: Any) -> Any:
            heard.append(type(result).__name__)
            return Audio.from_pcm(b"\1\1", 8000) if result is not None else None

        @hookimpl
        def lollms_stream_chunk(self, chunk: Any) -> None:
            heard.append(chunk.text)

        @hookimpl
        def lollms_call_failed(self, error: Any) -> None:
            heard.append(type(error).__name__)

    listener = Listener()
    hooks.register(listener)
    try:
        assert tts.generate_audio("hi")[-2:] == b"\1\1"
        list(tts.stream_audio("hi", count=1, speed=3.0))
        with pytest.raises(GenerationError):
            tts.generate_audio("hi", do="unknown error")
    finally:
        hooks.unregister(listener)
    call = ("nasty", "generate_audio", 1.5)
    stream = ("nasty", "stream_audio", 3.0)
    assert heard[:2] == [call, "Audio"]
    assert sorted(map(str, heard[2:5])) == sorted(map(str, [stream, "hi 0", "NoneType"]))
    assert heard[5:] == [call, "GenerationError"]


# --- stopping -------------------------------------------------------------------------------------------------------


def test_cancelled_by_the_engine_that_listens(tts: Any, background: Spawn) -> None:
    pid, token = pid_of(tts), CancelToken()
    running = background(lambda: tts.generate_audio("hi", do="wait", seconds=60, cancel=token))
    time.sleep(0.1)
    began = time.monotonic()
    token.cancel("enough")
    with pytest.raises(CallCancelled, match="enough"):
        running.result()
    assert time.monotonic() - began < 1.0
    assert pid_of(tts) == pid, "the worker goes on"


def test_an_engine_that_does_not_listen_is_killed(tts: Any, background: Spawn) -> None:
    pid, token = pid_of(tts), CancelToken()
    running = background(lambda: tts.generate_audio("hi", do="sleep", seconds=60, cancel=token))
    time.sleep(0.1)
    began = time.monotonic()
    token.cancel()
    with pytest.raises(CallCancelled):
        running.result()
    assert 0.4 < time.monotonic() - began < 3.0
    assert gone(pid)
    assert pid_of(tts) != pid


@pytest.mark.parametrize("do", ["sleep", "sleep with the GIL"])
def test_out_of_time(tts: Any, do: str) -> None:
    pid = pid_of(tts)
    with pytest.raises(WorkerTimeoutError, match=r"timeout of 0.2 s.*did not stop within 0.5 s") as caught:
        tts.generate_audio("hi", do=do, seconds=60, timeout=0.2)
    assert isinstance(caught.value, CallTimeout)
    assert isinstance(caught.value, TimeoutError)
    assert gone(pid)
    assert tts.generate_audio("hi")
    with pytest.raises(CallTimeout) as plain:
        tts.generate_audio("hi", do="wait", seconds=60, timeout=0.2)
    assert not isinstance(plain.value, WorkerCrashedError)


def test_a_stream_that_is_out_of_time_frees_its_worker(tts: Any) -> None:
    stream = tts.stream_audio("hi", count=100_000, timeout=0.3)
    next(stream)
    time.sleep(0.6)
    assert tts.generate_audio("hi")
    with pytest.raises(CallTimeout):
        next(stream)


def test_a_worker_that_takes_nothing_in_is_no_reason_to_wait_for_ever(folder: Path) -> None:
    manager = LollmsSTTBindingManager(folder)
    with manager.require_binding("nasty", isolated=True, policy=QUICK) as stt:
        stt.list_models()
        (worker,) = stt._workers.all()  # type: ignore[attr-defined]
        os.kill(worker.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(CallTimeout):
            stt.transcribe_audio(bytes(50_000_000), timeout=0.3)
        assert time.monotonic() - began < 5
        assert stt.transcribe_audio(b"x")


def test_closed(open_tts: Callable[..., Any], background: Spawn) -> None:
    tts = open_tts()
    pid = pid_of(tts)
    running = background(lambda: tts.generate_audio("hi", do="wait", seconds=60))
    time.sleep(0.1)
    tts.close()
    with pytest.raises(CallCancelled):
        running.result()
    wait_until(lambda: gone(pid), 2)
    with pytest.raises(BindingClosedError):
        tts.generate_audio("hi")
    with pytest.raises(BindingClosedError):
        tts.list_voices()
    tts.close()


def test_loaded_and_unloaded(open_tts: Callable[..., Any]) -> None:
    tts = open_tts(keep_alive=0.3)
    assert not tts.loaded
    tts.load(progress=lambda p: None)
    assert tts.loaded
    tts.unload()
    assert not tts.loaded
    tts.generate_audio("hi")
    assert tts.loaded
    wait_until(lambda: not tts.loaded, 5)


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "cause", "line"),
    [("exit", "exit code 3", "the engine says goodbye"), ("segfault", "SIGSEGV", "Segmentation fault"),
     ("killed", "SIGKILL; the system may have been out of memory", "")],
)  # fmt: skip
def test_a_crash_is_told_with_its_cause_and_the_last_lines(tts: Any, do: str, cause: str, line: str) -> None:
    pid = pid_of(tts)
    with pytest.raises(WorkerCrashedError, match=cause) as caught:
        tts.generate_audio("hi", do=do)
    error: Any = caught.value
    assert line in str(error)
    assert error.exit_code == {"exit": 3, "segfault": -11, "killed": -9}[do]
    wait_until(lambda: gone(pid), 5)
    assert pid_of(tts) != pid, "the next call has a new worker"


def test_a_crash_in_a_stream(tts: Any) -> None:
    stream = tts.stream_audio("hi", do="exit")
    with pytest.raises(WorkerCrashedError, match="exit code 3"):
        list(stream)
    assert tts.generate_audio("hi")


def test_a_crash_while_it_is_made_or_loaded(open_tts: Callable[..., Any]) -> None:
    with pytest.raises(WorkerCrashedError, match=r"(?s)exit code 7.*about to crash"):
        open_tts(crash_at_start=True)
    tts = open_tts(crash_at_load=True)
    with pytest.raises(WorkerCrashedError, match="exit code 8"):
        tts.generate_audio("hi")


@pytest.mark.parametrize("pool", [1, pytest.param((0, 2), marks=pytest.mark.full)])
def test_a_worker_that_is_killed_before_it_is_there_is_replaced(
    open_tts: Callable[..., Any], tmp_path: Path, pool: Any
) -> None:
    kills = tmp_path / "kills"
    kills.write_text("0")
    tts = open_tts(WorkerPolicy(grace=0.5, pool=pool), killed_at_start=kills)

    def kill() -> None:
        os.kill(pid_of(tts), signal.SIGKILL)
        wait_until(lambda: not tts.pool_state().running)

    kill()
    kills.write_text("1")
    assert tts.generate_audio("hi"), "nothing was run: it was somebody else, such as a system without memory"
    kill()
    kills.write_text("9")
    with pytest.raises(WorkerCrashedError):
        tts.generate_audio("hi")
    assert int(kills.read_text()) > 5, "and not for ever"


def test_the_death_of_a_worker_is_seen_at_once(tts: Any, background: Spawn) -> None:
    pid = pid_of(tts)
    running = background(lambda: tts.generate_audio("hi", do="sleep", seconds=60))
    time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(WorkerCrashedError):
        running.result()
    assert time.monotonic() - began < 0.5, "the goal is 50 ms"


def test_a_crash_loop_backs_off_and_says_so(tts: Any) -> None:
    for _ in range(3):
        with pytest.raises(WorkerCrashedError, match="exit code"):
            tts.generate_audio("hi", do="exit")
    with pytest.raises(WorkerRestartError, match="3 times in a row; it is not started again for") as caught:
        tts.generate_audio("hi")
    time.sleep(caught.value.retry_after)
    assert tts.generate_audio("hi")
    with pytest.raises(WorkerCrashedError, match="exit code"):
        tts.generate_audio("hi", do="exit")
    assert tts.generate_audio("hi"), "a call that went well begins the count anew"


def test_nothing_is_run_twice(tts: Any, tmp_path: Path) -> None:
    # The output is made before the worker dies: were the call run again, there would be a result.
    with pytest.raises(WorkerCrashedError):
        tts.generate_audio("hi", do="killed", output_path=tmp_path / "x.wav")
    assert not list(tmp_path.iterdir())


def test_what_the_engine_prints_goes_to_the_log(tts: Any, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.INFO)
    tts.generate_audio("hi", do="print")
    tts.close()  # the last line had no end
    said = [(r.name, r.getMessage()) for r in caplog.records if r.name.endswith(".nasty")]
    name = "lollms_modalities.workers.nasty"
    assert {(name, "from Python"), (name, "from C"), (name, "to stderr without an end")} <= set(said)
    assert capfd.readouterr() == ("", "")


# --- keeping workers ------------------------------------------------------------------------------------------------


def test_replaced_after_so_many_calls(open_tts: Callable[..., Any]) -> None:
    tts = open_tts(WorkerPolicy(max_calls=2))
    pids = [pid_of(tts) for _ in range(5)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    wait_until(lambda: gone(pids[0]), 5)


def test_replaced_when_it_has_grown(open_tts: Callable[..., Any]) -> None:
    tts = open_tts(WorkerPolicy(max_growth=50_000_000))
    pid = pid_of(tts)
    tts.generate_audio("hi", do="leak", size=20_000_000)
    assert pid_of(tts) == pid
    tts.generate_audio("hi", do="leak", size=60_000_000)
    assert pid_of(tts) != pid


def test_ended_when_idle_and_started_again(open_tts: Callable[..., Any]) -> None:
    tts = open_tts(WorkerPolicy(idle_timeout=0.3))
    pid = pid_of(tts)
    wait_until(lambda: gone(pid), 5)
    assert pid_of(tts) != pid


def test_a_pool_runs_calls_side_by_side_and_in_turn(open_tts: Callable[..., Any], background: Spawn) -> None:
    tts = open_tts(WorkerPolicy(pool=2))
    tts.load()  # both: the second is otherwise started when it is needed
    began = time.monotonic()
    running = [background(lambda: tts.generate_audio("hi", do="sleep", seconds=1.0)) for _ in range(4)]
    pids = [r.result().provenance.usage["pid"] for r in running]
    assert len(set(pids)) == 2
    assert sorted(map(pids.count, pids)) == [2, 2, 2, 2]
    assert time.monotonic() - began < 3.9, "four in place take 4 s"
    tts.set_settings({"voice_name": "b"})
    both = [background(lambda: tts.generate_audio("hi", do="sleep", seconds=0.2)) for _ in range(2)]
    assert [r.result().provenance.model for r in both] == ["b", "b"]


def test_eight_threads_each_get_their_answer(open_tts: Callable[..., Any], background: Spawn) -> None:
    tts = open_tts(WorkerPolicy(pool=2))

    def ask(n: int) -> bool:
        return all(
            tts.generate_audio(f"text {n} {k}") == Audio.from_pcm(f"text {n} {k}".encode("utf-16-le"), 8000)
            for k in range(20)
        )

    running = [background(lambda n=n: ask(n)) for n in range(8)]  # type: ignore[misc]
    assert all(r.result(30) for r in running)


# --- the host's end -------------------------------------------------------------------------------------------------

PROGRAM = """
import os, sys, threading, time
from lollms_modalities import LollmsTTSBindingManager
if __name__ == "__main__":
    tts = LollmsTTSBindingManager(sys.argv[1]).require_binding("nasty", isolated=True)
    audio = tts.generate_audio("hi", do="child")
    print(audio.provenance.usage["pid"], audio.provenance.extra["child"], flush=True)
"""


def run_host(folder: Path, program: str, **kwargs: Any) -> subprocess.Popen[str]:
    # Where these tests run at another place, so do their programs.
    begin = os.environ.get("LOLLMS_TESTS_BEGIN", "")
    command = [sys.executable, "-W", "error", "-c", begin + PROGRAM + program, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


@pytest.mark.parametrize("do", ["sleep with the GIL", "wait"])
def test_a_killed_host_leaves_nothing(folder: Path, do: str) -> None:
    program = f"    tts.generate_audio('hi', do={do!r}, seconds=1000)\n"
    with run_host(folder, program) as host:
        assert host.stdout is not None
        pids = [int(word) for word in host.stdout.readline().split()]
        time.sleep(0.3)
        assert not any(map(gone, pids))
        host.kill()
        wait_until(lambda: all(map(gone, pids)), 2.0)


def test_a_killed_host_whose_forked_child_lives_leaves_no_worker(folder: Path) -> None:
    program = (
        "    if os.fork() == 0: time.sleep(4); os._exit(0)\n"
        "    tts.generate_audio('hi', do='sleep with the GIL', seconds=1000)\n"
    )
    with run_host(folder, program) as host:
        assert host.stdout is not None
        pids = [int(word) for word in host.stdout.readline().split()]
        time.sleep(0.3)
        host.kill()
        wait_until(lambda: all(map(gone, pids)), 2.0)


@pytest.mark.parametrize(
    "ending",
    ["", "    sys.exit(0)\n", "    stream = tts.stream_audio('hi', count=10**6); next(stream)\n",
     "    threading.Thread(target=lambda: tts.generate_audio('hi', do='wait', seconds=1000), daemon=True).start()\n"
     "    while not tts._workers.all()[0].users: time.sleep(0.01)\n"  # else its call begins after the end
     "    time.sleep(0.1)\n",
     "    del tts\n"],
)  # fmt: skip
def test_the_interpreter_ends_and_so_does_the_worker(folder: Path, ending: str) -> None:
    host = run_host(folder, ending)
    out, err = host.communicate(timeout=20)
    assert (host.returncode, err) == (0, "")
    wait_until(lambda: all(gone(int(word)) for word in out.split()), 2.0)


FORKED = """
    import multiprocessing
    def work(queue):
        queue.put(tts.generate_audio("from the child").provenance.usage["pid"])
        queue.put(tts.generate_audio("again").provenance.usage["pid"])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=work, args=(queue,))
    child.start()
    pids = [queue.get(timeout=20), queue.get(timeout=20)]
    child.join(20)
    assert child.exitcode == 0 and pids[0] == pids[1]
    mine = tts.generate_audio("mine").provenance.usage["pid"]
    assert mine not in pids
    print(mine, *pids)
"""


def test_a_forked_child_has_a_worker_of_its_own(folder: Path) -> None:
    host = run_host(folder, FORKED)
    out, err = host.communicate(timeout=40)
    assert (host.returncode, err) == (0, "")
    wait_until(lambda: all(gone(int(word)) for word in out.split()), 2.0)


def test_a_binding_that_nobody_has_ends_its_worker(folder: Path) -> None:
    tts: Any = LollmsTTSBindingManager(folder).require_binding("nasty", isolated=True)
    pid = pid_of(tts)
    del tts
    gc.collect()
    wait_until(lambda: gone(pid), 5)


def test_nothing_is_left(folder: Path) -> None:
    def use() -> tuple[int, int, int]:
        gc.collect()
        me = psutil.Process()
        return threading.active_count(), me.num_fds(), len(me.children(recursive=True))

    def work() -> None:
        with LollmsTTSBindingManager(folder).require_binding("nasty", isolated=True, policy=QUICK) as tts:
            tts.generate_audio("hi")
            with pytest.raises(WorkerCrashedError):
                tts.generate_audio("hi", do="exit")
            next(tts.stream_audio("hi", count=1000))

    work()
    wait_until(lambda: threading.active_count() < 12, 5)
    before = use()
    for _ in range(3):
        work()
    wait_until(lambda: use()[0] <= before[0] + 1 and use()[1] <= before[1] and use()[2] <= before[2], 5)


# --- environments ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has the core, as it is here, and the nasty bindings."""
    place = tmp_path_factory.mktemp("data") / "lollms" / "environments" / "strange"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (site,) = place.glob("lib/python3*/site-packages")
    (site / "here.pth").write_text("\n".join(p for p in sys.path if p.endswith(("-packages", "/src"))))
    write_nasty(site, "odd")
    return place


@pytest.fixture
def known(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_DATA_HOME", str(environment.parents[2]))
    refresh()
    yield environment
    monkeypatch.undo()
    refresh()


def test_what_environments_hold_is_listed_and_made(known: Path) -> None:
    manager = LollmsTTSBindingManager()
    assert "odd" in manager.get_available_bindings()
    ref = manager.find("odd")
    assert (ref.origin, ref.environment, ref.distribution, ref.version) == ("environment", "strange", "odd", "1.0")
    with manager.require_binding("odd") as tts:
        assert tts.environment.partition(" at ")[0] == "strange"  # type: ignore[attr-defined]
        assert tts.generate_audio("hi")
    with manager.require_binding("odd", environment="strange") as tts:
        assert tts.generate_audio("hi")


def test_the_path_of_an_environment_will_do(environment: Path) -> None:
    with LollmsTTSBindingManager().require_binding("odd", environment=environment, voice_name="x") as tts:
        assert tts.generate_audio("hi").provenance.model == "x"
    python = environment / "bin" / "python"
    with open_binding("tts", "odd", {"voice_name": "y"}, python=python) as tts:
        assert tts.generate_audio("hi").provenance.model == "y"  # type: ignore[attr-defined]


def test_an_environment_shares_nothing_with_its_host(
    environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('the host leaks')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    with LollmsTTSBindingManager().require_binding("odd", environment=environment) as tts:
        assert tts.generate_audio("hi")


def test_what_is_not_there_is_told(known: Path, tmp_path: Path) -> None:
    manager = LollmsTTSBindingManager()
    with pytest.raises(BindingNotFoundError, match=r"no environment 'stranger'.*strange"):
        manager.require_binding("odd", environment="stranger")
    with pytest.raises(BindingNotFoundError, match=r"is no virtual environment: it holds no pyvenv\.cfg"):
        manager.require_binding("odd", environment=tmp_path)
    with pytest.raises(BindingNotFoundError, match="od'"):
        manager.require_binding("od", environment="strange")
    with pytest.warns(BindingUnavailableWarning, match="od'"):
        assert manager.create_binding("od", environment="strange") is None
    with pytest.raises(BindingDependencyError, match="no Python interpreter"):
        open_binding("tts", "odd", python=tmp_path)


def make_environment(place: Path, core: str | None) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (site,) = place.glob("lib/python3*/site-packages")
    if core is not None:
        info = site / f"lollms_modalities_core-{core}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lollms-modalities-core\nVersion: {core}\n")
        (site / "lollms_modalities").mkdir()
        (site / "lollms_modalities" / "__init__.py").write_text("")
    return place


def test_an_environment_without_the_core_or_with_an_old_one(tmp_path: Path) -> None:
    manager = LollmsTTSBindingManager()
    with pytest.raises(BindingDependencyError, match=r"does not hold lollms-modalities-core.*-m pip install"):
        manager.require_binding("odd", environment=make_environment(tmp_path / "a", None))
    with pytest.raises(BindingIncompatibleError, match=r"holds lollms-modalities-core 1\.0, which cannot serve"):
        manager.require_binding("odd", environment=make_environment(tmp_path / "b", "1.0"))


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_of_the_protocol_is_told(
    environment: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(protocol, "VERSION", version)
    with pytest.raises(BindingIncompatibleError, match=rf"speaks version 1 of the protocol.*with version {version}"):
        LollmsTTSBindingManager().require_binding("odd", environment=environment)
