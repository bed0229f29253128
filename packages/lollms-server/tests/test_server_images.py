"""Images over HTTP: drawn and changed, with previews, by few calls, as base64 or at an address."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.parse
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lollms_modalities import Image
from lollms_server.room.callers import Caller
from lollms_server.room.models import Chosen, ServedModel
from lollms_server.room.room import Room
from lollms_server.web.openai.drawing import Together
from served import PNG
from serving import SERVE, Reply, Server, form, models, server_of
from waiting import wait_until

CONFIGURATION = SERVE + models(counting="tti") + models("example", blocks="tti")
DRAW, EDIT = "/v1/images/generations", "/v1/images/edits"


server = server_of(CONFIGURATION, ping_seconds=0.2)


def drawn(reply: Reply) -> list[Image]:
    assert reply.status == 200, reply.body
    return [Image(base64.b64decode(row["b64_json"])) for row in reply.json["data"]]


def events(reply: Reply) -> list[dict[str, Any]]:
    return [json.loads(part.partition("\n\n")[0]) for part in reply.body.decode().split("data: ")[1:]]


def calls(server: Server, prompt: str) -> list[str]:
    return [line for line in server.counted.lines() if line.endswith(f"'{prompt}'")]


@pytest.mark.parametrize("model", ["counting", "blocks"])
def test_as_many_are_drawn_as_are_asked_for(server: Server, model: str) -> None:
    reply = server.ask("POST", DRAW, {"model": model, "prompt": f"three {model}", "n": 3, "size": "48x32", "seed": 5})
    images = drawn(reply)
    assert [(image.width, image.height, image.format) for image in images] == [(48, 32, "png")] * 3
    assert len({image.to_pil().tobytes() for image in images}) == 3
    told = reply.json
    assert (told["size"], told["output_format"], told["usage"]["total_tokens"]) == ("48x32", "png", 0)
    assert reply.headers["x-lollms-model"] == model
    if model == "counting":
        assert calls(server, "three counting") == ["drew 3 'three counting'"], "one call"
    (alone,) = drawn(server.ask("POST", DRAW, {"model": model, "prompt": f"three {model}", "size": "48x32", "seed": 6}))
    assert alone.to_pil().tobytes() == images[1].to_pil().tobytes(), (
        "the seed of each is one more than that of the one before"
    )


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_every_format(server: Server, kind: str) -> None:
    body = {"model": "blocks", "prompt": "x", "size": "256x256", "output_format": kind, "seed": 1}
    (image,) = drawn(server.ask("POST", DRAW, body))
    assert image.format == kind
    if kind != "png":
        (small,), (large,) = (drawn(server.ask("POST", DRAW, {**body, "output_compression": q})) for q in (5, 95))
        assert small.format == large.format == kind
        assert len(small) < len(large)
    else:
        assert server.ask("POST", DRAW, {**body, "output_compression": 5}).headers["x-lollms-ignored"] == (
            "output_compression"
        )


def test_an_image_may_have_an_address(server: Server) -> None:
    reply = server.ask("POST", DRAW, {"model": "blocks", "prompt": "x", "n": 2, "response_format": "url"})
    urls = [row["url"] for row in reply.json["data"]]
    assert len(set(urls)) == 2
    for url in urls:
        parts = urllib.parse.urlsplit(url)
        assert parts.netloc == f"127.0.0.1:{server.port}"
        found = server.ask("GET", parts.path)
        assert (found.status, found.headers["content-type"]) == (200, "image/png")
        assert Image(found.body).width == 512
    path = urllib.parse.urlsplit(urls[0]).path
    for wrong in (f"{path}7", path[:-2] + "/x", path.replace("image_", "video_"), path.replace("image_", "image_0")):
        assert server.ask("GET", wrong).status == 404
    for listed in ("/v1/videos", "/lollms/v2/jobs"):
        assert server.ask("GET", listed).json["data"] == []


def test_previews_come_before_the_image(server: Server) -> None:
    body = {"model": "counting", "prompt": "work 3", "stream": True, "partial_images": 3, "num_inference_steps": 12}
    told = events(server.ask("POST", DRAW, body))
    partial = [event for event in told if event["type"] == "image_generation.partial_image"]
    assert told[-1]["type"] == "image_generation.completed"
    assert 1 <= len(partial) <= 3
    assert [event["partial_image_index"] for event in partial] == list(range(len(partial)))
    for event in told:
        assert Image(base64.b64decode(event["b64_json"])).width == 32
        assert (event["size"], event["output_format"]) == ("32x32", "png")
    assert told[-1]["usage"]["total_tokens"] == 0
    assert len(told) == len(partial) + 1
    reply = server.ask("POST", DRAW, {"model": "blocks", "prompt": "x", "stream": True, "partial_images": 2, "n": 2})
    assert [event["type"] for event in events(reply)].count("image_generation.completed") == 2


def test_what_fails_in_the_middle_is_the_last_event(server: Server) -> None:
    body = {"model": "counting", "prompt": "fail", "stream": True, "partial_images": 3}
    told = events(server.ask("POST", DRAW, body))
    assert told[0]["type"] == "image_generation.partial_image"
    assert told[-1]["error"]["code"] == "engine_failed"
    reply = server.ask("POST", DRAW, {**body, "partial_images": 0})
    assert (reply.status, reply.error["code"]) == (500, "engine_failed")


def test_requests_at_once_get_each_what_it_asked_for(server: Server) -> None:
    def ask(number: int) -> Reply:
        return server.ask("POST", DRAW, {"model": "counting", "prompt": "together", "n": 1 + number % 2})

    with ThreadPoolExecutor(4) as threads:
        assert [len(drawn(reply)) for reply in threads.map(ask, range(4))] == [1, 2, 1, 2]
    assert sum(int(line.split(" ")[1]) for line in calls(server, "together")) == 6
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: server.ask("POST", DRAW, {"model": "counting", "prompt": "a", "seed": 3}), range(4)))
    assert calls(server, "a") == ["drew 1 'a'"] * 4, "a seed is one's own"


class Drawing:
    """A room that notes what it is called with."""

    def __init__(self) -> None:
        self.called: list[tuple[str, str, int]] = []
        self.cancelled = 0

    async def call(self, chosen: Any, caller: Caller, verb: str, *, n: int, prompt: str, **how: Any) -> list[str]:
        self.called.append((caller.who, prompt, n))
        try:
            await asyncio.sleep(30 if prompt == "long" else 0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if prompt == "fail":
            raise RuntimeError("it failed")
        return [f"{prompt} {number}" for number in range(n)]


def test_requests_that_come_together_are_drawn_by_one_call() -> None:
    room = Drawing()
    together = Together(cast(Room, room))
    model = SimpleNamespace(chosen=Chosen(ServedModel("painter", "tti", "x")))

    def draw(who: str, prompt: str, number: int) -> Coroutine[Any, Any, list[Image]]:
        asked = SimpleNamespace(caller=Caller(who, "user", ""), id="r")
        return together.draw(cast(Any, asked), cast(Any, model), number, {"prompt": prompt})

    async def all_of_them() -> None:
        made = await asyncio.gather(
            draw("anna", "x", 1), draw("anna", "x", 2), draw("anna", "y", 1), draw("ben", "x", 1)
        )
        assert made == [["x 0"], ["x 1", "x 2"], ["y 0"], ["x 0"]]
        assert room.called == [("key anna", "x", 3), ("key anna", "y", 1), ("key ben", "x", 1)]
        room.called.clear()
        await asyncio.gather(*(draw("anna", "many", 10) for _ in range(3)))
        assert [call[2] for call in room.called] == [10, 10, 10], "no call draws more than one may ask for"
        failed = await asyncio.gather(draw("anna", "fail", 1), draw("anna", "fail", 1), return_exceptions=True)
        assert [str(error) for error in failed] == ["it failed"] * 2
        tasks = [asyncio.ensure_future(draw("anna", "long", 1)) for _ in range(2)]
        while ("key anna", "long", 2) not in room.called:
            await asyncio.sleep(0.001)
        tasks[0].cancel()
        await asyncio.wait({tasks[0]})
        await asyncio.sleep(0)
        assert room.cancelled == 0, "the other waits for its image"
        tasks[1].cancel()
        await asyncio.wait({tasks[1]})
        while not room.cancelled:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(all_of_them(), 30))


def test_one_that_goes_away_stops_the_engine_when_nobody_is_left(server: Server) -> None:
    cancelled, drew = server.counted.count("cancelled"), server.counted.count("drew")
    body = json.dumps({"model": "counting", "prompt": "work 100000"}).encode()
    head = f"POST {DRAW} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connections = [server.connect() for _ in range(2)]
    for connection in connections:
        connection.sendall(head.encode() + body)
    wait_until(lambda: server.counted.count("drew") > drew)
    for connection in connections:
        connection.close()
    wait_until(lambda: not server.ask("GET", "/lollms/v2/calls").json["data"])
    assert server.counted.count("cancelled") > cancelled


def test_images_are_changed(server: Server) -> None:
    for files in ({"image": ("x.png", PNG)}, {"image[]": ("x.png", PNG)}):
        body, headers = form({"model": "counting", "prompt": "change", "n": "2", **files, "mask": ("m.png", PNG)})
        images = drawn(server.ask("POST", EDIT, body, headers))
        assert [(image.width, image.height) for image in images] == [(24, 16)] * 2
    assert server.counted.lines().count("changed 1 masked") == 2
    wait_until(lambda: not server.files())
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    for given in ({"image": url}, {"image": [url, url]}, {"images": [{"image_url": url}]}):
        reply = server.ask("POST", EDIT, {"model": "blocks", "prompt": "x", "size": "512x512", **given})
        assert drawn(reply)[0].width == 24
        assert reply.headers["x-lollms-ignored"] == "size", "it is as large as what it is made of"
    told = events(server.ask("POST", EDIT, {"model": "counting", "prompt": "x", "image": url, "stream": True}))
    assert told[-1]["type"] == "image_edit.completed"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "x", "n": 0}, "n"), ({"prompt": "x", "n": 10**9}, "n"), ({"prompt": ""}, "prompt"), ({}, "prompt"),
        ({"prompt": "x", "size": "1000000x16"}, "size"), ({"prompt": "x", "size": "99999x16"}, "width"),
        ({"prompt": "x", "size": "1024x16"}, "width"), ({"prompt": "x", "size": "big"}, "size"),
        ({"prompt": "x", "seed": 2**62 * 4}, None), ({"prompt": "x", "partial_images": 9}, "partial_images"),
        ({"prompt": "x", "background": "transparent"}, "background"), ({"prompt": "x", "colour": 1}, "colour"),
        ({"prompt": "x", "model": "none"}, "model"), ({"prompt": "x", "output_format": "svg"}, "output_format"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(server: Server, body: dict[str, Any], param: str | None) -> None:
    reply = server.ask("POST", DRAW, {"model": "counting", **body})
    assert reply.status in (400, 404)
    assert reply.error["param"] == param


@pytest.mark.parametrize(
    "image",
    ["/etc/hostname", "file:///etc/passwd", "http://0x7f.1/", "data:image/png;base64,aGk=", {"image_url": 1}, []],
)
def test_what_is_no_image_is_told(server: Server, image: Any) -> None:
    reply = server.ask("POST", EDIT, {"model": "counting", "prompt": "x", "image": image})
    assert reply.status == 400
    assert reply.error["code"] in ("invalid_media", "invalid_value", "missing_file")


def test_hints_are_left_out_and_nulls_are_nothing(server: Server) -> None:
    body = {"model": "gpt-image-1", "prompt": "x", "quality": "high", "style": "vivid", "moderation": "auto",
            "background": "auto", "user": "me", "n": None, "size": "auto", "response_format": None}  # fmt: skip
    reply = server.ask("POST", DRAW, body)
    assert len(drawn(reply)) == 1
    assert reply.headers["x-lollms-ignored"] == "quality, style"
    assert reply.headers["x-lollms-alias"] == "gpt-image-1"
