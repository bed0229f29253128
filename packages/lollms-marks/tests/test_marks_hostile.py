"""Files that are made to hurt: reading and marking them ends soon, in bounded memory, with an answer or ``Broken``."""

from __future__ import annotations

import io
import os
import random
import struct
import time
import tracemalloc
import zlib
from functools import cache
from pathlib import Path

import marked_files
import pytest
from lollms_marks import Mark, put, verify
from lollms_marks.formats import format_of
from lollms_marks.formats.ogg import checksum
from lollms_marks.view import Broken, View
from marked_files import FORMATS, KINDS, file_of
from programs import run

MARK = Mark(id="ab" * 16, engine="x 1")
MOST = 64_000_000  # bytes that a look into a file of some hundred kilobytes may take


def attacked(data: bytes, rng: random.Random) -> bytes:
    """A file with something wrong in it, mostly near its beginning, where sizes are told."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = min(len(made) - 1, int(rng.expovariate(1 / 200)) if rng.random() < 0.8 else rng.randrange(len(made)))
        way = rng.randrange(5)
        if way == 0:
            made[at] = rng.randrange(256)
        elif way == 1:
            made[at : at + 4] = rng.choice(
                (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0")
            )
        elif way == 2:
            del made[at : at + rng.randrange(1, 50)]
        elif way == 3:
            made[at:at] = made[at : at + rng.randrange(1, 200)]
        else:
            del made[rng.randrange(len(made)) :]
        made = made or bytearray(b"\0")
    return bytes(made)


def look(data: bytes, path: Path) -> None:
    """Read and mark it, and see that what was marked can be read."""
    path.write_bytes(data)
    verify(path)
    try:
        made = put(data, MARK)
    except Broken:
        return
    path.write_bytes(made or b"")
    verify(path)


def attack(kind: str, count: int, folder: Path) -> None:
    rng = random.Random(f"{kind} 3")
    plain = file_of(kind)
    marked = put(plain, MARK) or b""
    tracemalloc.start()
    try:
        for n in range(count):
            look(attacked(marked if n % 2 else plain, rng), folder / "x")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < MOST


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    attack(kind, 60, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(kind: str, tmp_path: Path) -> None:
    attack(kind, 2000, tmp_path)


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "png", "jpeg", "webp", "mp4"])
def test_damaged_credentials(kind: str, tmp_path: Path) -> None:
    """In a process of its own, with little memory: what c2pa's library does is not seen from Python."""
    code = (
        "import random, sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(marked_files.__file__).parent)!r}]\n"
        "from memory import peak; from test_marks_hostile import MARK, attacked; from marked_files import file_of\n"
        "from lollms_marks import put, verify; from lollms_marks.certificates import new_certificate\n"
        "from lollms_marks.settings import Settings; from lollms_marks.signing import Signing\n"
        f"folder = Path({str(tmp_path)!r}); certificate, key, _ = map(str, new_certificate(folder, 'x'))\n"
        "signing = Signing(Settings.of({'certificate': certificate, 'key': key}), print)\n"
        f"data = signing.embed(put(file_of({kind!r}), MARK), {kind!r}, MARK, (), 'created')\n"
        "begin = data.index(b'jumb') - 4; end = begin + int.from_bytes(data[begin : begin + 4], 'big')\n"
        "before, rng, states = peak(), random.Random(3), set()\n"
        "for n in range(150):\n"
        "    damaged = attacked(data[begin:end] if n % 2 else data, rng)\n"
        "    (folder / 'x').write_bytes(data[:begin] + damaged + data[end:] if n % 2 else damaged)\n"
        "    states.add(verify(folder / 'x').status)\n"
        "assert peak() - before < 200e6\n"
        "print('broken' in states)\n"
    )
    assert run(code) == "True"


