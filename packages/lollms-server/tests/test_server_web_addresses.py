"""No address and no path of a client's is opened, wherever it stands: in a field, or in a file that names others."""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import Audio
from served import PNG
from serving import SERVE, Reply, Server, form, models, server_of
from waiting import wait_until

CONFIGURATION = (
    SERVE + models(counting="tts", ears="stt", films="ttv", drawn="tti") + models("example", blocks="tti", chord="ttm")
)
WAV = bytes(Audio.from_pcm(bytes(16000), 8000))

server = server_of(CONFIGURATION)


class Listener:
    """A port of this machine at which nobody is to be heard."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heard: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection:
                    self.heard.append(connection.recv(1000))


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.socket.close()


@pytest.fixture(autouse=True)
def unheard(server: Server, listener: Listener) -> Iterator[None]:
    """Nobody has come, no engine has begun, and nothing of it stays."""
    before = server.counted.lines()
    yield
    assert server.ask("GET", "/health").status == 200
    assert listener.heard == []
    assert server.counted.lines() == before
    wait_until(lambda: not server.files())
    assert "Traceback" not in server.log.read_text()


ADDRESSES = [
    "http://127.0.0.1:{}/x", "HTTP://LOCALHOST:{}/x", "http://0x7f.1:{}/", "http://2130706433:{}/", "http://127。0。0。1:{}/",
    "http://[::ffff:127.0.0.1]:{}/", "http://127.0.0.1:{}\\@example.com/", "http://a@127.0.0.1:{}/", "//127.0.0.1:{}/x",
    "\\\\127.0.0.1\\x", " http://127.0.0.1:{}/x", "ftp://127.0.0.1:{}/x", "concat:http://127.0.0.1:{}/x", "tcp://127.0.0.1:{}",
    "file:///etc/hostname", "/etc/hostname", "../../../../../etc/hostname", "~/x", "data:text/uri-list,http://127.0.0.1:{}/",
    "data:image/png,http://127.0.0.1:{}/", "data:;base64,!!", "data:audio/wav;base64,", "pipe:0", "/dev/stdin", "/proc/self/environ",
]  # fmt: skip
Ask = Callable[[Server, str], Reply]
V2 = "/lollms/v2/bindings"


def field(path: str, **fields: Any) -> Ask:
    """A form with the address in the place of ``None``."""
    return lambda server, address: server.ask(
        "POST", path, *form({name: address if value is None else value for name, value in fields.items()})
    )


def value(path: str, make: Callable[[str], Any]) -> Ask:
    """A JSON body that holds the address."""
    return lambda server, address: server.ask("POST", path, make(address))


PLACES: dict[str, Ask] = {
    "a recording of a form": field("/v1/audio/transcriptions", file=None),
    "a recording in JSON": value("/v1/audio/transcriptions", lambda a: {"input_audio": {"data": a}}),
    "a recording to translate": field("/v1/audio/translations", file=None),
    "who speaks": field("/v1/audio/transcriptions", file=("a.wav", WAV), **{
        "response_format": "diarized_json", "known_speaker_names[]": "Ann", "known_speaker_references[]": None}),
    "a voice's recording": field("/v1/audio/voices", name="Ann", consent="Ann", audio_sample=None),
    "an image of a form": field("/v1/images/edits", model="drawn", prompt="x", image=None),
    "an image in JSON": value("/v1/images/edits", lambda a: {"model": "drawn", "prompt": "x", "image": a}),
    "an address of an image": value("/v1/images/edits", lambda a: {"model": "drawn", "prompt": "x", "images": [{"image_url": a}]}),
    "a mask": field("/v1/images/edits", model="drawn", prompt="x", image=("x.png", PNG), mask=None),
    "a film's picture": value("/v1/videos", lambda a: {"model": "films", "prompt": "x", "input_reference": {"image_url": a}}),
    "a film's picture of a form": field("/v1/videos", model="films", prompt="x", input_reference=None),
    "what is converted": field("/lollms/v2/audio/convert", output_format="mp3", file=None),
    "a verb's recording": value(f"{V2}/stt/ears/verbs/transcribe_audio", lambda a: {"arguments": {"audio_path": a}}),
    "a verb's recording of a form": field(f"{V2}/stt/ears/verbs/transcribe_audio", audio_path=None),
    "a verb's images": value(f"{V2}/tti/drawn/verbs/edit_images", lambda a: {"arguments": {"images": [{"url": a}], "prompt": "x"}}),
    "a verb's music": value(f"{V2}/ttm/chord/verbs/generate_music", lambda a: {"arguments": {"prompt": "x", "audio": a}}),
    "a verb's file": value(f"{V2}/tts/counting/verbs/generate_audio", lambda a: {"arguments": {"text": "x", "output_path": a}}),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_an_address_is_no_media(server: Server, listener: Listener, place: str) -> None:
    for address in ADDRESSES:
        reply = PLACES[place](server, address.format(listener.port))
        assert reply.status == 400, (address, reply.status, reply.body[:200])
        assert "/home" not in reply.error["message"]


def atom(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def film_elsewhere(address: str) -> bytes:
    """A QuickTime film whose sound is said to lie in another file."""
    other = atom(b"dref", struct.pack(">II", 0, 1) + atom(b"url ", bytes(4) + address.encode() + b"\0"))
    sound = atom(b"sowt", bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHHHI", 1, 16, 0, 0, 8000 << 16))
    where = [struct.pack(">IIII", 0, 1, 100, 1), struct.pack(">IIIII", 0, 1, 1, 100, 1), struct.pack(">III", 0, 2, 100),
             struct.pack(">III", 0, 1, 0)]  # fmt: skip
    table = atom(b"stsd", struct.pack(">II", 0, 1) + sound)
    table += b"".join(map(atom, (b"stts", b"stsc", b"stsz", b"stco"), where))
    held = atom(b"smhd", bytes(8)) + atom(b"dinf", other) + atom(b"stbl", table)
    media = atom(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 8000, 100, 0, 0)) + atom(
        b"hdlr", bytes(8) + b"soun" + bytes(13)
    )
    track = atom(b"tkhd", b"\0\0\0\x0f" + bytes(80)) + atom(b"mdia", media + atom(b"minf", held))
    header = atom(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 8000, 100) + bytes(80))
    return atom(b"ftyp", b"qt  \0\0\0\0qt  ") + atom(b"moov", header + atom(b"trak", track))


_LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n"
NAMES_OTHERS: dict[str, Callable[[str], bytes]] = {
    "a playlist": lambda a: f"{_LIST}#EXTINF:10,\n{a}\n#EXT-X-ENDLIST\n".encode(),
    "a playlist of playlists": lambda a: f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\n{a}\n".encode(),
    "a key of a playlist": lambda a: f'{_LIST}#EXT-X-KEY:METHOD=AES-128,URI="{a}"\n#EXTINF:10,\na.ts\n#EXT-X-ENDLIST\n'.encode(),
    "a list of files": lambda a: f"ffconcat version 1.0\nfile '{a}'\n".encode(),
    "DASH": lambda a: (
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT9S" '
        'profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" '
        f'bandwidth="1"><BaseURL>{a}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    ).encode(),
    "a session": lambda a: b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "a reference": lambda a: f"[Reference]\nRef1={a}\n".encode(),
    "ASX": lambda a: f'<ASX version="3.0"><entry><ref href="{a}"/></entry></ASX>'.encode(),
    "SVG": lambda a: f'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="{a}"/></svg>'.encode(),
    "HTML": lambda a: f'<!doctype html><img src="{a}">'.encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMES_OTHERS)
def test_a_file_that_names_others_is_no_media(server: Server, listener: Listener, kind: str) -> None:
    for address in (f"http://127.0.0.1:{listener.port}/a.ts", "file:///etc/hostname", "/etc/hostname"):
        data = NAMES_OTHERS[kind](address)
        replies = [
            server.ask("POST", "/v1/audio/transcriptions", *form({"file": ("x.m3u8", data)})),
            server.ask("POST", "/lollms/v2/audio/convert", *form({"output_format": "wav", "file": ("x.mpd", data)})),
            server.ask("POST", "/v1/images/edits", *form({"model": "drawn", "prompt": "x", "image": ("x.svg", data)})),
            server.ask("POST", f"{V2}/stt/ears/verbs/transcribe_audio",
                       {"arguments": {"audio_path": base64.b64encode(data).decode()}}),
        ]  # fmt: skip
        for reply in replies:
            assert (reply.status, reply.error["code"]) == (400, "invalid_media")
            assert json.dumps(address)[1:-1] not in reply.body.decode()


def test_the_sound_of_a_film_lies_in_the_film(server: Server, listener: Listener) -> None:
    """Where its header names another file, what is there is its own bytes."""
    secret = Path("/etc/passwd").read_bytes()[:20]
    for address in (f"http://127.0.0.1:{listener.port}/a", "file:///etc/passwd", "/etc/passwd", "passwd"):
        film = film_elsewhere(address)
        reply = server.ask("POST", "/lollms/v2/audio/convert", *form({"output_format": "wav", "file": ("x.mov", film)}))
        assert reply.status in (200, 400)
        if reply.status == 200:
            assert Audio(reply.body).to_numpy().size == 100
            assert secret not in reply.body
