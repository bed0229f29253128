"""dalle against a server on loopback that answers as the real services do; the official client parses the same answers."""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from lollms_client.tti_bindings.dalle import DalleTTIBinding_Impl
from lollms_dalle.models import DEFAULT, MODELS, nearest_size, rules_of
from lollms_modalities import (
    Image,
    OptionError,
    ServiceAuthError,
    ServiceError,
    ServiceRateLimitError,
    ServiceResponseError,
    SettingsError,
    UnsupportedError,
)
from loopback import Reply, Request, Server, serving

KEY = "sk-sesame-4711"


def drawn(width: int, height: int, kind: str = "png") -> bytes:
    return bytes(Image.from_pixels(np.full((height, width, 3), 90, np.uint8), kind))


def images(request: Request) -> Reply:
    """As OpenAI answers: by the rules of each model."""
    body = request.json
    model = body["model"]
    if model.startswith("gpt-image") and "response_format" in body:
        error = {"message": "Unknown parameter: 'response_format'.", "type": "invalid_request_error",
                 "param": "response_format", "code": "unknown_parameter"}  # fmt: skip
        return Reply({"error": error}, 400)
    if model == "dall-e-1":
        error = {
            "message": "The model 'dall-e-1' does not exist.",
            "type": "x",
            "param": "model",
            "code": "model_not_found",
        }
        return Reply({"error": error}, 404)
    size = body.get("size", "1024x1024")
    width, height = (64, 64) if size == "auto" else map(int, size.split("x"))
    data = base64.b64encode(drawn(width, height, body.get("output_format", "png"))).decode()
    item: dict[str, Any] = {"b64_json": data}
    if model == "dall-e-3":
        item["revised_prompt"] = f"A detailed {body['prompt']}"
    answer: dict[str, Any] = {"created": 1_790_000_000, "data": [dict(item) for _ in range(body.get("n", 1))]}
    if model.startswith("gpt-image"):
        answer["usage"] = {
            "input_tokens": 9, "output_tokens": 100, "total_tokens": 109,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 9},
        }  # fmt: skip
    return Reply(answer)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"POST /v1/images/generations": images}) as running:
        yield running


def dalle(server: Server, **settings: Any) -> DalleTTIBinding_Impl:
    return DalleTTIBinding_Impl(KEY, host_address=f"{server.url}/v1", **{"max_retries": 0, **settings})


def test_the_fixture_is_true(server: Server) -> None:
    """What the server plays is what the official client reads."""
    import openai

    with openai.OpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0) as client:
        made = client.images.generate(model="gpt-image-2", prompt="x", size="1024x1024")
        assert made.data is not None
        assert made.data[0].b64_json
        assert made.usage is not None
        assert made.usage.total_tokens == 109
        old = client.images.generate(model="dall-e-3", prompt="x", response_format="b64_json")
        assert old.data is not None
        assert old.data[0].revised_prompt == "A detailed x"
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            client.images.generate(model="dall-e-1", prompt="x")
        with pytest.raises(openai.BadRequestError, match="response_format"):
            client.images.generate(model="gpt-image-2", prompt="x", response_format="b64_json")


@pytest.mark.parametrize("model", [*MODELS, "gpt-image-2-2026-04-01", "somebodys-model"])
def test_each_model_is_asked_what_it_takes(server: Server, model: str) -> None:
    with dalle(server, model_name=model) as binding:
        image = binding.generate_image("a cat", width=1024, height=1024)
    assert type(image) is Image
    assert (image.format, image.width, image.height) == ("png", 1024, 1024)
    body = server.asked[-1].json
    expected = {"model": model, "prompt": "a cat", "n": 1, "size": "1024x1024"}
    if model.startswith("dall-e"):
        expected["response_format"] = "b64_json"
    assert body == expected, "nulls are left out"
    assert server.asked[-1].headers["Authorization"] == f"Bearer {KEY}"
    assert image.provenance is not None
    assert (image.provenance.model, image.provenance.binding) == (model, "dalle")
    if model == "dall-e-3":
        assert image.provenance.extra["revised_prompt"] == "A detailed a cat"
    if model.startswith("gpt-image"):
        assert image.provenance.usage["total_tokens"] == 109


