"""A server as a place: its models as bindings here, over real sockets, with the admission of the server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from counting_engine import STAGES
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingNotFoundError,
    BindingUnavailableWarning,
    CallCancelled,
    CallTimeout,
    CancelToken,
    GenerationError,
    Image,
    LollmsSTTBindingManager,
    LollmsTTIBindingManager,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    MediaError,
    OptionError,
    Progress,
    ServerPlace,
    ServiceAuthError,
    ServiceError,
    ServiceRateLimitError,
    SettingsError,
    UnsupportedError,
    VoiceExistsError,
    VoiceNotFoundError,
    WorkerCrashedError,
    WorkerPolicy,
    hookimpl,
    hooks,
)
from lollms_server.room.keys import Keys
from lollms_server.web.options import VerbOptions
from lollms_server.web.settings import Limits
from serving import SERVE, Server, models, serving
from waiting import wait_until

WAV = bytes(Audio.from_samples(np.sin(np.arange(16000) / 9), 16000))
CONFIGURATION = f"""
{SERVE}
max_queue = 2
[serve.aliases]
reader = "counting"
{models(counting="tts")}
voices = {{ uno = "one" }}
[models.apart]
binding = "counting"
modality = "tts"
pool = 2
{models(ears="stt")}
{models("example", hearing="stt", tone="tts", blocks="tti")}
"""
MANAGERS: dict[str, Any] = {
    "tts": LollmsTTSBindingManager(), "stt": LollmsSTTBindingManager(), "tti": LollmsTTIBindingManager()
}  # fmt: skip


class Asking:
    """A server, the keys that were made for it, and bindings of it."""

    def __init__(self, server: Server, keys: Keys, made: dict[str, str]) -> None:
        self.server, self.keys, self.made = server, keys, made
        self.bindings: list[Any] = []

    def place(self, who: str = "anna") -> ServerPlace:
        return ServerPlace(self.server.address, key=self.made[who])

    def __call__(self, name: str = "counting", modality: str = "tts", who: str = "anna", **more: Any) -> Any:
        self.bindings.append(MANAGERS[modality].require_binding(name, place=self.place(who), **more))
        return self.bindings[-1]

    def close(self) -> None:
        for binding in self.bindings:
            binding.close()


@contextmanager
def served(folder: Path, **limits: Any) -> Iterator[tuple[Server, Keys, dict[str, str]]]:
    keys = Keys(folder / "keys.json")
    made = {
        "anna": keys.add("anna"), "bob": keys.add("bob"), "boss": keys.add("boss", role="admin"),
        "few": keys.add("few", models=("tone",)), "one": keys.add("one", at_once=1),
    }  # fmt: skip
    with serving(folder, CONFIGURATION, upload_bytes=20_000_000, **limits) as running:
        yield running, keys, made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Keys, dict[str, str]]]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def ask(server: tuple[Server, Keys, dict[str, str]]) -> Iterator[Asking]:
    asking = Asking(*server)
    yield asking
    asking.close()
    wait_until(lambda: not asking.server.files())  # nothing of it stays on the disk
    assert asking.server.ask("GET", "/health").status == 200


def test_it_is_the_binding(ask: Asking) -> None:
    binding = ask()
    assert isinstance(binding, LollmsTTSBinding)
    assert (binding.binding_name, binding.environment) == ("counting", ask.server.address)
    assert binding.capabilities.cloning
    assert binding.list_voices() == ["one", "two"]
    assert [row["name"] for row in binding.describe_voices()] == ["one", "two"]
    assert "loud" in {row["name"] for row in binding.get_options()}
    audio = binding.generate_audio("hello", voice="two")
    assert isinstance(audio, Audio)
    assert (audio.sample_rate, audio.duration) == (8000, pytest.approx(0.05))
    made = audio.provenance
    assert made is not None
    assert (made.binding, made.engine, made.settings) == ("counting", "counting", {})
    assert binding.is_loaded()
    assert binding.generate_audio("hello", voice="uno")  # the server's other name for a voice
    assert ask("reader").generate_audio("hello")  # and for a model


_CLIENT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from lollms_modalities import LollmsTTSBindingManager, ServerPlace
with LollmsTTSBindingManager().require_binding("tone", place=ServerPlace({address!r})) as tts:
    print(tts.generate_audio("hello").duration, len(list(tts.stream_audio("One. Two."))))
"""


