"""Live transcription: what comes when, from whatever source, in place and in another process."""

from __future__ import annotations

import asyncio
import gc
import itertools
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tone_bindings as tones
from distributions import install
from lollms_modalities import (
    Audio,
    AudioChunk,
    BusyError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    LollmsSTTBindingManager,
    MediaError,
    OptionError,
    Segment,
    SettingsError,
    UnsupportedError,
    Word,
    WorkerCrashedError,
    WorkerPolicy,
)
from lollms_modalities.workers.values import pack, unpack
from waiting import wait_until

sys.path.insert(0, str(Path(__file__).parent / "support"))
from far_place import FarPlace

sys.path.pop(0)

TEXT = "do re mi . fa so . la ti do re"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bindings as an installed distribution."""
    folder = tmp_path_factory.mktemp("tones") / "site"
    points = "tones = tone_bindings:ToneSTTBinding\nmany_tones = tone_bindings:ManyTonesSTTBinding\n"
    install(folder, "tones", f"[lollms_client.stt_bindings]\n{points}")
    shutil.copy(str(tones.__file__), folder)
    return folder


Make = Callable[..., Any]


class MineError(Exception):
    """What the caller's own code raises."""


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    """Makes bindings that are closed at the end."""
    made: list[Any] = []

    def new(name: str = "tones", **kwargs: Any) -> Any:
        made.append(LollmsSTTBindingManager(folder).require_binding(name, **kwargs))
        return made[-1]

    yield new
    for binding in made:
        binding.close()


@pytest.fixture(scope="module")
def _places(folder: Path) -> Iterator[dict[bool, Any]]:
    bindings = {
        there: LollmsSTTBindingManager(folder).require_binding("tones", isolated=there) for there in (False, True)
    }
    yield bindings
    for binding in bindings.values():
        binding.close()


@pytest.fixture(params=["in place", "isolated"])
def stt(request: pytest.FixtureRequest, _places: dict[bool, Any]) -> Any:
    """The binding, in both places."""
    return _places[request.param == "isolated"]


def chunks(samples: np.ndarray, rate: int = 16000, seconds: float = 0.05) -> list[AudioChunk]:
    """Sound as a microphone gives it."""
    step = int(rate * seconds)
    return [AudioChunk.from_samples(samples[n : n + step], rate) for n in range(0, len(samples), step)]


def text_of(segments: list[Segment]) -> str:
    """The final ones, joined."""
    return " ".join(s.text for s in segments if s.final)


WORDS = TEXT.replace(" .", "")


def check(segments: list[Segment], text: str = WORDS) -> None:
    """What every live transcription promises."""
    by_id: dict[str, list[Segment]] = {}
    for segment in segments:
        assert segment.id
        by_id.setdefault(segment.id, []).append(segment)
    for same in by_id.values():
        assert [s.final for s in same] == [False] * (len(same) - 1) + [True]
        assert len({s.start for s in same}) == 1
    finals = [s for s in segments if s.final]
    assert all(a.end <= b.start for a, b in itertools.pairwise(finals))
    assert text_of(segments) == text


# -- what comes, and when --------------------------------------------------------------------------------------------


def test_partials_then_finals(stt: Any) -> None:
    sound = tones.tune(TEXT)
    stream = stt.transcribe_live(chunks(sound))
    segments = list(stream)
    check(segments)
    assert len([s for s in segments if s.final]) == 3
    assert any(not s.final for s in segments)
    assert stt.transcribe_audio(Audio.from_chunks(chunks(sound))) == WORDS
    extra = stream.provenance.extra["live"]
    assert extra["seconds"] == pytest.approx(len(sound) / 16000, abs=0.01)
    assert extra["voice_activity"]["name"] == "Loudness"
    assert extra["partials"] >= 1
    assert stream.provenance.model == "tones"
    assert stream.provenance.options["spelling"] == "small"
    assert stream.provenance.usage["seconds"] >= 3


