"""``lollms-remote`` against our own server: recognised, and everything used that it has."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    CallCancelled,
    CancelToken,
    GenerationError,
    LollmsTTSBindingManager,
    MediaError,
    OptionError,
    Progress,
    ServiceAuthError,
    ServiceError,
    UnsupportedError,
    VoiceNotFoundError,
)
from lollms_remote import (
    LollmsSTTBinding_Impl,
    LollmsTTIBinding_Impl,
    LollmsTTMBinding_Impl,
    LollmsTTSBinding_Impl,
    LollmsTTVBinding_Impl,
)
from lollms_remote.protocols import forget_protocols
from serving import SERVE, Server, models, serving
from waiting import wait_until

CONFIGURATION = f"""
{SERVE}
[serve.defaults]
tts = "counting"
stt = "ears"
{models(counting="tts")}
{models("example", tone="tts")}
{models(ears="stt")}
{models("example", blocks="tti", chord="ttm", film="ttv")}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION) as running:
        forget_protocols()
        yield running


@pytest.fixture(params=["auto", "v2"])
def tts(request: pytest.FixtureRequest, server: Server) -> Iterator[LollmsTTSBinding_Impl]:
    with LollmsTTSBinding_Impl(host_address=server.address, protocol=request.param) as binding:
        yield binding


def test_it_is_recognised_and_says_how_it_was_made(tts: LollmsTTSBinding_Impl) -> None:
    audio = tts.generate_audio("hello", "one")
    assert audio.format == "wav"
    assert audio.duration == pytest.approx(0.05)
    made = audio.provenance
    assert made is not None
    assert made.extra["protocol"] == "v2"
    assert made.extra["remote"]["engine"] == "counting"


def test_progress_is_the_engines(tts: LollmsTTSBinding_Impl) -> None:
    told: list[Progress] = []
    tts.generate_audio("work 40", progress=told.append)
    assert len(told) > 2
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert {(p.total, p.unit) for p in told} == {(40.0, "step")}


def test_a_cancel_reaches_the_engine(tts: LollmsTTSBinding_Impl, server: Server) -> None:
    began, cancelled = server.counted.count("began"), server.counted.count("cancelled")
    token, errors = CancelToken(), list[BaseException]()

    def speak() -> None:
        try:
            tts.generate_audio("work 100000", cancel=token)
        except CallCancelled as exc:
            errors.append(exc)

    speaking = threading.Thread(target=speak)
    speaking.start()
    wait_until(lambda: server.counted.count("began") > began)
    token.cancel()
    speaking.join(30)
    assert len(errors) == 1
    wait_until(lambda: server.counted.count("cancelled") > cancelled)


def test_a_stream_comes_as_it_is_made(tts: LollmsTTSBinding_Impl, server: Server) -> None:
    chunks = list(tts.stream_audio("work 5"))
    assert [chunk.text for chunk in chunks] == ["work"] * 5
    assert Audio.from_chunks(chunks).duration == pytest.approx(0.25)
    cancelled = server.counted.count("cancelled")
    stream = tts.stream_audio("work 100000")
    assert next(stream).sample_rate == 8000
    stream.close()  # type: ignore[attr-defined]
    wait_until(lambda: server.counted.count("cancelled") > cancelled)


def test_times_of_words_are_those_of_the_binding(tts: LollmsTTSBinding_Impl) -> None:
    manager, text = LollmsTTSBindingManager(), "The boy was there."
    with manager.require_binding("example") as here:
        expected = here.generate_audio(text, "low", timestamps="word").words
        parts = [chunk.words for chunk in here.stream_audio(text, "low", timestamps="word")]
    assert len(expected) == 4
    assert tts.generate_audio(text, "low", model="tone", timestamps="word").words == expected
    assert [chunk.words for chunk in tts.stream_audio(text, "low", model="tone", timestamps="word")] == parts
    assert not tts.generate_audio(text, "low", model="tone").words
    encoded = tts.stream_encoded(text, "low", "flac", model="tone", timestamps="word")
    assert b"".join(encoded)[:4] == b"fLaC"


def test_errors_are_what_they_were(tts: LollmsTTSBinding_Impl) -> None:
    with pytest.raises(VoiceNotFoundError, match="three"):
        tts.generate_audio("hello", "three")
    with pytest.raises(GenerationError) as failed:
        tts.generate_audio("fail")
    assert "/srv" not in str(failed.value)
    with pytest.raises(OptionError, match="Did you mean 'loud'"):
        tts.generate_audio("hello", extra={"lou": True})
    with pytest.raises(OptionError):
        tts.generate_audio("...")
    with pytest.raises(GenerationError):
        list(tts.stream_audio("breaks"))
    with pytest.raises(ServiceError) as missing:
        tts.generate_audio("hello", model="nobody")
    assert missing.value.status == 404