def test_the_client_needs_websockets_alone(ask: Asking) -> None:
    # None of the server, of its engines, of other clients of HTTP, or of what TCP between machines needs.
    absent = {"lollms_server", "lollms_examples", "starlette", "uvicorn", "httpx", "requests", "cryptography", "numpy"}
    program = _CLIENT.format(absent=absent, address=ask.server.address)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True,
        env={**os.environ, "LOLLMS_SERVICE_KEY": ask.made["anna"]},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout.split()[0]) > 0


def test_streams_come_item_by_item(ask: Asking) -> None:
    binding = ask()
    with binding.stream_audio("pause") as stream:
        first = next(stream)
        assert isinstance(first, AudioChunk)
        assert ask.server.counted.lines()[-1] != "ended"
        assert first.text == "pause"
        assert len(list(stream)) == 1
    assert stream.provenance.binding == "counting"
    whole = Audio.from_chunks(binding.stream_audio("work 100 0.001"))
    assert whole.duration == pytest.approx(0.1)


def test_progress_and_previews_come_over(ask: Asking) -> None:
    seen: list[Progress] = []
    ask("apart").generate_audio("work 5", progress=seen.append)
    assert seen[-1].total == 5
    assert [report.done for report in seen] == sorted(report.done for report in seen)
    seen.clear()
    ask("blocks", "tti").generate_image("a red car", width=64, height=64, progress=seen.append)
    assert seen[-1].done == seen[-1].total


@pytest.mark.parametrize("name", ["counting", "apart"])
def test_no_stage_is_left_out_of_what_is_reported_at_once(ask: Asking, name: str) -> None:
    seen: list[Progress] = []
    ask(name).generate_audio("stages", progress=seen.append)
    ends = [(stage, done) for stage in STAGES for done in (0, 100)]
    assert [report for report in ((p.stage, p.done) for p in seen) if report in ends] == ends


def test_warnings_come_over_to_whom_they_concern(ask: Asking) -> None:
    for name in ("counting", "apart"):
        binding, other = ask(name), ask(name, who="bob")
        with pytest.warns(RuntimeWarning, match="it is warn mine") as told:
            binding.generate_audio("warn mine")
        assert "private" not in str(told[0].message)
        with pytest.warns(RuntimeWarning, match="it is warn theirs"):
            list(other.stream_audio("warn theirs"))


def test_plug_ins_here_hear_of_calls_there(ask: Asking) -> None:
    class Listening:
        heard: ClassVar[list[str]] = []

        @hookimpl
        def lollms_before_call(self, binding: Any, call: Any) -> None:
            self.heard.append(f"before {call.verb} {call.options.loud}")

        @hookimpl
        def lollms_after_call(self, binding: Any, call: Any, result: Any) -> None:
            self.heard.append(f"after {call.verb} {len(result)}")

    binding, plug_in = ask(), Listening()
    hooks.register(plug_in)
    try:
        audio = binding.generate_audio("hello", loud=True)
    finally:
        hooks.unregister(plug_in)
    assert plug_in.heard == ["before generate_audio True", f"after generate_audio {len(audio)}"]


def test_plug_ins_here_hear_of_options_that_were_left_out(ask: Asking) -> None:
    heard: list[Any] = []

    class Listening:
        @hookimpl
        def lollms_before_call(self, call: Any) -> None:
            heard.append(call.options)

    plug_in, ears, boss = Listening(), ask("ears", "stt"), ask("ears", "stt", who="boss")
    hooks.register(plug_in)
    try:
        ask().generate_audio("hello", width=2)
        boss.set_settings({"default_said": "another word"})
        ears.transcribe_audio(WAV)
        ears.transcribe_audio(WAV, said="this")
    finally:
        hooks.unregister(plug_in)
        boss.set_settings({"default_said": ""})
    assert (heard[0].loud, heard[0].n, heard[0].width) == (False, 1, 2)
    assert [options.said for options in heard[1:]] == ["another word", "this"]