def in_step(sound: np.ndarray, until: float, seen: threading.Event, waited: list[bool]) -> Iterator[AudioChunk]:
    """Up to ``until`` seconds; the rest when ``seen`` is set."""
    at = 0.0
    for chunk in chunks(sound):
        if at >= until and not waited:
            waited.append(seen.wait(30))
        at += chunk.duration
        yield chunk


def test_a_partial_after_seven_tenths_of_a_second(stt: Any) -> None:
    seen, waited = threading.Event(), list[bool]()
    segments = []
    for segment in stt.transcribe_live(in_step(tones.tune("do re mi fa so la"), 0.3 + 0.7, seen, waited)):
        segments.append(segment)
        seen.set()
    assert waited == [True]
    assert segments[0].text.startswith("do")
    assert not segments[0].final
    check(segments, "do re mi fa so la")


def test_the_final_half_a_second_after_the_pause(stt: Any) -> None:
    sound = np.concatenate([tones.tune("do re mi"), tones.silence(3.0), tones.tune("fa")]).astype(np.float32)
    end = 0.3 + 3 * 0.26 - 0.06
    seen, waited = threading.Event(), list[bool]()
    segments = []
    for segment in stt.transcribe_live(in_step(sound, end + 0.5, seen, waited)):
        segments.append(segment)
        if segment.final:
            seen.set()
    assert waited == [True]
    check(segments, "do re mi fa")


def test_a_source_that_stalls_shows_what_was_heard(stt: Any) -> None:
    # Whenever the next look is due: nothing comes, and all that came is shown.
    sound = tones.tune("do re mi fa so la")
    seen, waited = threading.Event(), list[bool]()
    segments = []
    for segment in stt.transcribe_live(in_step(sound, 0.3 + 4 * 0.26, seen, waited)):
        segments.append(segment)
        if segment.text == "do re mi fa":
            seen.set()
    assert waited == [True]
    assert "do re mi fa" in [s.text for s in segments if not s.final]
    check(segments, "do re mi fa so la")


def test_times_and_words(stt: Any) -> None:
    segments = list(stt.transcribe_live(chunks(tones.tune("do re . mi fa")), timestamps="word", spelling="large"))
    first, second = (s for s in segments if s.final)
    assert (first.text, second.text) == ("DO RE", "MI FA")
    assert [w.text.strip() for w in second.words] == ["MI", "FA"]
    at = 0.3 + 2 * 0.26 + 0.6
    assert second.start == pytest.approx(at, abs=0.1)
    for word, expected in zip(second.words, (at, at + 0.26), strict=True):
        assert word.start == pytest.approx(expected, abs=0.05)
        assert second.start <= word.start < word.end <= second.end
    assert first.language == "en"


def test_nothing_is_looked_at_twice_for_nothing(make: Make) -> None:
    """The look at the beginning of a pause is the final one."""
    stt = make()
    check(list(stt.transcribe_live(chunks(tones.tune("do re mi . fa so .")))), "do re mi fa so")
    assert len(stt.asked) <= 6


def test_a_long_utterance_is_cut_and_costs_no_more_than_its_length(make: Make) -> None:
    stt = make()
    words = list(itertools.islice(itertools.cycle(["do", "re", "mi", "fa", "so", "la", "ti"]), 200))
    segments = list(stt.transcribe_live(chunks(tones.tune(" ".join(words)))))
    check(segments, " ".join(words))
    assert max(stt.asked) < 13
    assert max(s.end - s.start for s in segments) < 13
    # Each second is looked at twice a second for at most twelve seconds: in all, so many times its length and no more.
    assert sum(stt.asked) < 20 * len(words) * 0.26