def test_what_is_left_out_is_the_default_or_the_model_s_own(server: Server) -> None:
    with dalle(server) as binding:
        assert binding.settings.model_name == DEFAULT
        binding.generate_image("x")
        assert "size" not in server.asked[-1].json
    with dalle(server, default_size="1536x1024", default_quality="high") as binding:
        binding.generate_image("x")
        assert (server.asked[-1].json["size"], server.asked[-1].json["quality"]) == ("1536x1024", "high")
        binding.generate_image("x", width=512)
        assert server.asked[-1].json["size"] == "512x512"
        binding.generate_image("x", size="auto", quality="low")
        assert (server.asked[-1].json["size"], server.asked[-1].json["quality"]) == ("auto", "low")


@pytest.mark.parametrize(
    ("model", "asked", "given"),
    [("dall-e-2", (512, 512), "512x512"), ("dall-e-2", (640, 480), "512x512"), ("dall-e-2", (2000, 2000), "1024x1024"),
     ("dall-e-3", (512, 512), "1024x1024"), ("dall-e-3", (1920, 1080), "1792x1024"), ("dall-e-3", (600, 1000), "1024x1792"),
     ("gpt-image-2", (1000, 1000), "992x992"), ("gpt-image-2", (5000, 1000), "3840x1280"),
     ("gpt-image-2", (512, 512), "512x512"), ("somebodys-model", (123, 457), "123x457")],
)  # fmt: skip
def test_the_nearest_size(model: str, asked: tuple[int, int], given: str) -> None:
    found = nearest_size(rules_of(model), *asked)
    assert found == given
    if model.startswith("gpt-image"):
        width, height = map(int, found.split("x"))
        assert width % 16 == height % 16 == 0
        assert 1 / 3 <= width / height <= 3
        assert width * height <= 3840 * 2160


def test_another_size_warns_or_is_refused(server: Server) -> None:
    with dalle(server, model_name="dall-e-3") as binding:
        with pytest.warns(UserWarning, match="does not make images of 512x512; the nearest that it makes is 1024x1024"):
            assert binding.generate_image("x", width=512, height=512).width == 1024
        with pytest.raises(OptionError, match="the nearest that it makes is 1024x1024"):
            binding.generate_image("x", width=512, height=512, strict=True)
        with pytest.raises(OptionError, match="is no size"):
            binding.generate_image("x", size="large")


@pytest.mark.parametrize(
    ("model", "wrong"),
    [("gpt-image-2", {"quality": "hd"}), ("gpt-image-2", {"style": "vivid"}), ("dall-e-3", {"quality": "high"}),
     ("dall-e-3", {"style": "bold"}), ("dall-e-2", {"quality": "standard"}), ("dall-e-3", {"background": "transparent"})],
)  # fmt: skip
def test_what_a_model_does_not_have_is_refused_before_it_is_asked(
    server: Server, model: str, wrong: dict[str, str]
) -> None:
    with dalle(server, model_name=model) as binding, pytest.raises(OptionError, match=model):
        binding.generate_image("x", **wrong)
    assert not server.asked


def test_the_format_is_asked_of_the_models_that_have_it(server: Server) -> None:
    with dalle(server) as binding:
        image = binding.generate_image("x", output_format="webp", output_compression=80)
        assert image.format == "webp"
        asked = server.asked[-1].json
        assert (asked["output_format"], asked["output_compression"]) == ("webp", 80)
        with pytest.raises(OptionError, match="Known ones: png, jpeg, webp"):
            binding.generate_image("x", output_format="gif")
    with dalle(server, model_name="dall-e-3") as binding:
        assert binding.generate_image("x", output_format="jpeg").format == "jpeg"
        assert "output_format" not in server.asked[-1].json
        with pytest.raises(OptionError, match="dall-e-3 does not take output_compression"):
            binding.generate_image("x", output_compression=80)