def test_where_things_are_is_told_nobody() -> None:
    verb = {"params": [], "returns": "Audio", "stream": False, "options": {"properties": {"model": {"default": None}}}}
    settings = SimpleNamespace(model="/srv/secret/model", default_model=None)
    for kind, told in (("path", None), ("plain", settings.model)):
        rows = [{"name": "model", "kind": kind}]
        options = VerbOptions({"verbs": {"speak": verb}, "settings": rows, "options_schema": {}}, "speak")
        assert options.whole({}, settings) == {"model": told}


def test_sound_and_images_go_there(ask: Asking, tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    file.write_bytes(WAV)
    ears = ask("ears", "stt")
    assert ears.transcribe_audio(file, said="some words") == "some words"
    assert ask.server.counted.lines()[-1] == f"heard {len(WAV)}"
    assert [s.text for s in ears.stream_transcript(WAV, said="a|b")] == ["a", "b"]
    long = Audio.from_pcm(bytes(10_000_000), 16000)  # a file over there
    assert ears.transcribe_audio(long, said="long") == "long"
    assert ask.server.counted.lines()[-1] == f"heard {len(long)}"
    blocks = ask("blocks", "tti")
    image = blocks.generate_image("x", width=64, height=48)
    larger = blocks.upscale_image(image, scale=2)
    assert (larger.width, larger.height) == (128, 96)
    assert isinstance(blocks.edit_images([image], "y")[0], Image)
    path = tmp_path / "out.png"
    assert blocks.generate_image("x", width=64, height=48, output_path=path).path == path
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_large_results_come_in_parts(ask: Asking) -> None:
    audio = ask().generate_audio("work 10 60")
    assert audio.duration == pytest.approx(600)
    assert len(audio) > 9_600_000


def test_sound_is_heard_while_it_is_spoken(ask: Asking) -> None:
    given = 0

    def microphone() -> Iterator[AudioChunk]:
        nonlocal given
        for _ in range(40):
            given += 1
            yield AudioChunk.from_samples(np.sin(np.arange(1600) / 9), 16000)

    hearing = ask("hearing", "stt")
    segments = list(hearing.transcribe_live(microphone()))
    assert segments
    assert given == 40

    def broken() -> Iterator[AudioChunk]:
        yield AudioChunk.from_samples(np.sin(np.arange(1600) / 9), 16000)
        raise KeyError("the microphone's own")

    with pytest.raises(KeyError, match="microphone"):
        list(hearing.transcribe_live(broken()))
    assert list(hearing.transcribe_live(microphone()))


def test_awaitable_twins(ask: Asking) -> None:
    async def speak() -> Any:
        return await ask().agenerate_audio("hello"), [chunk async for chunk in ask().astream_audio("hello")]

    audio, chunks = asyncio.run(speak())
    assert audio.duration == pytest.approx(0.05)
    assert len(chunks) == 1


def test_errors_arrive_as_themselves(ask: Asking) -> None:
    binding = ask()
    with pytest.raises(OptionError, match=r"loud.?'"):
        binding.generate_audio("hello", lout=True)
    with pytest.raises(OptionError):
        binding.stream_audio("hello", lout=True)  # before its first item
    with pytest.raises(VoiceNotFoundError):
        binding.generate_audio("hello", voice="../../etc/passwd")
    with pytest.raises(OptionError):
        binding.generate_audio("hello", n=10**9)
    with pytest.raises(OptionError):
        binding.generate_audio("hello", seed=2**70)
    with pytest.raises(OptionError, match="holds"):
        binding.generate_audio("x" * 1_100_000)  # refused here: it would end the session
    with pytest.raises(GenerationError) as failed:
        binding.generate_audio("fail")
    assert "private" not in str(failed.value)
    assert "sk-aaaa" not in str(failed.value)
    with pytest.raises(GenerationError):
        list(binding.stream_audio("breaks"))
    with pytest.raises(WorkerCrashedError) as crashed:  # the server's worker, not the session
        ask("apart").generate_audio("crash")
    assert crashed.value.exit_code == 7  # type: ignore[attr-defined]
    with pytest.raises(MediaError):
        ask("ears", "stt").transcribe_audio(b"no sound")
    with pytest.raises(MediaError, match="max_upload"):
        ask("ears", "stt").transcribe_audio(Audio.from_pcm(bytes(30_000_000), 48000))
    assert binding.generate_audio("hello")


def test_what_is_not_served_is_told_as_not_found(ask: Asking) -> None:
    with pytest.raises(BindingNotFoundError, match="nobody"):
        ask("nobody")
    with pytest.raises(BindingNotFoundError):
        ask("counting", who="few")
    with pytest.warns(BindingUnavailableWarning):
        assert MANAGERS["tts"].create_binding("nobody", place=ask.place()) is None
    assert ask("tone", who="few").generate_audio("hi")
    with pytest.raises(SettingsError, match="environment"):
        ask(environment="there")


def test_settings_are_the_servers(ask: Asking) -> None:
    mine, boss = ask("tone"), ask("tone", who="boss")
    assert mine.get_settings()
    assert mine.set_settings(mine.get_settings())  # which change nothing
    with pytest.raises(SettingsError, match="admin"):
        mine.set_settings({"keep_alive": 4711})
    with pytest.raises(SettingsError, match="admin"):
        ask("tone", keep_alive=4711)
    assert boss.set_settings(boss.get_settings())
    assert boss.set_settings({"keep_alive": 4711})
    assert {row["name"]: row["value"] for row in mine.get_settings()}["keep_alive"] == 4711
    assert boss.set_settings({"keep_alive": None})
    with pytest.raises(SettingsError):
        boss.set_settings({"no_such": 1})
    with pytest.raises(ServiceAuthError):
        mine.load()
    with pytest.raises(ServiceAuthError):
        mine.unload()
    boss.load()
    assert mine.is_loaded()
    mine.close()
    assert boss.is_loaded()  # the session was closed, the model not


def test_voices_are_their_callers_alone(ask: Asking) -> None:
    mine, others = ask(), ask(who="bob")
    mine.add_voice("grandmother", WAV, "she said so")
    try:
        assert mine.list_voices() == ["one", "two", "grandmother"]
        assert others.list_voices() == ["one", "two"]
        assert mine.generate_audio("hello", voice="grandmother")
        with pytest.raises(VoiceNotFoundError):
            others.generate_audio("hello", voice="grandmother")
        with pytest.raises(VoiceNotFoundError):
            others.remove_voice("grandmother")
        with pytest.raises(VoiceExistsError):
            mine.add_voice("grandmother", WAV, "again")
    finally:
        mine.remove_voice("grandmother")
    assert mine.list_voices() == ["one", "two"]


def test_a_call_is_cancelled_in_the_engine(ask: Asking) -> None:
    counted, binding = ask.server.counted, ask()
    token = CancelToken()

    def cancel() -> None:
        wait_until(lambda: "began 'work 3001' None" in counted.lines())
        token.cancel("enough")

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CallCancelled):
        binding.generate_audio("work 3001", cancel=token)
    thread.join()
    wait_until(lambda: "cancelled 'work 3001'" in counted.lines())
    with pytest.raises(CallTimeout):
        binding.generate_audio("work 3002", timeout=0.3)
    wait_until(lambda: "cancelled 'work 3002'" in counted.lines())
    with binding.stream_audio("work 3003") as stream:
        next(stream)
    wait_until(lambda: "cancelled 'work 3003'" in counted.lines())
    assert binding.generate_audio("hello")