def test_what_is_left_out_is_partials(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    stt = make()
    clock = [0.0]
    monkeypatch.setattr("lollms_modalities.contract.live.monotonic", lambda: clock[0])

    def slow() -> None:
        clock[0] += 3.0

    stt.on_asked = slow
    stream = stt.transcribe_live(chunks(tones.tune(" . ".join(["do re mi fa so la"] * 5))))
    segments = list(stream)
    check(segments, " ".join(["do re mi fa so la"] * 5))
    told = stream.provenance.extra["live"]
    assert told["dropped"] >= 5
    assert told["partials"] <= 5, "the first of each utterance"


# -- sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(lambda: [], id="none"),
        pytest.param(lambda: [AudioChunk(b"", 16000)] * 3, id="chunks without sound"),
        pytest.param(lambda: [AudioChunk(b"\1\0", 16000)], id="one sample"),
        pytest.param(lambda: [AudioChunk(bytes(64000), 16000)], id="digital silence"),
        pytest.param(lambda: chunks(tones.silence(3.0)), id="a quiet room"),
        pytest.param(lambda: chunks(0.5 * np.sin(np.arange(240) / 2).astype(np.float32)), id="a click"),
    ],
)
def test_where_nothing_is_said_nothing_comes(stt: Any, sound: Callable[[], Any]) -> None:
    stream = stt.transcribe_live(sound())
    assert list(stream) == []
    assert stream.provenance is not None


