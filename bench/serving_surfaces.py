"""What each surface takes more than OpenAI's for the same no-op, over loopback; of whole speech, more than our own."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
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
_MODELS = "[serve.wyoming]\nstt_port = 0\ntts_port = 0\n" + "".join(
    f'[models.{kind}]\nbinding = "still"\nmodality = "{kind}"\nisolated = false\n' for kind in ("stt", "tti")
)
_WAV = bytes(Audio.from_pcm(bytes(16000), 16000))
_Event = tuple[str, dict[str, Any], bytes]  # of Wyoming: type, data, sound
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
                speech = asker(port, "/v1/audio/speech", _SPEECH)  # beside itself: what the machine adds
                _added("openai, speech of 1,000 chunks", asker(port, "/v1/audio/speech", _SPEECH), speech)
                _added("elevenlabs, speech of 1,000 chunks",
                       asker(port, f"/elevenlabs/v1/text-to-speech/{_GEORGE}?output_format=wav_16000", {"text": "hi"}),
                       speech)  # fmt: skip
                with _realtime(port) as hear:
                    _added("realtime, a tenth of a second", hear, _hearer(port, "/v1/audio/transcriptions"))
                _wyoming(Path(folder), port)
                images = asker(port, "/v1/images/generations", _PROMPT)  # the other one was not used for too long
                _added("automatic1111, image", asker(port, "/sdapi/v1/txt2img", _PROMPT), images)
        finally:
            sys.path.remove(site)
            LollmsTTSBindingManager().refresh()


def _wyoming(folder: Path, port: int) -> None:
    """Each on one connection, as the others."""
    # Which is told after what ``served`` waits for.
    while not (found := re.findall(r"Wyoming at tcp://\S+:(\d+) for", (folder / "log").read_text()))[1:]:
        time.sleep(0.05)
    hears, speaks = map(int, found)
    sound = {"rate": 16000, "width": 2, "channels": 1}
    with _asking(speaks, "audio-stop", ("synthesize", {"text": "hi"}, b"")) as speak:
        _added("wyoming, speech of 1,000 chunks", speak, asker(port, "/v1/audio/speech", _SPEECH))
    parts: tuple[_Event, ...] = (
        ("transcribe", {}, b""),
        ("audio-start", sound, b""),
        ("audio-chunk", sound, bytes(16000)),
    )
    with _asking(hears, "transcript", *parts, ("audio-stop", {}, b"")) as hear:
        _added("wyoming, transcription", hear, _hearer(port, "/v1/audio/transcriptions"))


@contextmanager
def _asking(port: int, end: str, *events: _Event) -> Iterator[Callable[[], None]]:
    """Sends these events, and reads what comes until one of that kind."""
    wanted = b""
    for kind, data, sound in events:
        more = json.dumps(data).encode()
        head = {"type": kind, "data_length": len(more), "payload_length": len(sound)}
        wanted += json.dumps(head).encode() + b"\n" + more + sound
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection, connection.makefile("rb") as come:

        def ask() -> None:
            connection.sendall(wanted)
            while True:
                head = json.loads(come.readline())
                come.read(head.get("data_length", 0) + head.get("payload_length", 0))
                if head["type"] == "error":
                    raise RuntimeError("it failed")
                if head["type"] == end:
                    return

        yield ask


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
