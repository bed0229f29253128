"""Languages by any name, tracks, and times in the shapes that servers tell them, played on loopback."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from lollms_client.stt_bindings.lollms import LollmsSTTBinding_Impl
from lollms_client.tts_bindings.lollms import LollmsTTSBinding_Impl
from lollms_modalities import Audio, OptionError, UnsupportedError
from lollms_remote.times import read_segments
from loopback import Reply, Server, serving
from served import WAV

pytestmark = pytest.mark.usefixtures("forgetting")

HEAR = "POST /v1/audio/transcriptions"


@pytest.fixture
def openai() -> Iterator[Server]:
    with serving({"GET /v1/models": Reply({"data": []}), HEAR: Reply({"text": "hello"})}) as server:
        yield server


@pytest.fixture
def classic() -> Iterator[Server]:
    routes = {
        "GET /tts_is_ready": Reply({"status": True}), "POST /transcribe": Reply({"transcription": "hello"}),
        "POST /tts/file": Reply(WAV), "POST /text2Wave": Reply({"url": "/x.wav"}), "GET /x.wav": Reply(WAV),
    }  # fmt: skip
    with serving(routes) as server:
        yield server


# --- languages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent"),
    [(None, None), ("", None), ("auto", None), ("Auto ", None), ("english", b"en"), ("en-GB", b"en"), ("EN_us", b"en"), ("eng", b"en"),
     ("zh-Hant", b"zh"), ("Mandarin", b"zh"), ("nb", b"no"), ("ga", b"ga")],
)  # fmt: skip
def test_a_transcript_is_asked_for_by_the_languages_code(openai: Server, given: str | None, sent: bytes | None) -> None:
    with LollmsSTTBinding_Impl(openai.url) as stt:
        stt.transcribe_audio(WAV, language=given)
    assert openai.asked[-1].parts.get("language") == sent


def test_a_language_that_nobody_has(openai: Server, classic: Server) -> None:
    for server in (openai, classic):
        with (
            LollmsSTTBinding_Impl(server.url) as stt,
            pytest.raises(OptionError, match="does not know 'germn'"),
        ):
            stt.transcribe_audio(WAV, language="germn")
        assert not any(r.method == "POST" for r in server.asked)


@pytest.mark.parametrize("language", ["", "auto"])
def test_a_language_that_is_left_to_the_server_is_not_dropped(classic: Server, language: str) -> None:
    """No warning, which would be an error here, and strict or not."""
    with LollmsSTTBinding_Impl(classic.url) as stt, LollmsTTSBinding_Impl(classic.url) as tts:
        assert stt.transcribe_audio(WAV, language=language, strict=True) == "hello"
        assert tts.generate_audio("hi", language=language, strict=True) == WAV
    assert not any(r.path == "/tts/file" for r in classic.asked)


@pytest.mark.parametrize(("given", "sent"), [("english", "en"), ("EN_us", "en"), ("deu", "de")])
def test_classic_speech_is_asked_for_by_the_languages_code(classic: Server, given: str, sent: str) -> None:
    with LollmsTTSBinding_Impl(classic.url) as tts:
        tts.generate_audio("hi", language=given)
    assert next(r.json for r in classic.asked if r.path == "/tts/file")["language"] == sent


@pytest.mark.parametrize(
    ("told", "language"), [("english", "en"), ("de", "de"), ("Chinese", "zh"), ("", None), (3, None)]
)
def test_the_language_of_a_transcript_is_a_tag(openai: Server, told: Any, language: str | None) -> None:
    openai.routes[HEAR] = Reply({"text": "hello", "language": told})
    with LollmsSTTBinding_Impl(openai.url) as stt:
        assert stt.transcribe_audio(WAV).language == language


def test_a_server_that_cannot_translate_is_asked_for_nothing(classic: Server) -> None:
    with LollmsSTTBinding_Impl(classic.url) as stt:
        with pytest.raises(UnsupportedError, match="classic"):
            stt.transcribe_audio(WAV, translate=True)
        assert stt.transcribe_audio(WAV).text_language is None
    assert [r.path for r in classic.asked if r.method == "POST"] == ["/transcribe"]


# --- tracks ---------------------------------------------------------------------------------------------------------


def film(container: str, codec: str, tracks: int, default: int, rate: int = 48000) -> bytes:
    """Track n is a tone of 300 * (n + 1) Hz."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        streams: list[Any] = [out.add_stream(codec, rate=rate, layout="mono") for _ in range(tracks)]
        for number, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition.default if number == default else av.stream.Disposition(0)
        for number, stream in enumerate(streams):
            samples = 9000 * np.sin(np.arange(rate) * 2 * np.pi * 300 * (number + 1) / rate)
            frame = av.AudioFrame.from_ndarray(samples.astype(np.int16).reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = rate
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                out.mux(packet)
    return file.getvalue()


def pitch(data: bytes) -> int:
    audio = Audio(data)
    samples = audio.to_numpy().reshape(-1)[: audio.sample_rate // 2]
    return int(np.argmax(np.abs(np.fft.rfft(samples)))) * 2


@pytest.mark.parametrize(
    ("make", "track", "heard", "name"),
    [
        (("webm", "libopus", 2, 1), None, 600, "audio.flac"), (("webm", "libopus", 2, 1), 0, 300, "audio.flac"),
        (("mp4", "aac", 2, 0), 1, 600, "audio.flac"), (("ogg", "libopus", 2, 0), None, 300, "audio.flac"),
        (("webm", "libopus", 1, 0), None, 300, "audio.webm"), (("webm", "libopus", 1, 0), 0, 300, "audio.flac"),
    ],
)  # fmt: skip
def test_one_track_goes_out(openai: Server, make: Any, track: int | None, heard: int, name: str) -> None:
    """Of several, a server would take whichever it takes."""
    data = film(*make)
    with LollmsSTTBinding_Impl(openai.url) as stt:
        stt.transcribe_audio(data, track=track)
        sent = openai.asked[-1].parts
        assert (pitch(sent["file"]), sent["file.filename"]) == (heard, name)
        count = len(openai.asked)
        with pytest.raises(OptionError, match="sound track"):
            stt.transcribe_audio(data, track=2)
        assert len(openai.asked) == count


def test_the_track_goes_out_in_every_way(classic: Server) -> None:
    data = film("webm", "libopus", 2, 1)
    with LollmsSTTBinding_Impl(classic.url, max_retries=0) as stt:
        stt.transcribe_audio(data, track=0)
    assert pitch(classic.asked[-1].parts["file"]) == 300


@pytest.mark.parametrize("said", [0, 0xFFFFFFFF, 2_000_000_000, 16_000 + 6])
def test_a_wav_that_lies_of_its_length_goes_out_as_one_that_does_not(openai: Server, said: int) -> None:
    data = WAV[:40] + said.to_bytes(4, "little") + WAV[44:]
    with LollmsSTTBinding_Impl(openai.url) as stt:
        stt.transcribe_audio(data)
    sent = openai.asked[-1].parts
    assert (sent["file.filename"], sent["file"][:4], Audio(sent["file"]).duration) == ("audio.flac", b"fLaC", 0.5)


# --- times ----------------------------------------------------------------------------------------------------------


def test_words_within_their_segments() -> None:
    """So tell them faster-whisper-server and others."""
    words = [{"word": "a", "start": 0.1, "end": 0.2}, {"word": "b", "start": 0.2, "end": 0.4}]
    segments: list[Any] = [
        {"text": "a b", "start": 0, "end": 0.5, "words": words},
        {"text": "c", "start": 0.5, "end": 1, "words": None},
        3,
    ]
    assert [[w.text for w in s.words] for s in read_segments("a b c", segments, None, 1.0)] == [["a", "b"], []]
    assert [w.text for w in read_segments("a", None, [{"text": "a", "start": 0, "end": 1}], 1.0)[0].words] == ["a"]


@pytest.mark.parametrize(
    ("told", "start"), [("0.25", 0.25), ("soon", 0.0), (10**400, 0.0), (-3, 0.0), ("inf", 0.0), ({}, 0.0)]
)
def test_times_of_any_kind(told: Any, start: float) -> None:
    (found,) = read_segments("a", [{"text": "a", "start": told, "end": 0.5}], None, 0.5)
    assert (found.start, found.end) == (start, 0.5)


def test_times_that_are_asked_for_and_not_told(openai: Server) -> None:
    """A server that takes the field, and answers as without it."""
    segments = [{"text": "hello", "start": 0, "end": 0.5}]
    with LollmsSTTBinding_Impl(openai.url) as stt:
        for timestamps, answer in (("segment", {}), ("word", {}), ("word", {"segments": segments})):
            openai.routes[HEAR] = Reply({"text": "hello", **answer})
            with pytest.warns(UserWarning, match="does not take timestamps"):
                assert stt.transcribe_audio(WAV, timestamps=timestamps) == "hello"
            with pytest.raises(OptionError, match="timestamps"):
                stt.transcribe_audio(WAV, timestamps=timestamps, strict=True)
        stt.transcribe_audio(WAV, timestamps="segment", strict=True)
        assert stt.transcribe_audio(WAV, strict=True).segments == ()


@pytest.mark.parametrize(("timestamps", "sent"), [("none", 0), ("segment", 1), ("word", 2)])
def test_words_are_asked_for_with_their_segments(openai: Server, timestamps: str, sent: int) -> None:
    word = {"word": "hello", "start": 0, "end": 0.5}
    openai.routes[HEAR] = Reply({"text": "hello", "segments": [{**word, "text": "hello"}], "words": [word]})
    with LollmsSTTBinding_Impl(openai.url) as stt:
        stt.transcribe_audio(WAV, timestamps=timestamps)
    body = openai.asked[-1].body
    assert body.count(b'name="timestamp_granularities[]"') == sent
    assert (b"\r\n\r\nword\r\n" in body) is (timestamps == "word")


def test_the_natural_speed_is_no_option(classic: Server) -> None:
    with LollmsTTSBinding_Impl(classic.url) as tts:
        assert tts.generate_audio("hi", speed=1.0, strict=True) == WAV
        with pytest.raises(OptionError, match="does not take speed"):
            tts.generate_audio("hi", speed=1.1, strict=True)