def stereo(samples: np.ndarray) -> np.ndarray:
    return np.stack([samples, samples], axis=1)


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(lambda: chunks(tones.tune(TEXT, 8000), 8000), id="8 kHz"),
        pytest.param(lambda: chunks(stereo(tones.tune(TEXT, 44100)), 44100), id="44.1 kHz stereo"),
        pytest.param(lambda: chunks(stereo(tones.tune(TEXT, 48000)) * [1, -1], 48000), id="inverted stereo"),
        pytest.param(lambda: chunks(tones.tune(TEXT, 96000), 96000), id="96 kHz"),
        pytest.param(lambda: chunks(tones.tune(TEXT), seconds=0.001), id="a millisecond each"),
        pytest.param(lambda: chunks(tones.tune(TEXT), seconds=60), id="all at once"),
        pytest.param(
            lambda: [
                *chunks(tones.tune("do re mi .", 8000), 8000), *chunks(stereo(tones.tune("fa so .", 44100)), 44100),
                *chunks(tones.tune("la ti do re", 22050), 22050),
            ],
            id="another rate midway",
        ),
        pytest.param(
            lambda: (AudioChunk(bytearray(c.pcm), np.int64(16000), 1) for c in chunks(tones.tune(TEXT))),  # type: ignore[arg-type]
            id="other types of the same",
        ),
    ],
)  # fmt: skip
def test_sound_of_every_kind(stt: Any, sound: Callable[[], Any]) -> None:
    check(list(stt.transcribe_live(sound())))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        pytest.param(b"\0\0", "bytes", id="bytes"),
        pytest.param(None, "NoneType", id="None"),
        pytest.param(AudioChunk(b"\0\0\0", 16000), "3 bytes", id="half a sample"),
        pytest.param(AudioChunk(b"\0\0", 16000, 2), "2 bytes", id="half a frame"),
        pytest.param(AudioChunk(b"\0\0", 0), "0", id="no rate"),
        pytest.param(AudioChunk(b"\0\0", 10**9), "1000000000", id="an impossible rate"),
        pytest.param(AudioChunk(b"\0\0", 16000.5), "16000.5", id="half a rate"),  # type: ignore[arg-type]
        pytest.param(AudioChunk(b"\0\0", 16000, 0), "0", id="no channel"),
        pytest.param(AudioChunk([1, 2], 16000), "list", id="a list"),  # type: ignore[arg-type]
    ],
)
def test_an_item_that_is_no_sound(stt: Any, item: Any, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        list(stt.transcribe_live(iter([*chunks(tones.tune("do")), item])))
    check(list(stt.transcribe_live(chunks(tones.tune(TEXT)))))


@pytest.mark.parametrize(
    "frames",
    ["talk.wav", b"RIFF", Path("talk.wav"), None, 3, MineError],
    ids=["a str", "bytes", "a path", "None", "3", "a class"],
)
def test_what_is_no_iterator(stt: Any, frames: Any) -> None:
    with pytest.raises(OptionError, match="transcribe_audio"):
        stt.transcribe_live(frames)
    with pytest.raises(OptionError, match="spelling"):
        list(stt.transcribe_live([], speling="large"))


@pytest.mark.parametrize("error", [MineError("mine"), KeyboardInterrupt(), OSError(5, "unplugged"), MediaError("mine")])
def test_what_the_source_raises_arrives_unchanged(stt: Any, error: BaseException) -> None:
    closed = threading.Event()

    def frames() -> Iterator[AudioChunk]:
        try:
            yield from chunks(tones.tune("do re mi"))
            raise error
        finally:
            closed.set()

    with pytest.raises(type(error)) as caught:
        list(stt.transcribe_live(frames()))
    assert caught.value is error
    assert closed.is_set()
    assert stt.transcribe_audio(Audio.from_chunks(chunks(tones.tune("do")))) == "do"


class Closable:
    """A source that counts what is asked of it, and knows whether it was closed."""

    def __init__(self, sound: np.ndarray) -> None:
        self.sound = itertools.cycle(chunks(sound))
        self.asked = 0
        self.closed = threading.Event()

    def __iter__(self) -> Closable:
        return self

    def __next__(self) -> AudioChunk:
        self.asked += 1
        return next(self.sound)

    def close(self) -> None:
        self.closed.set()


def test_a_source_that_never_ends_is_closed(stt: Any) -> None:
    source = Closable(tones.tune(TEXT + " ."))
    with stt.transcribe_live(source) as stream:
        found = [segment for _, segment in zip(range(6), stream, strict=False)]
    assert any(s.final for s in found)
    assert source.closed.wait(30)
    asked = source.asked
    check(list(stt.transcribe_live(chunks(tones.tune(TEXT)))))
    assert source.asked == asked
    assert list(stream) == []


def test_a_stream_that_nobody_has_any_more_is_closed(stt: Any) -> None:
    source = Closable(tones.tune(TEXT + " ."))
    stream = stt.transcribe_live(source)
    next(stream)
    del stream
    gc.collect()
    assert source.closed.wait(30)


def test_a_source_that_blocks_for_ever_holds_up_nobody(stt: Any) -> None:
    release = threading.Event()

    def frames() -> Iterator[AudioChunk]:
        yield from chunks(tones.tune("do re mi fa so"))
        release.wait()

    try:
        token = CancelToken()
        stream = stt.transcribe_live(frames(), cancel=token)
        next(stream)
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(CallCancelled):
            list(stream)
        with pytest.raises(CallTimeout):
            list(stt.transcribe_live(frames(), timeout=1.0))
        with stt.transcribe_live(frames()) as stream:
            next(stream)
        check(list(stt.transcribe_live(chunks(tones.tune(TEXT)))))
    finally:
        release.set()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "lollms-frames"])


def test_closing_the_binding_ends_it(make: Make) -> None:
    for isolated in (False, True):
        stt, source = make(isolated=isolated), Closable(tones.tune(TEXT))
        stream = stt.transcribe_live(source)
        next(stream)
        stt.close()
        with pytest.raises(CallCancelled):
            list(stream)
        assert source.closed.wait(30)


def test_a_slow_engine_keeps_the_source_waiting(make: Make, tmp_path: Path) -> None:
    """What is read ahead is bounded, by time in place and by the credit elsewhere; then it goes on."""
    for isolated, most in ((False, 40.0), (True, 45.0)):
        gate = tmp_path / f"gate {isolated}"
        stt, source = make(wait_for=gate, isolated=isolated), Closable(tones.tune("do re mi fa so . "))
        token = CancelToken()
        stream = stt.transcribe_live(source, cancel=token)
        thread = threading.Thread(target=lambda stream=stream: next(stream))
        thread.start()
        wait_until(lambda source=source: source.asked > 10)
        time.sleep(0.5)
        assert source.asked * 0.05 < most
        gate.touch()
        thread.join(30)
        assert not thread.is_alive()
        stream.close()


