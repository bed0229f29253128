"""``LollmsClient`` as programs of lollms-client 1.x call it, and programs of the same calls as upstream's examples."""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from lollms_client import LollmsClient
from lollms_client.lollms_tts_binding import LollmsTTSBindingManager, get_available_bindings, list_binding_models
from lollms_modalities import (
    Audio,
    BindingNotFoundError,
    BindingUnavailableWarning,
    Image,
    OlderKeywordWarning,
    OptionError,
    SettingsError,
    Transcript,
    Video,
)
from loopback import Reply, Request, Server, serving

KEY = "my_lollms_client_id"
WAV = bytes(Audio.from_pcm(bytes(3200), 16000))
PNG = bytes(Image.from_pixels(np.zeros((1024, 1024, 3), np.uint8)))
EXAMPLES = {f"{modality}_binding_name": "example" for modality in ("tts", "tti", "stt", "ttm", "ttv")}


@pytest.fixture
def lc() -> Iterator[LollmsClient]:
    with LollmsClient(**EXAMPLES) as client:  # type: ignore[arg-type]
        yield client


# --- the client -----------------------------------------------------------------------------------------------------


def test_a_verb_of_each_kind(lc: LollmsClient, tmp_path: Path) -> None:
    assert isinstance(lc.generate_audio("Hello.", speed=2), Audio)
    image = lc.generate_image("a cat", "dogs", 32, 16)
    assert (image.width, image.height) == (32, 16)
    assert isinstance(lc.edit_image(image, "a hat", mask=image, output_path=tmp_path / "x.png"), Image)
    assert (tmp_path / "x.png").exists()
    assert isinstance(lc.generate_music("rain", duration=0.1), Audio)
    assert isinstance(lc.generate_video("rain", num_frames=2), Video)
    assert isinstance(lc.transcribe_audio(lc.generate_audio("Hello.")), Transcript)
    assert lc.stt is not None
    assert isinstance(lc.stt.transcribe_audio(audio_source=lc.generate_audio("Hello.")), Transcript)  # type: ignore[call-arg]


def test_without_such_a_binding_its_error_is_raised() -> None:
    client = LollmsClient()
    for call in (client.generate_audio, client.generate_image, client.generate_music, client.generate_video, client.transcribe_audio):  # fmt: skip
        with pytest.raises(BindingNotFoundError, match="was asked for"):
            call("x")
    with pytest.raises(BindingNotFoundError, match="No tti binding"):
        client.edit_image("x", "y")


def test_its_managers_address_and_key() -> None:
    client = LollmsClient(host_address="http://here", service_key=KEY)
    assert (client.host_address, client.service_key) == ("http://here", KEY)
    for modality in ("tts", "tti", "stt", "ttm", "ttv"):
        manager = getattr(client, f"{modality}_binding_manager")
        assert "example" in manager.get_available_bindings()
    assert KEY not in repr(client)


@pytest.mark.parametrize("modality", ["tts", "tti", "stt", "ttm", "ttv"])
def test_another_binding_takes_its_place(lc: LollmsClient, modality: str) -> None:
    before = getattr(lc, modality)
    update = getattr(lc, f"update_{modality}_binding")
    assert update("example", {"keep_alive": 5, "port": 1}) is True
    now = getattr(lc, modality)
    assert now is not before
    assert before._closed
    assert now.settings.keep_alive == 5
    with pytest.warns(BindingUnavailableWarning, match="nowhere"):
        assert update("nowhere") is False
    with pytest.raises(SettingsError):
        update("example", {"keep_alive": "soon"})
    assert getattr(lc, modality) is now
    assert modality not in lc.unavailable


def test_a_binding_where_there_was_none() -> None:
    with LollmsClient() as client:
        assert client.update_tts_binding("example")
        assert "tts" not in client.unavailable
        made = client.tts
        assert client.generate_audio("Hello.")
    assert made is not None
    assert made._closed


def test_addresses_of_one_binding_and_no_key_to_another() -> None:
    lollms = {"tts_binding_name": "lollms", "tti_binding_name": "lollms", "stt_binding_name": "example"}
    client = LollmsClient(
        host_address="http://all",
        service_key=KEY,
        tts_host_address="http://one",
        stt_host_address="http://two",
        **lollms,
    )  # type: ignore[arg-type]
    assert client.tts is not None
    assert client.tti is not None
    assert client.stt is not None
    assert client.tts.config["host_address"] == "http://one"
    assert client.tts.config["service_key"] is None, "the key belongs to the shared address"
    assert client.tti.config["host_address"] == "http://all"
    assert client.tti.config["service_key"] == "**********"
    assert set(client.stt.config) == {"keep_alive"}
    own = LollmsTTSBindingManager().require_binding("lollms", tts_host_address="http://one")
    assert own.config["host_address"] == "http://one"


