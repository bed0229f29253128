"""Images, films and music by the server, with engines on torch behind it and tiny weights."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from diffusers_models import MAKERS
from kept import made_by
from lollms_modalities import Image, Video, probe_audio
from musicgen_model import make_musicgen
from serving import Server, serving
from waiting import wait_until

pytestmark = pytest.mark.full
CONFIGURATION = """
[serve]
keys_file = KEYS
[models.painter]
binding = "diffusers"
modality = "tti"
settings = { model_id_or_path = PAINTER, device = "cpu" }
[models.films]
binding = "diffusers"
modality = "ttv"
settings = { model_id_or_path = FILMS, device = "cpu" }
[models.music]
binding = "audiocraft"
settings = { model_name = MUSIC, device = "cpu" }
"""
SECONDS = 240.0  # that a worker on torch may take to load


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("models")
    painter, films = (made_by(MAKERS[kind], folder / kind) for kind in ("sd", "wan"))
    music = made_by(make_musicgen, folder / "music")
    configuration = CONFIGURATION
    for name, path in (("PAINTER", painter), ("FILMS", films), ("MUSIC", music)):
        configuration = configuration.replace(name, json.dumps(str(path)))
    with serving(tmp_path_factory.mktemp("server"), configuration) as running:
        yield running


def content(server: Server, path: str, body: dict[str, object]) -> bytes:
    """What comes of a job."""
    made = server.ask("POST", path, body)
    assert made.status == 200, made.body
    job = f"{path}/{made.json['id']}"
    wait_until(lambda: server.ask("GET", job).json["status"] not in ("queued", "in_progress"), SECONDS)
    told = server.ask("GET", job).json
    assert told["status"] == "completed", told
    assert told["progress"] == 100
    return server.ask("GET", f"{job}/content").body


def test_a_film_is_made(server: Server) -> None:
    video = Video(content(server, "/v1/videos", {"prompt": "a cat", "size": "32x32", "num_frames": 5,
                                                 "num_inference_steps": 2, "seed": 1}))  # fmt: skip
    assert (video.width, video.height, video.num_frames) == (32, 32, 5)


def test_music_is_made(server: Server) -> None:
    sound = content(server, "/v1/music", {"prompt": "a drum", "seconds": 1, "response_format": "mp3"})
    assert (probe_audio(sound)[3], round(probe_audio(sound)[2])) == ("mp3", 1)


def test_images_are_drawn_with_previews(server: Server) -> None:
    made = server.ask("POST", "/lollms/v2/bindings/tti/painter/verbs/generate_images",
                      {"arguments": {"prompt": "a cat", "n": 2, "width": 32, "height": 32, "num_inference_steps": 2}},
                      {"Prefer": "respond-async"}).json  # fmt: skip
    job = f"/lollms/v2/jobs/{made['id']}"
    wait_until(lambda: server.ask("GET", job).json["status"] == "completed", SECONDS)
    files = [server.ask("GET", f"{job}/content?file={number}").body for number in range(2)]
    assert [Image(file).width for file in files] == [32, 32]
    assert files[0] != files[1]
    body = {
        "prompt": "a cat",
        "size": "32x32",
        "num_inference_steps": 8,
        "stream": True,
        "partial_images": 3,
        "seed": 1,
    }
    reply = server.ask("POST", "/v1/images/generations", body)
    events = [json.loads(part.partition("\n\n")[0]) for part in reply.body.decode().split("data: ")[1:]]
    assert events[-1]["type"] == "image_generation.completed"
    assert {event["type"] for event in events[:-1]} == {"image_generation.partial_image"}
    assert all(Image(base64.b64decode(event["b64_json"])).width == 32 for event in events)