# -- asynchronous ----------------------------------------------------------------------------------------------------


async def microphone(
    sound: np.ndarray, ended: list[str], error: BaseException | None = None
) -> AsyncIterator[AudioChunk]:
    """One that belongs to the loop that it was made in."""
    queue: asyncio.Queue[AudioChunk | None] = asyncio.Queue(2)

    async def fill() -> None:
        for chunk in chunks(sound):
            await queue.put(chunk)
        await queue.put(None)

    filling = asyncio.create_task(fill())
    try:
        while (chunk := await queue.get()) is not None:
            yield chunk
        if error is not None:
            raise error
    finally:
        filling.cancel()
        ended.append("closed")


def test_an_asynchronous_source_in_its_own_loop(stt: Any) -> None:
    async def main() -> tuple[list[Segment], list[str]]:
        ended: list[str] = []
        found = [s async for s in stt.atranscribe_live(microphone(tones.tune(TEXT), ended))]
        return found, ended

    found, ended = asyncio.run(main())
    check(found)
    assert ended == ["closed"]


def test_a_plain_source_in_a_coroutine_keeps_the_loop_free(stt: Any) -> None:
    async def main() -> tuple[list[Segment], int]:
        release, beats = threading.Event(), 0

        def frames() -> Iterator[AudioChunk]:
            yield from chunks(tones.tune("do re mi fa"))
            assert release.wait(30)

        found: list[Segment] = []

        async def listen() -> None:
            async for segment in stt.atranscribe_live(frames()):
                found.append(segment)

        task = asyncio.create_task(listen())
        while not found:
            await asyncio.sleep(0.005)
            beats += 1
        release.set()
        await task
        return found, beats

    found, beats = asyncio.run(main())
    check(found, "do re mi fa")
    assert beats > 0


def test_an_asynchronous_source_without_a_loop(stt: Any) -> None:
    ended: list[str] = []
    check(list(stt.transcribe_live(microphone(tones.tune(TEXT), ended))))
    assert ended == ["closed"]
    ended.clear()
    error = MineError("mine")
    with pytest.raises(MineError) as caught:
        list(stt.transcribe_live(microphone(tones.tune("do"), ended, error)))
    assert caught.value is error
    assert ended == ["closed"]
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("lollms-frames")])


def test_the_plain_verb_refuses_to_hold_up_the_loop_that_it_needs(stt: Any) -> None:
    async def main() -> None:
        with pytest.raises(OptionError, match="atranscribe_live") as refused:
            list(stt.transcribe_live(microphone(tones.tune("do"), [])))
        # Nothing of it goes on anywhere, also while its error keeps what it was asked with.
        async with asyncio.timeout(30):
            check([s async for s in stt.atranscribe_live(microphone(tones.tune(TEXT), []))])
        assert refused.value.names == ["frames"]

    asyncio.run(main())


def test_errors_and_ends_of_an_asynchronous_source(stt: Any) -> None:
    async def main() -> None:
        ended: list[str] = []
        error = MineError("mine")
        with pytest.raises(MineError) as caught:
            async for _ in stt.atranscribe_live(microphone(tones.tune("do re"), ended, error)):
                pass
        assert caught.value is error
        assert ended == ["closed"]

        async def for_ever() -> AsyncIterator[AudioChunk]:
            try:
                for chunk in chunks(tones.tune("do re mi fa")):
                    yield chunk
                await asyncio.Event().wait()
            finally:
                ended.append("closed")

        ended.clear()
        async with stt.atranscribe_live(for_ever()) as stream:
            assert (await anext(stream)).text
        await until(lambda: ended == ["closed"])
        ended.clear()

        async def listen() -> None:
            async for _ in stt.atranscribe_live(for_ever()):
                began.set()

        began = asyncio.Event()
        task = asyncio.create_task(listen())
        await until(lambda: began.is_set() or task.done())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: ended == ["closed"])
        found = [s async for s in stt.atranscribe_live(microphone(tones.tune(TEXT), ended))]
        check(found)

    asyncio.run(main())


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.002)