def test_whose_config_a_binding_config_is() -> None:
    only = LollmsClient(tts_binding_name="example", binding_config={"keep_alive": 3})
    assert only.tts is not None
    assert only.tts.settings.keep_alive == 3
    with pytest.warns(OlderKeywordWarning, match="none has it"):
        both = LollmsClient(tts_binding_name="example", tti_binding_name="example", binding_config={"keep_alive": 3})
    assert both.tts is not None
    assert both.tts.settings.keep_alive is None


def test_ignored_keywords_are_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        LollmsClient("ollama", model_name="mistral", ctx_size=1, user_name="me", cwd=".", rag_binding_name="r")
    (line,) = [r.getMessage() for r in caplog.records]
    assert "'model_name', 'ctx_size', 'user_name': they concern the language model" in line
    with pytest.warns(OlderKeywordWarning, match="tts_binding_profiles"):
        LollmsClient(tts_binding_profiles={"a": {"binding_name": "example"}})
    with pytest.raises(TypeError, match=r"'tts_host_adress'. Did you mean 'tts_host_address'"):
        LollmsClient(tts_host_adress="x")


def test_a_key_of_1x_is_not_sent_to_another_process(caplog: pytest.LogCaptureFixture) -> None:
    config = {"isolated": True, "service_key": KEY, "port": 9635, "device": None}
    with caplog.at_level(logging.INFO), LollmsClient(tts_binding_name="piper", tts_binding_config=config) as client:
        assert client.tts is not None
        assert vars(client.tts)["_workers"].spec.settings == {}
        assert "service_key" in "".join(r.getMessage() for r in caplog.records)
        assert KEY not in caplog.text


def test_an_image_is_changed_in_another_process_as_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LollmsClient(tti_binding_name="example", tti_binding_config={"isolated": True}) as client:
        image = client.generate_image("a", width=32, height=16)
        image.save(tmp_path / "i.png")
        monkeypatch.chdir(tmp_path)
        ways: list[Any] = [image, bytes(image), "i.png", base64.b64encode(image).decode(), image.to_pil(), [image]]
        made = {
            bytes(client.edit_image(way, "night", mask=way if way is not ways[-1] else None, seed=3))
            for way in ways[:-1]
        }
        assert len(made) == 1
        assert client.tti is not None
        assert len(client.tti.edit_image("night", image=image, n=2)) == 2
        assert isinstance(asyncio.run(client.tti.aedit_image([image, image], "night")), Image)
        with pytest.raises(OptionError, match="needs images"):
            client.tti.edit_image("night")  # type: ignore[call-overload]


# --- modules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "older", "now"),
    [("tts_bindings.piper_tts", "PiperClientBinding", "PiperTTSBinding"), ("tti_bindings.lollms", "LollmsTTIBinding", "LollmsTTIBinding_Impl"),
     ("tti_bindings.openai", "OpenAITTIBinding", "DalleTTIBinding_Impl")],
)  # fmt: skip
def test_the_older_name_of_a_class(path: str, older: str, now: str) -> None:
    module = importlib.import_module(f"lollms_client.{path}")
    assert getattr(module, older).__name__ == now
    package = importlib.import_module(getattr(module, older).__module__.partition(".")[0])
    assert not hasattr(package, older)


def test_the_functions_beside_the_managers() -> None:
    rows = {row["binding_name"]: row for row in get_available_bindings()}
    assert {"binding_name", "title", "author", "version", "description"} <= rows["piper"].keys()
    assert "Piper" in rows["piper"]["description"]
    assert list_binding_models("piper") == LollmsTTSBindingManager().require_binding("piper").list_models()
    with pytest.warns(BindingUnavailableWarning):
        assert list_binding_models("nowhere") == []


# --- the same calls as upstream's examples, with their defaults -----------------------------------------------------


@pytest.fixture
def painter() -> Iterator[Server]:
    """Answers as OpenAI's images do."""

    def draw(request: Request) -> Reply:
        return Reply({"data": [{"b64_json": base64.b64encode(PNG).decode()}]})

    with serving({"POST /v1/images/generations": draw, "POST /v1/images/edits": draw}) as server:
        yield server


