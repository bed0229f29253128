"""``/sdapi/v1`` as Open WebUI asks it, as raw requests over real sockets; and what is sent to harm."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from lollms_modalities import Image
from lollms_server.room.keys import Keys
from serving import SERVE, Reply, Server, models, server_of, serving
from waiting import wait_until

CONFIGURATION = f"""
{SERVE}
surfaces = ["automatic1111"]
[serve.defaults]
tti = "eyes"
{models(eyes="tti")}
{models("example", blocks="tti")}
{models(ears="stt")}
"""
TEXT, IMAGE, OPTIONS = "/sdapi/v1/txt2img", "/sdapi/v1/img2img", "/sdapi/v1/options"
# What Open WebUI sends where no user and password are set.
NOBODY = {"authorization": "Basic "}


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"someone:{key}".encode()).decode()}


server = server_of(CONFIGURATION)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("keyed")
    keys = Keys(folder / "keys.json")
    made = {"anna": keys.add("anna"), "bob": keys.add("bob"), "carl": keys.add("carl", models=("eyes",))}
    with serving(folder, CONFIGURATION) as running:
        yield running, made


def images(reply: Reply) -> list[Image]:
    assert reply.status == 200, reply.body
    return [Image(base64.b64decode(text)) for text in reply.json["images"]]


def png(server: Server) -> str:
    text: str = server.ask("POST", TEXT, {"prompt": "a cat", "width": 24, "height": 24}).json["images"][0]
    return text


def test_images_are_drawn_as_open_webui_asks(server: Server) -> None:
    body = {"prompt": "a cat", "batch_size": 2, "width": 40, "height": 24, "steps": 3, "negative_prompt": "dogs"}
    more = {"sampler_name": "Euler a", "scheduler": "karras", "cfg_scale": 7, "save_images": False, "styles": []}
    reply = server.ask("POST", TEXT, body | more, NOBODY)
    drawn = images(reply)
    assert [(image.format, image.width, image.height) for image in drawn] == [("png", 40, 24)] * 2
    info = json.loads(reply.json["info"])
    assert len(set(info["all_seeds"])) == len(info["infotexts"]) == 2
    assert (info["sd_model_name"], info["width"], info["steps"]) == ("eyes", 40, 3)
    assert {"sampler_name", "scheduler", "guidance_scale"} <= set(reply.headers["x-lollms-ignored"].split(", "))
    again = images(server.ask("POST", TEXT, {**body, "batch_size": 1, "seed": info["seed"]}))
    assert again[0].to_pil().tobytes() == drawn[0].to_pil().tobytes()


def test_a_model_is_chosen_for_ones_own(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed
    rows = server.ask("GET", "/sdapi/v1/sd-models", headers=basic(keys["anna"])).json
    assert [row["title"] for row in rows][:1] == ["eyes"]
    assert "blocks" in [row["model_name"] for row in rows]
    options = server.ask("GET", OPTIONS, headers=basic(keys["anna"])).json
    assert options["sd_model_checkpoint"] == "eyes"
    # As Open WebUI does it: all that it was told, with another model.
    options |= {"sd_model_checkpoint": "blocks"}
    assert server.ask("POST", OPTIONS, options, basic(keys["anna"])).status == 200
    assert server.ask("GET", OPTIONS, headers=basic(keys["anna"])).json["sd_model_checkpoint"] == "blocks"
    assert server.ask("GET", OPTIONS, headers=basic(keys["bob"])).json["sd_model_checkpoint"] == "eyes"
    small = {"prompt": "a cat", "width": 32, "height": 32}
    assert server.ask("POST", TEXT, small, basic(keys["anna"])).headers["x-lollms-model"] == "blocks"
    override = {"override_settings": {"sd_model_checkpoint": "eyes"}}
    assert server.ask("POST", TEXT, small | override, basic(keys["anna"])).headers["x-lollms-model"] == "eyes"
    for name in ("nobody", "../../x", "eyes/../../x", "ears", "blocks/nobody"):
        assert server.ask("POST", OPTIONS, {"sd_model_checkpoint": name}, basic(keys["anna"])).status == 404, name
        assert server.ask("POST", TEXT, small | {"override_settings": {"sd_model_checkpoint": name}},
                          basic(keys["anna"])).status == 404  # fmt: skip
    assert server.ask("POST", OPTIONS, {"sd_model_checkpoint": "blocks"}, basic(keys["carl"])).status == 404, (
        "not for him"
    )
    assert server.ask("GET", OPTIONS, headers=basic(keys["anna"])).json["sd_model_checkpoint"] == "blocks"


def test_keys_are_passwords(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed
    for headers in ({}, NOBODY, basic("wrong"), basic(""), {"authorization": "Basic é"}, {"authorization": "Bearer x"}):
        for method, path in (
            ("GET", OPTIONS),
            ("POST", TEXT),
            ("GET", "/sdapi/v1/progress"),
            ("POST", "/sdapi/v1/interrupt"),
        ):
            assert server.ask(method, path, {"prompt": "x"} if method == "POST" else None, headers).status == 401, (
                headers
            )
    assert server.ask("GET", OPTIONS, headers={"authorization": f"Bearer {keys['bob']}"}).status == 200


def test_images_are_changed(server: Server) -> None:
    given = png(server)
    body = {
        "init_images": [f"data:image/png;base64,{given}"],
        "prompt": "a dog",
        "denoising_strength": 0.5,
        "mask": given,
    }
    reply = server.ask("POST", IMAGE, body)
    assert len(images(reply)) == 1
    assert "init_images" not in reply.json["parameters"]
    assert "strength" in reply.headers["x-lollms-ignored"]


def test_progress_is_told_and_what_is_drawn_is_interrupted(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed

    def progress(who: str, query: str = "") -> Any:
        return server.ask("GET", f"/sdapi/v1/progress{query}", headers=basic(keys[who])).json

    assert progress("anna")["progress"] == 0
    replies: list[Reply] = []
    body = {"prompt": "work 100000", "width": 32, "height": 32, "preview_every": 1,
            "override_settings": {"sd_model_checkpoint": "eyes"}}  # fmt: skip
    drawing = threading.Thread(target=lambda: replies.append(server.ask("POST", TEXT, body, basic(keys["anna"]))))
    drawing.start()
    try:
        wait_until(lambda: progress("anna")["state"]["sampling_step"] > 2 and progress("anna")["current_image"])
        told = progress("anna")
        assert 0 < told["progress"] <= 1
        assert Image(base64.b64decode(told["current_image"])).width
        assert progress("anna", "?skip_current_image=true")["current_image"] is None
        assert progress("bob")["state"]["job_count"] == 0, "another's is not his"
        cancelled = server.counted.count("cancelled")
        assert server.ask("POST", "/sdapi/v1/interrupt", headers=basic(keys["bob"])).json == {}
        assert progress("anna")["state"]["job_count"] == 1
        assert server.ask("POST", "/sdapi/v1/interrupt", {}, basic(keys["anna"])).json == {}
    finally:
        drawing.join(30)
    assert (replies[0].status, replies[0].error["code"]) == (499, "cancelled")
    wait_until(lambda: server.counted.count("cancelled") > cancelled)
    assert progress("anna")["state"]["job_count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"width": 10**9}, {"height": 0}, {"batch_size": 17}, {"batch_size": 5, "n_iter": 4}, {"steps": 10**6},
        {"seed": 2**63}, {"cfg_scale": "high"}, {"prompt": "x" * 200_001}, {"override_settings": "eyes"},
        {"num_inference_steps": 10**9}, {"width": "512"}, {"prompt": ""},
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(server: Server, body: dict[str, Any]) -> None:
    reply = server.ask("POST", TEXT, {"prompt": "a cat", "width": 32, "height": 32} | body)
    assert reply.status == 400, reply.body
    assert reply.error["code"]


def test_images_that_harm_are_refused(server: Server) -> None:
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    given = png(server)
    for text in (
        "/etc/hostname",
        "file:///etc/passwd",
        "http://127.0.0.1/x.png",
        "aGVsbG8=",
        base64.b64encode(bomb).decode(),
    ):
        for body in ({"init_images": [text]}, {"init_images": [given], "mask": text}):
            reply = server.ask("POST", IMAGE, {"prompt": "x", **body})
            assert (reply.status, reply.error["code"]) == (400, "invalid_media"), text[:40]
    for body in ({}, {"init_images": []}, {"init_images": "x"}, {"init_images": [given] * 17}, {"init_images": [7]}):
        assert server.ask("POST", IMAGE, {"prompt": "x", **body}).status == 400


def test_a_page_of_another_site_runs_nothing(server: Server) -> None:
    for path in (TEXT, "/sdapi/v1/interrupt", OPTIONS):
        assert server.ask("POST", path, {"prompt": "x"}, {"Origin": "http://evil.example"}).status == 403
    assert server.ask("POST", TEXT, b'{"prompt": "x"}', {"Content-Type": "text/plain"}).status == 415


def test_other_surfaces_are_not_there(server: Server) -> None:
    for path in ("/v1/models", "/lollms/v2", "/lollms/v1/capabilities", "/list_voices"):
        assert server.ask("GET", path).status == 404