# -- the call --------------------------------------------------------------------------------------------------------


def test_who_asks_for_something_else_meanwhile_is_refused(stt: Any) -> None:
    sound = Audio.from_chunks(chunks(tones.tune("do")))

    def frames() -> Iterator[AudioChunk]:
        yield from chunks(tones.tune("do re mi fa"))
        stt.transcribe_audio(sound)

    with pytest.raises(BusyError):
        list(stt.transcribe_live(frames()))
    with stt.transcribe_live(chunks(tones.tune(TEXT))) as stream:
        next(stream)
        with pytest.raises(BusyError):
            stt.transcribe_audio(sound)
    assert stt.transcribe_audio(sound) == "do"


def test_progress_is_that_of_the_listening(stt: Any) -> None:
    seen: list[Any] = []
    sound = tones.tune(TEXT)
    list(stt.transcribe_live(chunks(sound), progress=seen.append))
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(len(sound) / 16000, abs=0.2)
    assert {p.total for p in seen} == {None}

    def refuse(progress: Any) -> None:
        raise mine

    mine = MineError("mine")
    source = Closable(sound)
    with pytest.raises(MineError) as caught:
        list(stt.transcribe_live(source, progress=refuse))
    assert caught.value is mine
    assert source.closed.wait(30)


def test_a_model_is_kept_while_it_listens(make: Make) -> None:
    stt = make(keep_alive=0.0)
    with stt.transcribe_live(Closable(tones.tune(TEXT))) as stream:
        next(stream)
        time.sleep(0.05)
        assert stt.loaded
    wait_until(lambda: not stt.loaded)


def test_speech_that_another_binding_streams(stt: Any) -> None:
    """A stream is a source as well; it is closed with the listening."""
    from lollms_modalities import LollmsTTSBinding

    class Singer(LollmsTTSBinding):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            return Audio.from_chunks(self.stream_audio(text))

        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
            yield from chunks(tones.tune(text))

        def list_voices(self, **kwargs: Any) -> list[str]:
            return []

    with Singer() as tts:
        check(list(stt.transcribe_live(tts.stream_audio("do re mi . fa so . la ti do re"))))
        with stt.transcribe_live(tts.stream_audio(TEXT)) as stream:
            next(stream)
        assert tts.generate_audio("do", timeout=30)


# -- elsewhere -------------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_is_told_and_the_source_closed(make: Make) -> None:
    stt, source = make(isolated=True), Closable(tones.tune("do re . die . do re"))
    with pytest.raises(WorkerCrashedError):
        list(stt.transcribe_live(source))
    assert source.closed.wait(30)
    check(list(stt.transcribe_live(chunks(tones.tune(TEXT)))))


def test_several_at_once(make: Make) -> None:
    for stt in (
        make(isolated=True, policy=WorkerPolicy(pool=2)),
        make("many_tones", isolated=True),
        make("many_tones"),
    ):
        first, second = Closable(tones.tune("do re . ")), Closable(tones.tune("mi fa . "))
        with stt.transcribe_live(first) as one, stt.transcribe_live(second) as two:
            heard = [[next(stream).text for _ in range(4)] for stream in (one, two)]
        assert "do" in heard[0][0]
        assert "mi" in heard[1][0]
        assert first.closed.wait(30)
        assert second.closed.wait(30)