def test_options_go_where_they_are_known(tts: LollmsTTSBinding_Impl) -> None:
    assert tts.generate_audio("hello", extra={"loud": True}).duration
    with pytest.warns(UserWarning, match="does not take speed"):
        tts.generate_audio("hello", speed=1.5)
    with pytest.raises(OptionError, match="does not take speed"):
        tts.generate_audio("hello", speed=1.5, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick, slow = (tts.generate_audio("hello", model="tone", speed=speed) for speed in (2.0, 0.5))
    assert slow.duration > 3 * quick.duration


def test_voices_and_models_are_listed(tts: LollmsTTSBinding_Impl, server: Server) -> None:
    assert tts.list_voices() == ["one", "two"]
    with LollmsTTIBinding_Impl(host_address=server.address) as tti:
        assert [row["name"] for row in tti.list_services()] == ["blocks"]


def test_speech_is_heard(server: Server, tmp_path: Path) -> None:
    wav = Audio.from_pcm(bytes(32000), 16000)
    with LollmsSTTBinding_Impl(host_address=server.address) as stt:
        assert stt.list_models() == ["ears"]
        for media in (wav, bytes(wav), wav.save(tmp_path / "x.wav")):
            transcript = stt.transcribe_audio(media, extra={"said": "one|two"}, timestamps="segment")
            assert str(transcript) == "one two"
            assert [segment.start for segment in transcript.segments] == [0.0, 1.0]
        assert [segment.text for segment in stt.stream_transcript(wav, extra={"said": "a|b"})] == ["a", "b"]
        with pytest.raises(MediaError):
            stt.transcribe_audio(b"no sound")
    wait_until(lambda: not server.files())


def test_images_music_and_video_are_made(server: Server) -> None:
    settings: dict[str, Any] = {"host_address": server.address}
    with LollmsTTIBinding_Impl(**settings) as tti:
        image = tti.generate_image("a red square", width=64, height=32)
        assert (image.width, image.height) == (64, 32)
        again = [tti.generate_image("x", width=16, height=16, extra={"seed": 7}) for _ in range(2)]
        assert again[0] == again[1]
        (changed,) = tti.edit_images([image, image], "blue", mask=image)
        assert (changed.width, changed.height) == (64, 32)
    with LollmsTTMBinding_Impl(**settings) as ttm:
        assert ttm.generate_music("a chord", duration=0.5).duration == pytest.approx(0.5, abs=0.1)
    with LollmsTTVBinding_Impl(**settings) as ttv:
        assert ttv.generate_video("a ball").mime_type == "video/mp4"


def test_what_a_server_lacks_is_told(server: Server) -> None:
    with (
        LollmsTTIBinding_Impl(host_address=server.address, model_name="nobody") as tti,
        pytest.raises(ServiceError, match="nobody"),
    ):
        tti.generate_image("x")
    with (
        LollmsTTSBinding_Impl(host_address=server.address, protocol="classic") as tts,
        pytest.raises(ServiceError) as wrong,
    ):
        tts.generate_audio("hello")
    assert "speaks 'v2'" in str(wrong.value)


def test_a_key_is_needed_where_there_is_one(tmp_path: Path) -> None:
    from lollms_server.room.keys import Keys

    keys = Keys(tmp_path / "keys.json")
    key = keys.add("me")
    with serving(tmp_path, CONFIGURATION) as server:
        forget_protocols()
        with LollmsTTSBinding_Impl(host_address=server.address) as tts, pytest.raises(ServiceAuthError):
            tts.generate_audio("hello")
        with LollmsTTSBinding_Impl(host_address=server.address, service_key=key) as tts:
            assert tts.generate_audio("hello").duration


def test_servers_do_not_ask_each_other_in_a_circle(tmp_path: Path, server: Server) -> None:
    """Ours asks another that asks ours: it is told at once, of a call and of a list."""
    configuration = """
[serve]
keys_file = KEYS
[models.other]
binding = "lollms"
modality = "tts"
isolated = false
[models.other.settings]
host_address = "ADDRESS"
protocol = "v2"
max_retries = 0
"""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with serving(tmp_path / "one", configuration.replace("ADDRESS", server.address)) as first:
        # One hop is what such a binding is for.
        with LollmsTTSBinding_Impl(host_address=first.address) as tts:
            assert tts.generate_audio("hello", "one").duration == pytest.approx(0.05)
            assert tts.list_voices() == ["one", "two"]
        with serving(tmp_path / "two", configuration.replace("ADDRESS", first.address)) as second:
            reply = second.ask("POST", "/v1/audio/speech", {"input": "hello"})
            assert (reply.status, reply.headers.get("x-should-retry")) == (502, "false"), reply
            assert "508" in reply.error["message"]
            assert second.ask("GET", "/v1/audio/voices").status == 200


def test_a_verb_that_is_not_there(server: Server) -> None:
    with (
        LollmsTTIBinding_Impl(host_address=server.address, protocol="v2") as tti,
        pytest.raises(UnsupportedError, match="no verb"),
    ):
        tti.model.called("tts", None, "upscale_image", False, None)