def test_the_servers_admission_holds(ask: Asking) -> None:
    counted, began = ask.server.counted, ask.server.counted.count("began")
    running = [ask(who=who) for who in ("anna", "bob", "boss", "anna")]
    with ThreadPoolExecutor(4) as threads:
        token = CancelToken()
        first = threads.submit(running[0].generate_audio, "work 3000", cancel=token)
        wait_until(lambda: counted.count("began") > began)
        waiting = [threads.submit(binding.generate_audio, "hello") for binding in running[1:3]]
        state = ask.server
        wait_until(lambda: len(_calls(state, ask.made["boss"])) == 3)
        with pytest.raises(ServiceRateLimitError) as refused:
            running[3].generate_audio("hello")
        assert refused.value.status == 429
        assert refused.value.retryable
        assert refused.value.retry_after
        token.cancel()
        with pytest.raises(CallCancelled):
            first.result()
        assert all(audio.result() for audio in waiting)


def _calls(server: Server, key: str) -> list[Any]:
    reply = server.ask("GET", "/lollms/v2/calls", headers={"Authorization": f"Bearer {key}"})
    rows: list[Any] = reply.json["data"]
    return rows


def test_a_session_has_the_limits_of_its_key(ask: Asking) -> None:
    one = ask("apart", who="one")
    counted, began, token = ask.server.counted, ask.server.counted.count("began"), CancelToken()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(one.generate_audio, "work 3000", cancel=token)
        wait_until(lambda: counted.count("began") > began)
        with pytest.raises(ServiceRateLimitError):
            one.generate_audio("hello")
        token.cancel()
        with pytest.raises(CallCancelled):
            first.result()