def test_negative_and_long_prompts(server: Server) -> None:
    with dalle(server, model_name="dall-e-3") as binding:
        binding.generate_image("a cat", "dogs")
        assert server.asked[-1].json["prompt"] == "a cat\n\nLeave out: dogs"
        with pytest.warns(UserWarning, match="takes 4000 characters; 5000 were given"):
            binding.generate_image("y" * 5000)
        assert len(server.asked[-1].json["prompt"]) == 4000
    with dalle(server, model_name="dall-e-2") as binding, pytest.warns(UserWarning, match="has no negative prompt"):
        binding.generate_image("a cat", "dogs")
    assert server.asked[-1].json["prompt"] == "a cat"


def test_several_images(server: Server) -> None:
    with dalle(server) as binding:
        assert len(binding.generate_images("x", n=3, size="256x256")) == 3
        assert [r.json["n"] for r in server.asked] == [3]
    with dalle(server, model_name="dall-e-3") as binding:
        seen: list[Any] = []
        made = binding.generate_images("x", n=3, progress=seen.append)
        assert [r.json["n"] for r in server.asked[1:]] == [1, 1, 1], "a request of this model gives one"
        assert len(made) == 3
        assert (seen[-1].done, seen[-1].total) == (3, 3)


def test_edits(server: Server) -> None:
    def edit(request: Request) -> Reply:
        parts = request.parts
        assert parts["image"] == drawn(8, 8)
        assert parts["image.filename"] == "image.png"
        return Reply({"data": [{"b64_json": base64.b64encode(parts.get("mask") or parts["image"]).decode()}]})

    server.routes["POST /v1/images/edits"] = edit
    with dalle(server) as binding:
        assert binding.edit_image("a hat", image=drawn(8, 8))[0].width == 8
        assert binding.edit_image("a hat", image=Image(drawn(8, 8)), mask=drawn(4, 4))[0].width == 4
        with pytest.raises(OptionError, match="image"):
            binding.edit_image("a hat")
    with dalle(server, model_name="dall-e-3") as binding, pytest.raises(UnsupportedError, match="does not edit"):
        binding.edit_image("a hat", image=drawn(8, 8))


def test_a_retired_model_names_its_successor(server: Server) -> None:
    gone = {"error": {"message": "The model 'dall-e-3' does not exist.", "code": "model_not_found"}}
    server.routes["POST /v1/images/generations"] = Reply(gone, 404)
    with dalle(server, model_name="dall-e-3") as binding:
        with pytest.raises(ServiceError, match=r"was retired on 2026-05-12\. Use model_name='gpt-image-2'") as caught:
            binding.generate_image("x")
        assert caught.value.status == 404
    assert not MODELS[DEFAULT].retired


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (Reply({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, 401), ServiceAuthError, "Incorrect"),
        (Reply({"error": {"message": "Billing hard limit"}}, 400), ServiceError, "Billing hard limit"),
        (Reply({"error": {"message": "slow"}}, 429, {"Retry-After": "9"}), ServiceRateLimitError, "slow"),
        (Reply({"data": []}), ServiceResponseError, "without an image"),
        (Reply({"data": [{}]}), ServiceResponseError, "without an image"),
        (Reply([]), ServiceResponseError, "without a list of images"),
        (Reply({"data": [{"b64_json": "iVBORw0KGg"}]}), ServiceResponseError, "damaged"),
        (Reply({"data": [{"b64_json": base64.b64encode(b"no image").decode()}]}), ServiceResponseError, "are no image"),
        (Reply({"data": [{"url": "https://example.com/x.png"}]}), ServiceResponseError, "example.com, which is not asked"),
        (Reply({"data": [{"url": "http://169.254.169.254/latest"}]}), ServiceResponseError, "which is not asked"),
        (Reply(b"<html>busy</html>", 502, {"Content-Type": "text/html"}), ServiceError, "answered 502"),
    ],
)  # fmt: skip
def test_answers_that_are_none(server: Server, reply: Reply, error: type[Exception], said: str) -> None:
    server.routes["POST /v1/images/generations"] = reply
    with dalle(server) as binding, pytest.raises(error, match=said):
        binding.generate_image("x")