def test_a_worker_keeps_no_thread_of_a_call_that_has_ended(make: Make) -> None:
    stt = make(isolated=True)
    release = threading.Event()

    def frames() -> Iterator[AudioChunk]:
        yield from chunks(tones.tune("do re mi fa"))
        release.wait()

    pid = stt.worker_pid()
    count = lambda: len(list(Path(f"/proc/{pid}/task").iterdir()))  # noqa: E731
    found = []
    for _ in range(6):
        with stt.transcribe_live(frames()) as stream:
            next(stream)
        found.append(count())
    release.set()
    wait_until(lambda: count() <= found[0] + 1)  # one may stay a while for what comes next


def test_a_worker_of_an_older_core_goes_on_without(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_modalities.workers.protocol.MINOR", 0)
    stt = make(isolated=True)
    monkeypatch.undo()
    with pytest.raises(UnsupportedError, match=r"transcribe_live.*protocol 1") as caught:
        stt.transcribe_live([])
    assert "pip install" in caught.value.hint
    with pytest.raises(UnsupportedError):
        stt.atranscribe_live([])
    assert stt.transcribe_audio(Audio.from_chunks(chunks(tones.tune("do")))) == "do"


def test_a_place_that_shares_no_files_and_is_reached_by_tcp(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "hidden").mkdir()
    far = FarPlace(folder, tmp_path / "home", tmp_path / "hidden")
    with LollmsSTTBindingManager().require_binding("tones", place=far) as stt:
        check(list(stt.transcribe_live(chunks(tones.tune(TEXT)))))
        mine = MineError("mine")

        def frames() -> Iterator[AudioChunk]:
            yield from chunks(tones.tune("do re"))
            raise mine

        with pytest.raises(MineError) as caught:
            list(stt.transcribe_live(frames()))
        assert caught.value is mine
        source = Closable(tones.tune("do re . die . do re"))
        with pytest.raises(WorkerCrashedError):
            list(stt.transcribe_live(source))
        assert source.closed.wait(30)
        check(list(stt.transcribe_live(chunks(tones.tune(TEXT)))))


def test_an_older_end_is_told_no_fields_that_it_lacks() -> None:
    first = {"$", "text", "start", "end", "words", "probability", "language", "extra"}
    plain = Segment("do", 0.0, 1.0, (Word("do", 0.0, 1.0),))
    assert set(pack(plain, [])) == first
    assert set(pack(plain, [])["words"][0]) == {"text", "start", "end", "probability"}
    for segment in (plain, Segment("do", 0.0, 1.0, final=False, id="1", speaker="A")):
        assert unpack(pack(segment, []), []) == segment
    assert unpack({**pack(plain, []), "of a newer end": 1}, []) == plain


def test_an_hour(make: Make) -> None:
    """A minute of it; the rest is more of the same."""
    listen_for(make, 60)


@pytest.mark.full
def test_an_hour_to_its_end(make: Make) -> None:
    listen_for(make, 3600)


def listen_for(make: Make, seconds: int) -> None:
    """The memory and the work of the second half are those of the first."""
    import tracemalloc

    stt = make()
    part = chunks(tones.tune("do re mi fa so . " * 3 + "la ti do re mi fa so . "), seconds=0.5)
    length = sum(c.duration for c in part)
    held: list[int] = []
    rounds = int(seconds / length)

    def frames() -> Iterator[AudioChunk]:
        for n in range(rounds):
            if n % max(1, rounds // 10) == 0:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
            yield from part

    tracemalloc.start()
    try:
        words = sum(len(s.text.split()) for s in stt.transcribe_live(frames()) if s.final)
    finally:
        tracemalloc.stop()
    assert words == rounds * 22
    assert held[-1] - held[2] < 2_000_000
    assert sum(stt.asked) < 5 * seconds


def test_settings_are_checked_as_ever(make: Make) -> None:
    with pytest.raises(SettingsError):
        make(no_such=1)