def test_a_stream_that_nobody_reads_loses_its_place(tmp_path: Path) -> None:
    assert (Limits().unread_seconds, Limits().frame_text) == (30.0, 1_000_000)
    with served(tmp_path, unread_seconds=2.0) as running, closing(Asking(*running)) as ask:
        counted = ask.server.counted
        stream = ask().stream_audio("work 3000")
        next(stream)
        wait_until(lambda: counted.count("cancelled"))
        assert ask(who="bob").generate_audio("hello")  # which has the place
        with pytest.raises(CallTimeout, match="lost its place"):
            list(stream)


def test_a_revoked_key_ends_the_session(ask: Asking) -> None:
    key = ask.keys.add("gone")
    binding = MANAGERS["tts"].require_binding("apart", place=ServerPlace(ask.server.address, key=key))
    ask.bindings.append(binding)
    counted, began = ask.server.counted, ask.server.counted.count("began")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(binding.generate_audio, "work 30000")
        wait_until(lambda: counted.count("began") > began)
        ask.keys.remove("gone")
        removed = time.monotonic()
        with pytest.raises(ServiceAuthError):
            running.result()
        assert time.monotonic() - removed < 30
    with pytest.raises((ServiceAuthError, WorkerCrashedError)):
        binding.generate_audio("hello")
    with pytest.raises(ServiceAuthError):
        binding.generate_audio("hello")


def test_a_key_is_seen_nowhere(ask: Asking, caplog: pytest.LogCaptureFixture) -> None:
    place = ask.place()
    binding = ask()
    with pytest.raises(ServiceAuthError) as refused:
        MANAGERS["tts"].require_binding("counting", place=ServerPlace(ask.server.address, key="lollms-wrong-key"))
    with caplog.at_level("DEBUG"):
        ask().generate_audio("hello")
    seen = f"{place!r} {place.name} {binding!r} {refused.value} {refused.value.to_json()} {caplog.text}"
    assert ask.made["anna"] not in seen
    assert "lollms-wrong-key" not in seen
    assert ask.made["anna"] not in ask.server.log.read_text()
    with pytest.raises(SettingsError, match="in the clear"):
        ServerPlace("http://gpu-box:9600", key="k")
    assert ServerPlace("http://gpu-box:9600", key="k", allow_http=True).name == "http://gpu-box:9600"
    with pytest.raises(SettingsError, match="user name") as told:
        ServerPlace("https://anna:secret@gpu-box:9600")
    assert "secret" not in str(told.value)


