"""Speech as the bytes of a sound file, while it is being made."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    AudioEncoder,
    BusyError,
    CallCancelled,
    CallOptions,
    CallTimeout,
    CancelToken,
    EncodedStream,
    GenerationError,
    LollmsTTSBinding,
    MediaError,
    OptionError,
    SoundFormat,
    decode_audio,
    probe_audio,
    report_progress,
)
from lollms_modalities.contract.encoded import STREAM_FORMATS

EXACT = ("wav", "flac", "pcm")


class Hums(LollmsTTSBinding):
    """A second of a tone for each letter, of its own pitch."""

    class Options(CallOptions):
        rate: int = 24000
        channels: int = 1
        fails_at: int = -1
        wait: float = 0.0
        turns: int = -1  # the letter from which on the rate is another

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.made: list[str] = []
        self.ended = 0

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        try:
            for n, letter in enumerate(text):
                if n == kwargs["fails_at"]:
                    raise ValueError("the string broke")
                report_progress(n, len(text))
                until = time.monotonic() + kwargs["wait"]
                while time.monotonic() < until:
                    report_progress(n, len(text))
                    time.sleep(0.002)
                self.made.append(letter)
                rate = kwargs["rate"] if n != kwargs["turns"] else kwargs["rate"] * 2
                tone = 0.4 * np.sin(2 * np.pi * 10 * (ord(letter) - 64) * np.arange(rate) / rate)
                if kwargs["channels"] == 2:
                    tone = np.stack([tone, tone / 2], axis=1)
                yield AudioChunk.from_samples(tone.astype(np.float32), rate, letter)
        finally:
            self.ended += 1

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class Whole(Hums):
    """The same, but all in one chunk."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        chunks = list(Hums.stream_audio.__lollms_raw__(self, text, voice, **kwargs))  # type: ignore[attr-defined]
        yield AudioChunk(b"".join(c.pcm for c in chunks), chunks[0].sample_rate, chunks[0].channels)


def heard(data: bytes, stream: Any) -> np.ndarray[Any, Any]:
    """The samples, shape (n, channels), at the stream's rate."""
    if stream.output_format == "pcm":
        return np.frombuffer(data, "<i2").reshape(-1, stream.channels) / np.float32(32768)
    sound = Audio(data)
    assert sound.format == stream.output_format
    assert sound.sample_rate == (48000 if sound.format == "opus" else stream.sample_rate)
    return sound.to_numpy()


