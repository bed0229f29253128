"""What each surface takes more than OpenAI's for the same no-op, over loopback; of whole speech, more than our own."""

from __future__ import annotations

import base64
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities import Audio, LollmsTTSBindingManager
from websockets.sync.client import connect

from bench.harness import show_extra
from bench.idle_binding import install
from bench.serving import asker, served

_SURFACES = ("openai", "lollms", "lollms-modern", "lollms-classic", "automatic1111", "elevenlabs")
_GEORGE = "JBFqnCBsd6RMkjVDRZzb"  # a voice of ElevenLabs', which is the default one here
_MODELS = "".join(
    f'[models.{kind}]\nbinding = "still"\nmodality = "{kind}"\nisolated = false\n' for kind in ("stt", "tti")
)
_WAV = bytes(Audio.from_pcm(bytes(16000), 16000))
_PROMPT = {"prompt": "a cat"}
_SPEECH = {"input": "hi", "response_format": "wav"}


def surfaces() -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        site = str(install(Path(folder)))
        sys.path.insert(0, site)
        LollmsTTSBindingManager().refresh()
        try:
            with served(Path(folder), site, f"surfaces = {list(_SURFACES)}\n", _MODELS) as (port, _):
                images = asker(port, "/v1/images/generations", _PROMPT)
                _added("lollms-modern, speech", asker(port, "/lollms/v1/audio/speech", _SPEECH),
                       asker(port, "/v1/audio/speech", _SPEECH))  # fmt: skip
                _added("lollms-classic, speech", asker(port, "/tts/file", {"text": "hi"}),
                       asker(port, "/lollms/v2/bindings/tts/idle/verbs/generate_audio", {"arguments": {"text": "hi"}}),
                       "our own surface")  # fmt: skip
                _added("lollms-classic, transcription", _hearer(port, "/transcribe"),
                       _hearer(port, "/v1/audio/transcriptions"))  # fmt: skip
                recording = {"audio_data": base64.b64encode(_WAV).decode()}
                _added("lollms-classic, base64", asker(port, "/audio2text", recording),
                       _hearer(port, "/v1/audio/transcriptions"))  # fmt: skip
                _added("lollms-classic, image", asker(port, "/generate_image", _PROMPT), images)
                _added("elevenlabs, speech of 1,000 chunks",
                       asker(port, f"/elevenlabs/v1/text-to-speech/{_GEORGE}?output_format=wav_16000", {"text": "hi"}),
                       asker(port, "/v1/audio/speech", _SPEECH))  # fmt: skip
                with _realtime(port) as hear:
                    _added("realtime, a tenth of a second", hear, _hearer(port, "/v1/audio/transcriptions"))
                _added("automatic1111, image", asker(port, "/sdapi/v1/txt2img", _PROMPT), images)
        finally:
            sys.path.remove(site)
            LollmsTTSBindingManager().refresh()


@contextmanager
def _realtime(port: int) -> Iterator[Callable[[], None]]:
    """Each time the same session is sent a tenth of a second of silence, and waits for what becomes of it."""
    address = f"ws://127.0.0.1:{port}/v1/realtime?intent=transcription"
    with connect(address, compression=None, proxy=None) as session:

        def until(kind: str) -> None:
            while (event := json.loads(session.recv()))["type"] != kind:
                if event["type"] == "error":
                    raise RuntimeError(event["error"]["message"])

        given = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        session.send(json.dumps({"type": "session.update", "session": given}))
        until("session.updated")
        sound = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(4800)).decode()})
        end = json.dumps({"type": "input_audio_buffer.commit"})

        def ask() -> None:
            session.send(sound)
            session.send(end)
            until("conversation.item.input_audio_transcription.completed")

        yield ask


def _hearer(port: int, path: str) -> Callable[[], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
    body, headers = head + _WAV + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}

    def ask() -> bytes:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status >= 400:
            raise RuntimeError(answer.decode())
        return answer

    return ask


def _added(name: str, ask: Callable[[], Any], reference: Callable[[], Any], what: str = "OpenAI's surface") -> None:
    """One row: the two by turns."""
    differences, floors = [], []
    for n in range(305):
        taken: dict[Callable[[], Any], float] = {}
        for which in (ask, reference) if n % 2 else (reference, ask):
            start = time.perf_counter()
            which()
            taken[which] = time.perf_counter() - start
        if n >= 5:
            differences.append(taken[ask] - taken[reference])
            floors.append(taken[reference])
    how = f"p50 over {what}, {statistics.median(floors) * 1e3:.3f} ms"
    show_extra(name, statistics.median(differences), 1e-3, 1e3, "ms", how)