@cache
def bombs() -> dict[str, bytes]:
    """Files that say or hold more than they should."""
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 13, b"IHDR") + bytes(17)
    packed = zlib.compress(bytes(200_000_000), 1)
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + packed
    page = bytearray(struct.pack("<5sBqIIIB", b"OggS\0", 2, 0, 1, 0, 0, 1) + b"\x13OpusHead" + bytes(11))
    page[22:26] = struct.pack("<I", checksum(bytes(page)))
    many = b"".join(
        struct.pack("<5sBqIIIB", b"OggS\0", 0, 0, 1, n, 0, 255) + b"\xff" * 255 + bytes(65025) for n in range(400)
    )
    xmp = b"<x:xmpmeta>" + b"<a:DigitalSourceType " * 40_000 + b"<rdf:RDF></rdf:RDF>"
    return {
        "a chunk that unpacks to 200 MB": png + struct.pack(">I4s", len(text), b"iTXt") + text + bytes(4),
        "chunks that unpack to much": png + (lambda t: struct.pack(">I4s", len(t), b"zTXt") + t + bytes(4))(b"AIGC\0\0" + packed) * 9,
        "keys of films without end": (
            struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4sI4sI4s", 1 << 30, b"moov", 1 << 29, b"meta", 0, b"\0\0\0\x28hdlr"[:4])
            + b"hdlr" + bytes(32) + struct.pack(">I4sII", 1 << 28, b"keys", 0, 1 << 30) + struct.pack(">I4s", 0x7FFFFFFF, b"mdta") * 40_000
        ),
        "a hundred thousand chunks": png + struct.pack(">I4sI", 0, b"tEXt", 0) * 100_000,
        "chunks of no size in WAV": b"RIFF\xff\xff\xff\x7fWAVE" + struct.pack("<4sI", b"LIST", 0) * 200_000,
        "boxes of eight bytes": struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8, b"free") * 200_000,
        "a box that goes on in itself": struct.pack(">I4sII", 16, b"ftyp", 0, 0) + struct.pack(">I4sQ", 1, b"mdat", 0),
        "tags behind tags": b"ID3\4\0\0\0\0\0\0" * 100_000,
        "frames of no size": b"ID3\4\0\0\0\7\x7f\x7f" + b"TXXX\0\0\0\0\0\0" * 13_000,
        "elements in elements": b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" + b"\x12\x54\xc3\x67\xff" * 100_000,
        "elements of no size": b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" + b"\xec\x80" * 300_000,
        "segments of JPEG": b"\xff\xd8" + b"\xff\xe1\0\2" * 100_000,
        "bytes that fill up": b"\xff\xd8" + b"\xff" * 400_000,
        "headers without an end": bytes(page) + many,
        "comments by the million": b"fLaC\x84\0\0\x10" + struct.pack("<II", 0, 0x7FFFFFFF) + bytes(20),
        "XMP that begins again and again": (
            png + struct.pack(">I4s", len(xmp) + 22, b"iTXt") + b"XML:com.adobe.xmp\0\0\0\0\0" + xmp + bytes(4)
        ),
        "JSON as deep as it is long": (put(file_of("mp3"), MARK) or b"").replace(b'{"source_type"', b"[" * 14),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(bombs()))
def test_bombs(name: str, tmp_path: Path) -> None:
    data = bombs()[name]
    control = time.process_time()
    zlib.crc32(bytes(50_000_000))
    control = time.process_time() - control
    tracemalloc.start()
    began = time.process_time()
    try:
        look(data, tmp_path / "x")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < MOST + 4 * len(data)
    assert time.process_time() - began < 5 + 800 * control


def test_a_file_without_an_end(tmp_path: Path) -> None:
    """A sparse file of a terabyte: its size costs nothing."""
    for kind in ("wav", "png", "jpeg", "mp3", "mp4", "webm", "ogg", "flac", "webp"):
        path = tmp_path / "x"
        path.write_bytes(file_of(kind))
        with path.open("r+b") as file:
            file.truncate(1 << 40)
        code = (
            f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
            f"from lollms_marks.formats import read; from lollms_marks.view import View, Broken\n"
            f"file = open({str(path)!r}, 'rb')\n"
            f"try: print(read(View(file)).texts)\nexcept Broken: print('{{}}')\n"
        )
        assert run(code) == "{}"
        path.unlink()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to, and a device without an end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="it is no file"):
            verify(path)


def test_a_webp_file_that_says_to_be_of_four_gigabytes(tmp_path: Path) -> None:
    data = bytearray(file_of("webp"))
    data[4:8] = b"\xff\xff\xff\xff"
    with pytest.raises(Broken, match="not what it says"):
        put(bytes(data), MARK)
    data[4:8] = file_of("webp")[4:8]
    data[26:30] = bytes(4)  # no width and no height
    look(bytes(data), tmp_path / "x")


def test_what_is_no_file_of_ours() -> None:
    assert format_of(View(b"")) == ""
    assert format_of(View(io.BytesIO(b"\0" * 100))) == ""
    assert View(b"abc").at(-5, 2) == b""
    assert View(b"abc").at(2, 9) == b"c"
    with pytest.raises(Broken):
        View(b"abc").whole(1, 3)