def test_the_key_may_be_in_the_environment(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOLLMS_SERVICE_KEY", raising=False)
    with pytest.raises(ServiceAuthError) as refused:
        MANAGERS["tts"].require_binding("counting", place=ask.server.address)
    assert refused.value.status == 401
    monkeypatch.setenv("LOLLMS_SERVICE_KEY", ask.made["anna"])
    with MANAGERS["tts"].require_binding("counting", place=ask.server.address) as binding:
        assert binding.generate_audio("hello")


def test_no_setting_and_no_variable_of_this_program_goes_along(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    from lollms_modalities.workers import server_link

    sent: list[bytes] = []
    carry = server_link.Bridge._carry
    monkeypatch.setattr(
        server_link.Bridge, "_carry", lambda self, head, text, payload: (sent.append(text), carry(self, head, text, payload))
    )  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", "sesame-env")
    make = MANAGERS["tts"].maker("counting", place=ask.place(), shared={"service_key": "sesame-shared"})
    with make({}) as binding:
        binding.generate_audio("hello")
    assert len(sent) > 2
    assert b"sesame" not in b"".join(sent)


def test_two_callers_do_not_see_each_other(ask: Asking) -> None:
    with ThreadPoolExecutor(8) as threads:
        bindings = [ask("apart", who=who) for who in ("anna", "bob") * 2]
        lengths = [
            threads.submit(lambda b=b, n=n: round(b.generate_audio(f"work {n}").duration / 0.05))
            for n, b in enumerate(bindings, 1)
        ]
        assert [found.result() for found in lengths] == [1, 2, 3, 4]


@pytest.mark.full
def test_a_server_that_ends_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, CONFIGURATION) as server:
        binding = MANAGERS["tts"].require_binding("counting", place=server.address)
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(binding.generate_audio, "work 30000")
            wait_until(lambda: server.counted.count("began"))
            assert server.process.stdin is not None
            server.process.stdin.close()  # which ends it gracefully
            with pytest.raises((CallCancelled, ServiceError, WorkerCrashedError)):
                running.result()
        server.process.wait(30)
        with pytest.raises(ServiceError, match="cannot be reached"):
            wait_gone(binding)
    binding.close()


def wait_gone(binding: Any) -> None:
    """Ask until the error is no longer that of the connection that was lost."""
    for _ in range(3):
        try:
            binding.generate_audio("hello")
        except WorkerCrashedError:
            continue


@pytest.mark.full
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_server_that_is_gone_is_told_within_seconds(tmp_path: Path, how: str) -> None:
    with serving(tmp_path, CONFIGURATION) as server:
        place = ServerPlace(server.address)
        binding = MANAGERS["tts"].require_binding("counting", place=place, policy=WorkerPolicy(grace=0.5))
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(binding.generate_audio, "work 30000")
            wait_until(lambda: server.counted.count("began"))
            server.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
            with pytest.raises(WorkerCrashedError, match=r"did not answer|was cut"):
                running.result(30)
        assert server.counted.count("began") == 1
        if how == "frozen":
            server.process.send_signal(signal.SIGCONT)
            wait_until(lambda: server.counted.count("cancelled"))
            assert binding.generate_audio("hello")  # in another session
            assert server.counted.count("began") == 2  # no call was run twice
        binding.close()


def test_another_protocol_is_told_as_incompatible(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    from lollms_modalities import BindingIncompatibleError
    from lollms_modalities.workers import protocol

    monkeypatch.setattr(protocol, "VERSION", 2)
    with pytest.raises(BindingIncompatibleError, match="version 1 of the protocol"):
        ask()


def test_other_servers_are_told_as_such(ask: Asking, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="404"):
        MANAGERS["tts"].require_binding("counting", place=ServerPlace(f"{ask.server.address}/nothing/here", key="k"))
    with pytest.raises(ServiceError, match="cannot be reached"):
        MANAGERS["tts"].require_binding("counting", place="http://127.0.0.1:9")
