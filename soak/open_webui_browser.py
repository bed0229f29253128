"""Somebody who uses Open WebUI in a browser: has an answer read aloud, speaks a question, has an image drawn."""

from __future__ import annotations

import importlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lollms_modalities import Image, LollmsTTSBindingManager

SENTENCE = "Glue the sheet to the dark blue background."
HEARD = "the sheet to the dark"  # of that, however often it is spoken into the microphone
_NAME = "talker"


class _Talker(BaseHTTPRequestHandler):
    """What Open WebUI needs to talk with at all: a language model that says one thing, and has drawn what is asked."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": _NAME, "object": "model", "owned_by": "soak"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said: dict[str, Any] = {"content": "Here it is."}
        tools = [tool["function"]["name"] for tool in asked.get("tools", ())]
        if "generate_image" in tools and asked["messages"][-1]["role"] == "user":
            prompt = json.dumps({"prompt": asked["messages"][-1]["content"]})
            call = {"index": 0, "id": "call", "type": "function",
                    "function": {"name": "generate_image", "arguments": prompt}}  # fmt: skip
            said = {"tool_calls": [call]}
        if not asked.get("stream"):
            self._answer({"choices": [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": "stop"}]})
            return
        events = ({"choices": [{"index": 0, "delta": said}]},
                  {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})  # fmt: skip
        told = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self._send("text/event-stream", told.encode())

    def _answer(self, value: Any) -> None:
        self._send("application/json", json.dumps(value).encode())

    def _send(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def talker() -> Iterator[str]:
    """The address of that model."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Talker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def use(client: Any, folder: Path, pictures: Path | None) -> None:
    """All of it; each is as it is to be.

    Args:
        client: asks Open WebUI beside the browser.
        folder: for the recording that is spoken.
        pictures: the folder into which what is seen is written.
    """
    recording = folder / "recording.wav"
    with LollmsTTSBindingManager().require_binding("piper") as piper:
        piper.generate_audio(SENTENCE, noise_scale=0, noise_w_scale=0).save(recording)
    browsing: Any = importlib.import_module("browsing")
    with browsing.chromium(microphone=recording) as browser:
        look = {"viewport": {"width": 1100, "height": 720}, "color_scheme": "light"}
        context = browser.new_context(permissions=["microphone"], **look)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{client.address}/c/{_conversation(client)}")
        page.get_by_role("button", name="Okay, Let's Go!").click()
        with page.expect_response(lambda answer: "/audio/speech" in answer.url) as spoken:
            page.get_by_role("button", name="Read Aloud").click()
        assert spoken.value.status == 200
        # It is played by the browser, which so can decode it.
        page.wait_for_function(
            "[...document.querySelectorAll('audio')].some((a) => a.duration > 1 && a.currentTime > 0)"
        )
        page.get_by_role("button", name="Voice Input").click()
        page.wait_for_timeout(5000)  # while somebody speaks
        page.locator("#confirm-recording-button").click()
        box = page.locator("#chat-input")
        page.wait_for_function("document.querySelector('#chat-input').innerText.trim()")
        assert HEARD in box.inner_text().lower(), box.inner_text()
        _shot(page, pictures, "chat")
        page.goto(f"{client.address}/?model={_NAME}")
        page.locator("#integration-menu-button").click()
        page.get_by_role("menuitemcheckbox", name="Image").click()
        page.keyboard.press("Escape")
        box.click()
        page.keyboard.type("a cat on a chair")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('img[alt=\"generated-image.png\"]')?.naturalWidth === 64")
        _shot(page, pictures, "image")
        page.goto(f"{client.address}/admin/settings/audio")
        page.wait_for_function("document.querySelector('input[placeholder=\"API Base URL\"]')?.value")
        for field in page.get_by_placeholder("API Base URL").all():
            field.fill("http://127.0.0.1:9610/v1")  # where the server is that is no soak's
        _shot(page, pictures, "audio")


def _conversation(client: Any) -> str:
    """One with an answer in it; its id."""
    ids = [str(uuid.uuid4()) for _ in range(2)]
    common = {"timestamp": 1, "models": [_NAME]}
    messages = {
        ids[0]: {**common, "id": ids[0], "parentId": None, "childrenIds": [ids[1]], "role": "user",
                 "content": "Who was there?"},
        ids[1]: {**common, "id": ids[1], "parentId": ids[0], "childrenIds": [], "role": "assistant", "model": _NAME,
                 "modelName": _NAME, "modelIdx": 0, "done": True, "content": "The boy was there when the sun rose."},
    }  # fmt: skip
    history = {"messages": messages, "currentId": ids[1]}
    told = {"title": "Soak", **common, "history": history, "messages": list(messages.values())}
    made: str = client.ask("POST", "chats/new", {"chat": told})["id"]
    return made


def _shot(page: Any, folder: Path | None, name: str) -> None:
    if folder is not None:
        page.wait_for_timeout(1000)  # until nothing moves
        shot = folder / f"open-webui-{name}.webp"
        shot.write_bytes(Image(page.screenshot()).convert("webp"))
