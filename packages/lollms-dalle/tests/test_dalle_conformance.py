"""dalle keeps the contract, against a server on loopback that answers as OpenAI does."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
import pytest
from lollms_dalle import DalleTTIBinding_Impl
from lollms_modalities import Image
from lollms_modalities.testing import TTIBindingSuite
from loopback import Reply, Request, serving


def draw(request: Request) -> Reply:
    """The same image for the same prompt; a slow one takes its time."""
    body = request.json
    width, height = map(int, body["size"].split("x"))
    shade = sum(body["prompt"].encode()) % 256
    image = Image.from_pixels(np.full((height, width, 3), shade, np.uint8))
    answer = {"data": [{"b64_json": base64.b64encode(image).decode()}]}
    return Reply(answer, wait=5.0 if "slowly" in body["prompt"] else 0.0)


def change(request: Request) -> Reply:
    image = Image.from_pixels(np.zeros((1024, 1024, 3), np.uint8))
    return Reply({"data": [{"b64_json": base64.b64encode(image).decode()}]})


class TestDalle(TTIBindingSuite):
    binding = DalleTTIBinding_Impl
    network = True
    long_sample = {"prompt": "slowly, a red square"}

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls) -> Iterator[None]:
        with serving({"POST /v1/images/generations": draw, "POST /v1/images/edits": change}) as server:
            cls.settings = {"host_address": f"{server.url}/v1", "api_key": "sk-1", "model_name": "gpt-image-2"}
            yield
