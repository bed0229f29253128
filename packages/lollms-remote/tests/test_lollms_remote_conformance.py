"""The remote bindings keep the contract, against a server on loopback."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_modalities import Audio, Image, Video
from lollms_modalities.testing import (
    STTBindingSuite,
    TTIBindingSuite,
    TTMBindingSuite,
    TTSBindingSuite,
    TTVBindingSuite,
)
from lollms_remote import (
    LollmsSTTBinding_Impl,
    LollmsTTIBinding_Impl,
    LollmsTTMBinding_Impl,
    LollmsTTSBinding_Impl,
    LollmsTTVBinding_Impl,
)
from loopback import Reply, Request, serving

JOBS: list[dict[str, Any]] = []
VOICES = {"data": [{"voice_id": "one"}, {"voice_id": "two"}]}


def sound(text: str, *, speed: float = 1.0, pitch: float = 1.0, seconds: float | None = None) -> bytes:
    length = 0.05 * len(text) / speed if seconds is None else seconds
    turn = pitch * (1 + zlib.crc32(text.encode()) % 50 / 100)
    return bytes(Audio.from_samples(0.4 * np.sin(np.arange(round(16000 * length)) / 9 * turn), 16000))


def clip(prompt: str, width: int, height: int) -> bytes:
    shade = zlib.crc32(prompt.encode()) % 100
    return bytes(Video.from_frames([np.full((height, width, 3), shade + 20 * n, np.uint8) for n in range(6)], 8))


def waits(text: str) -> float:
    return 3.0 if "slowly" in text else 0.0


def speak(request: Request) -> Reply:
    body = request.json
    if body.get("voice") not in (None, "one", "two"):
        return Reply({"detail": f"Unknown voice: {body['voice'][:40]}"}, 404)
    pitch = 1.5 if body.get("voice") == "two" else 1.0
    return Reply(sound(body["input"], speed=body.get("speed", 1.0), pitch=pitch), wait=waits(body["input"]))


def transcribe(request: Request) -> Reply:
    parts = request.parts
    if parts["model"] != b"whisper-1":
        return Reply({"error": {"message": "no such model", "code": "model_not_found"}}, 404)
    long = len(parts["file"]) > 300_000
    said = "the words that were said"
    return Reply({"text": f"{said} in {len(parts['file'])} bytes"}, wait=3.0 if long else 0.0)


def draw(request: Request) -> Reply:
    body = request.json
    width, height = map(int, body["size"].split("x"))
    if max(width, height) > 8192:
        return Reply({"detail": "too large"}, 422)
    image = Image.from_pixels(np.full((height, width, 3), sum(body["prompt"].encode()) % 256, np.uint8))
    return Reply({"data": [{"b64_json": base64.b64encode(image).decode()}]}, wait=waits(body["prompt"]))


def change(request: Request) -> Reply:
    image = Image.from_pixels(np.zeros((64, 64, 3), np.uint8))
    return Reply({"data": [{"b64_json": base64.b64encode(image).decode()}]})


def begin(request: Request) -> Reply:
    body = request.json
    if not body["prompt"].strip():
        return Reply({"error": {"message": "empty prompt"}}, 400)
    JOBS.append(body)
    return Reply({"id": f"{'slow' if 'slowly' in body['prompt'] else 'fast'}-{len(JOBS) - 1}", "status": "queued"})


def other(request: Request) -> Reply:
    """The jobs, whose paths have their ids."""
    parts = request.path.strip("/").split("/")
    if request.method == "DELETE":
        return Reply({"deleted": True})
    if parts[-1] == "content":
        asked = JOBS[int(parts[2].partition("-")[2])]
        if parts[1] == "videos":
            return Reply(clip(asked["prompt"], *map(int, asked.get("size", "16x16").split("x"))))
        return Reply(sound(asked["prompt"], seconds=float(asked.get("duration", 1.0))))
    if len(parts) == 3:
        return Reply({"id": parts[2], "status": "in_progress" if parts[2].startswith("slow") else "completed"})
    return Reply({"detail": "Not Found"}, 404)


ROUTES = {
    "GET /lollms/v1/capabilities": Reply({"capabilities": {}}),
    "GET /lollms/v1/audio/voices": Reply(VOICES),
    "POST /lollms/v1/audio/speech": speak,
    "POST /v1/audio/transcriptions": transcribe,
    "POST /v1/audio/translations": transcribe,
    "POST /v1/images/generations": draw,
    "POST /v1/images/edits": change,
    "GET /v1/models": Reply({"data": [{"id": "whisper-1"}]}),
    "POST /v1/videos": begin,
    "POST /v1/music": begin,
    "*": other,
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(ROUTES) as server:
        yield server.url


class Served:
    """The settings that a suite has when the server runs."""

    network = True
    protocol = "modern"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, url: str) -> None:
        cls.settings = {"host_address": url, "protocol": cls.protocol, "max_retries": 0}


class TestSpeech(Served, TTSBindingSuite):
    binding = LollmsTTSBinding_Impl
    long_sample = {"text": "slowly, one sentence. " * 3}


class TestTranscription(Served, STTBindingSuite):
    binding = LollmsSTTBinding_Impl
    protocol = "openai"
    expected = ("words", "said")
    speech = False  # of the sine below; test_lollms_remote_live.py has more

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _recording(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        path: Path = tmp_path_factory.mktemp("sound") / "sound.wav"
        cls.sample = {"audio_path": Audio.from_samples(np.sin(np.arange(32000) / 20), 16000).save(path)}


class TestImages(Served, TTIBindingSuite):
    binding = LollmsTTIBinding_Impl
    long_sample = {"prompt": "slowly, a red square"}


class TestMusic(Served, TTMBindingSuite):
    binding = LollmsTTMBinding_Impl
    protocol = "openai"
    long_sample = {"prompt": "slowly, a piano"}


class TestVideo(Served, TTVBindingSuite):
    binding = LollmsTTVBinding_Impl
    protocol = "openai"
    long_sample = {"prompt": "slowly, a ball"}