def test_a_bomb_of_an_image_is_refused(server: Server) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    server.routes["POST /v1/images/generations"] = Reply({"data": [{"b64_json": base64.b64encode(bomb).decode()}]})
    with dalle(server) as binding, pytest.raises(ValueError, match="are no image"):
        binding.generate_image("x")


def test_an_image_by_its_address(server: Server) -> None:
    server.routes["POST /v1/images/generations"] = Reply({"data": [{"url": f"{server.url}/made.jpg"}]})
    server.routes["GET /made.jpg"] = Reply(drawn(8, 4, "jpeg"))
    with dalle(server, model_name="dall-e-2") as binding:
        image = binding.generate_image("x")
        assert (image.format, image.width) == ("png", 8), "without output_format it is PNG"
        assert binding.generate_image("x", output_format="jpeg") == drawn(8, 4, "jpeg"), "as it came"
    assert "Authorization" not in server.asked[1].headers


def test_the_key(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SettingsError, match=r"needs the setting 'api_key'.*OPENAI_API_KEY"):
        DalleTTIBinding_Impl()
    with DalleTTIBinding_Impl(host_address=server.url + "/v1") as binding:
        binding.generate_image("x")
    assert "Authorization" not in server.asked[-1].headers
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    assert DalleTTIBinding_Impl()
    with DalleTTIBinding_Impl(host_address=server.url + "/v1") as binding:
        binding.generate_image("x")
    assert server.asked[-1].headers["Authorization"] == "Bearer sk-from-the-environment"
    assert "host_address" not in DalleTTIBinding_Impl.shared_settings(), (
        "another service's address must not get the key"
    )


def test_secrets_are_nowhere(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.routes["POST /v1/images/fail"] = Reply(f"bad key {KEY}".encode(), 401)
    told = []
    with dalle(server) as binding:
        image = binding.generate_image("x")
        told += [
            repr(binding),
            repr(binding.settings),
            json.dumps(binding.get_settings()),
            json.dumps(binding.describe()),
        ]
        assert image.provenance is not None
        told += [json.dumps(image.provenance.to_json()), repr(pickle.dumps(image)), repr(image)]
        server.routes["POST /v1/images/generations"] = Reply(f"bad key {KEY}".encode(), 401)
        with pytest.raises(ServiceAuthError) as caught:
            binding.generate_image("x")
        told += [str(caught.value), repr(vars(caught.value)), repr(pickle.dumps(caught.value)), caplog.text]
    assert not [text for text in told if KEY in text]
    for request in server.asked:
        assert KEY not in request.path
        assert KEY.encode() not in request.body
        assert [name for name, value in request.headers.items() if KEY in value] == ["Authorization"]


def test_settings_and_lists() -> None:
    binding = DalleTTIBinding_Impl(KEY, "dall-e-3", "1024x1024", "hd", "vivid")
    assert binding.settings.default_style == "vivid"
    assert [s["name"] for s in binding.list_services()] == binding.list_models() == list(MODELS)
    assert binding.set_settings({"default_quality": "standard"})
    with pytest.raises(OptionError, match="is no size"):
        DalleTTIBinding_Impl(KEY, default_size="big")
    with pytest.raises(SettingsError, match="is no address"):
        DalleTTIBinding_Impl(KEY, host_address="ftp://x")
    assert io.BytesIO(drawn(1, 1)).read()