@pytest.mark.parametrize("name", ["dalle", "openai"])
def test_a_program_for_images(painter: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    lc = LollmsClient(
        tti_binding_name=name, service_key=KEY,
        tti_binding_config={"model_name": "dall-e-3", "host_address": f"{painter.url}/v1"},
    )  # fmt: skip
    assert lc.tti
    for service in lc.tti.list_services():
        assert service.get("name")
        assert service.get("caption")
    for row in lc.tti.get_settings():
        assert {"name", "type", "value"} <= row.keys()
    image_bytes = lc.tti.generate_image(
        prompt="A futuristic cityscape at sunset", negative_prompt="blurry, text", width=1024, height=1024
    )
    PIL.Image.open(io.BytesIO(image_bytes)).save(tmp_path / "generated.jpg")
    assert painter.asked[-1].headers["Authorization"] == "Bearer sk-test", "the client's id is no key of OpenAI's"
    assert lc.tti.config.get("model_name") == "dall-e-3"
    lc.close()


def test_a_program_that_edits_images(painter: Server, tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(PNG)
    config = {"host_address": f"{painter.url}/v1", "service_key": "sk-test", "model_name": "gpt-image-1"}
    with LollmsClient(tti_binding_name="openai", tti_binding_config=config) as lc:
        one = lc.edit_image(images=str(tmp_path / "in.png"), prompt="a hat", negative_prompt="scarf", width=1024, height=1024, mask=None)  # fmt: skip
        assert isinstance(one, Image)
        assert painter.asked[-1].parts["image"] == PNG
        lc.edit_image([str(tmp_path / "in.png"), base64.b64encode(PNG).decode()], "both", mask=PNG)
        parts = painter.asked[-1].parts
        assert {"image[]", "mask"} <= parts.keys()
        assert painter.asked[-1].body.count(b'name="image[]"') == 2


@pytest.mark.parametrize("keeps", [True, False])
def test_a_program_for_speech_of_a_server(keeps: bool) -> None:
    """The file that ``fn`` names is kept by the server where it keeps files; the sound comes back in either case."""
    routes: dict[str, Any] = {
        "GET /tts_is_ready": Reply({"status": True}),
        "GET /list_voices": Reply({"voices": ["main_voice"]}),
        "POST /tts/file": Reply(WAV),
    }
    if keeps:
        routes |= {
            "POST /text2Audio": Reply(b"null", headers={"Content-Type": "application/json"}),
            "GET /audio/out%20put.wav": Reply(WAV),
        }
    routes["*"] = Reply({"detail": "Not Found"}, 404)
    with serving(routes) as server:
        lc = LollmsClient(tts_binding_name="lollms", tts_binding_config={"host_address": server.url})
        assert lc.tts
        voices = lc.tts.list_voices()
        spoken = lc.tts.generate_audio("Two.", voice=voices[0], fn="out put.wav")
        assert spoken == WAV
        if keeps:
            asked = next(r.json for r in server.asked if r.path == "/text2Audio")
            assert asked == {"text": "Two.", "voice": "main_voice", "fn": "out put.wav"}
        for name in ("../x.wav", "a/b.wav", ".wav"):
            with pytest.raises(OptionError, match="fn"):
                lc.tts.generate_audio("Two.", fn=name)
        lc.close()


def test_a_program_that_speaks_with_piper(tmp_path: Path) -> None:
    """With the defaults of its arguments: none of the device, of the hosts, of the folder of models."""
    config = {"device": None, "default_voice_model_path": None}
    lc = LollmsClient(
        binding_name="ollama", model_name="mistral", host_address=None, models_path=None, llm_binding_config={},
        tts_binding_name="piper", tts_host_address=None, tts_binding_config=config, verify_ssl_certificate=True,
    )  # fmt: skip
    assert lc.tts
    assert lc.tts.generate_audio(text="Hello.").duration > 0.2
    lc.close()


def test_a_program_that_asks_the_manager(tmp_path: Path) -> None:
    manager = LollmsTTSBindingManager()
    binding = manager.create_binding("piper", config={"device": "auto"})
    assert binding
    assert binding.list_voices()
    (tmp_path / "out.wav").write_bytes(binding.generate_audio(text="Hello."))
    binding.close()