@pytest.mark.parametrize("name", STREAM_FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_the_parts_decode_to_the_whole(name: str, channels: int, rate: int) -> None:
    hums = Hums()
    whole = hums.generate_audio("AZ", rate=rate, channels=channels)
    stream = hums.stream_encoded("AZ", output_format=name, rate=rate, channels=channels)
    found = heard(b"".join(stream), stream)
    assert stream.channels == channels
    expected = whole.to_numpy()
    if name in EXACT:
        assert stream.sample_rate == rate
        assert np.array_equal(found, expected)
        return
    assert stream.sample_rate is not None
    # MP3 and AAC begin and end with a little silence.
    played = 48000 if name == "opus" else stream.sample_rate
    assert 1.98 <= len(found) / played <= 2 + 3 * 1152 / played
    for second in (0, 1):
        at = second * played + played // 4
        window = found[at : at + played // 2, 0]
        loudest = np.argmax(np.abs(np.fft.rfft(window))) * played / len(window)
        assert loudest == pytest.approx(10 * (ord("AZ"[second]) - 64), abs=2)


@pytest.mark.parametrize("name", STREAM_FORMATS)
def test_there_are_bytes_after_the_first_chunk(name: str) -> None:
    hums = Hums()
    stream = hums.stream_encoded("ABCDE", output_format=name)
    assert (stream.sample_rate, stream.channels) == (None, None)
    assert next(stream)
    assert hums.made == ["A"]
    assert stream.sample_rate in (24000, 48000)
    assert stream.channels == 1
    assert stream.mime_type == ("audio/pcm" if name == "pcm" else AUDIO_TYPES[name])
    stream.close()
    assert hums.ended == 1


AUDIO_TYPES = {
    "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "opus": "audio/ogg; codecs=opus",
    "mp3": "audio/mpeg", "aac": "audio/aac",
}  # fmt: skip


def test_what_the_encoder_writes_whole_and_in_parts_is_the_same() -> None:
    hums = Hums()
    chunks = list(hums.stream_audio("AB"))
    for name in STREAM_FORMATS:
        if name in ("ogg", "opus"):
            continue  # a stream of Ogg has a number drawn by chance

        class Pipe(io.RawIOBase):
            data = b""

            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                self.data += bytes(data)
                return len(data)

        pipe = Pipe()
        with AudioEncoder(pipe, 24000, output_format=name) as encoder:  # type: ignore[arg-type]
            for chunk in chunks:
                encoder.feed(chunk)
        assert b"".join(hums.stream_encoded("AB", output_format=name)) == pipe.data


def test_a_whole_in_one_chunk_comes_in_parts() -> None:
    parts = list(Whole().stream_encoded("ABCDEFGH", output_format="pcm"))
    assert len(parts) == 16
    assert max(map(len, parts)) == 24000
    assert b"".join(parts) == b"".join(c.pcm for c in Hums().stream_audio("ABCDEFGH"))
    header, whole = Whole().stream_encoded("ABCDEFGH", output_format="wav")
    assert (len(header), whole) == (44, b"".join(parts)), "what is no work is not cut up"


def test_a_format_that_cannot_be_streamed() -> None:
    hums = Hums()
    for wrong in ("m4a", "", 0, 3, "midi", "webm", "../wav"):
        with pytest.raises(OptionError, match="mp3") as caught:
            hums.stream_encoded("A", output_format=wrong)  # type: ignore[arg-type]
        assert caught.value.to_json()["fields"]["names"] == ["output_format"]
        with pytest.raises(OptionError, match="mp3"):
            hums.astream_encoded("A", output_format=wrong)  # type: ignore[arg-type]
    assert hums.made == []
    assert hums.stream_encoded("A", output_format="MP3").output_format == "mp3"


def test_wrong_options_are_told_before_anything_is_made() -> None:
    hums = Hums()
    with pytest.raises(OptionError, match="rate"):
        hums.stream_encoded("A", ratte=8000)
    with pytest.raises(OptionError):
        hums.stream_encoded("   ")
    assert hums.generate_audio("A").duration == 1


def test_a_stream_closed_early_frees_the_binding() -> None:
    hums = Hums()
    for name in STREAM_FORMATS:
        with hums.stream_encoded("ABC" * 100, output_format=name) as stream:
            next(stream)
            with pytest.raises(BusyError):
                hums.generate_audio("A")
        assert list(stream) == []
        stream.close()
        assert hums.generate_audio("A").duration == 1


def test_a_stream_that_nobody_has_frees_the_binding() -> None:
    hums = Hums()
    stream = hums.stream_encoded("ABC" * 100)
    next(stream)
    gone = weakref.ref(stream)
    del stream
    gc.collect()
    assert gone() is None
    assert hums.generate_audio("A", timeout=60).duration == 1


def test_cancelled_between_two_parts_it_says_so() -> None:
    token = CancelToken()
    whole = Whole()
    stream = whole.stream_encoded("ABCDEF", output_format="pcm", cancel=token)
    next(stream)  # of the one chunk more is waiting
    token.cancel("enough")
    with pytest.raises(CallCancelled, match="enough"):
        next(stream)
    assert list(stream) == []
    assert whole.generate_audio("A").duration == 1


def test_out_of_time() -> None:
    hums = Hums()
    with pytest.raises(CallTimeout):
        list(hums.stream_encoded("AB", wait=60, timeout=0.05))
    assert hums.generate_audio("A").duration == 1


def test_progress_is_told() -> None:
    seen: list[Any] = []
    list(Hums().stream_encoded("ABC", progress=seen.append))
    assert [p.done for p in seen] == [0, 1, 2]


def test_an_error_of_the_engine_ends_it() -> None:
    hums = Hums()
    stream = hums.stream_encoded("ABC", output_format="mp3", fails_at=1)
    with pytest.raises(GenerationError, match="the string broke"):
        list(stream)
    assert list(stream) == []
    assert hums.ended == 1
    assert hums.generate_audio("A").duration == 1


def test_chunks_that_differ_end_it() -> None:
    hums = Hums()
    with pytest.raises(MediaError, match="48000 Hz"):
        list(hums.stream_encoded("ABC", output_format="wav", turns=1))
    assert hums.ended == 1
    assert hums.generate_audio("A").duration == 1


def test_from_inside_itself_it_is_refused_and_may_be_closed() -> None:
    hums = Hums()
    caught: list[BaseException] = []

    def asks(progress: Any) -> None:
        try:
            next(stream)
        except BaseException as exc:
            caught.append(exc)

    stream = hums.stream_encoded("AB", progress=asks)
    assert list(stream)
    assert {type(exc) for exc in caught} == {BusyError}
    stream = hums.stream_encoded("AB" * 50, progress=lambda p: stream.close())
    with pytest.raises(CallCancelled):
        list(stream)
    assert hums.generate_audio("A").duration == 1


def test_closed_by_another_thread_while_a_part_is_made() -> None:
    hums = Hums()
    begun = threading.Event()
    stream = hums.stream_encoded("AB", wait=60, progress=lambda p: begun.set())
    caught: list[BaseException] = []

    def take() -> None:
        try:
            next(stream)
        except BaseException as exc:
            caught.append(exc)

    thread = threading.Thread(target=take)
    thread.start()
    assert begun.wait(60)
    stream.close()
    thread.join(60)
    assert [type(exc) for exc in caught] == [CallCancelled]
    assert hums.generate_audio("A").duration == 1


def test_provenance_at_the_end() -> None:
    stream = Hums().stream_encoded("AB", rate=8000)
    next(stream)
    assert stream.provenance is None
    list(stream)
    assert stream.provenance is not None
    assert stream.provenance.options["rate"] == 8000


def test_the_twin() -> None:
    hums = Hums()

    async def main() -> tuple[bytes, Any]:
        stream = hums.astream_encoded("AB", output_format="flac")
        async with stream:
            return b"".join([part async for part in stream]), stream

    data, stream = asyncio.run(main())
    assert data == b"".join(hums.stream_encoded("AB", output_format="flac"))
    assert (stream.output_format, stream.mime_type) == ("flac", "audio/flac")
    assert (stream.sample_rate, stream.channels) == (24000, 1)
    assert stream.provenance is not None


def test_cancelling_the_task_of_the_twin_cancels_the_call() -> None:
    hums = Hums()

    async def main() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def take() -> None:
            async for _ in hums.astream_encoded("AB", wait=60, progress=lambda p: loop.call_soon_threadsafe(begun.set)):
                pass

        task = asyncio.create_task(take())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await asyncio.wait_for(hums.agenerate_audio("A"), 60)).duration == 1

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["wav", "flac", "pcm"])
def test_another_rate_and_one_channel_are_the_same_sound(kind: str) -> None:
    samples = np.stack([np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000) * 0.5] * 2, axis=1)
    chunks = [AudioChunk.from_samples(samples[at : at + 999], 24000) for at in range(0, len(samples), 999)]
    stream = EncodedStream(iter(chunks), SoundFormat(kind, 16000, 1))
    made = b"".join(stream)
    assert (stream.sample_rate, stream.channels) == (16000, 1)
    assert stream.duration == pytest.approx(1.0, abs=0.001)
    found = np.frombuffer(made, "<i2") / 32768 if kind == "pcm" else decode_audio(made)
    assert len(found) == 16000
    assert int(np.abs(np.fft.rfft(found)).argmax()) == 440
    assert float(np.abs(found[1000:-1000]).max()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("kind", "wanted"), [("mp3", 32_000), ("mp3", 128_000), ("opus", 32_000), ("opus", 128_000)])
def test_the_bit_rate_is_what_was_asked_for(kind: str, wanted: int) -> None:
    with Hums() as hums:
        made = b"".join(hums.stream_encoded("abcd", output_format=SoundFormat(kind, 48000, bit_rate=wanted)))
    seconds = probe_audio(made)[2]
    assert len(made) * 8 / seconds == pytest.approx(wanted, rel=0.5 if kind == "opus" else 0.1)  # a tone needs less


@pytest.mark.parametrize(("wrong", "name"), [
    (SoundFormat("mp3", 100), "sample_rate"), (SoundFormat("mp3", "48000"), "sample_rate"),  # type: ignore[arg-type]
    (SoundFormat("mp3", channels=2), "channels"), (SoundFormat("mp3", bit_rate=1), "bit_rate"),
    (SoundFormat("wav", bit_rate=64_000), "bit_rate"), (SoundFormat("x"), "output_format"),
])  # fmt: skip
def test_what_cannot_be_written_is_refused_at_the_call(wrong: SoundFormat, name: str) -> None:
    with Hums() as hums, pytest.raises(OptionError) as found:
        hums.stream_encoded("a", output_format=wrong)
    assert found.value.names == [name]  # type: ignore[attr-defined]
