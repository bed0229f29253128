"""Small files of every format that has a place for marks, and what programs that are not ours make of such files."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imageio_ffmpeg
import numpy as np
from lollms_modalities import Image, Video, encode_audio
from npm_package import npm_package
from PIL import Image as Pillow

EXIFTOOL = "exiftool-vendored.pl@13.59.3", "dea9f92a8748a75a43ff42aae017644a48982aead848f985c6a443ec11e0b8f5"
"""ExifTool, Artistic or GPL; for tests alone."""
SOUND = ("wav", "mp3", "flac", "ogg", "opus", "aac")
FORMATS = (*SOUND, "png", "jpeg", "webp", "mp4", "webm")
# The same kept in another way: WebP without loss, films whose index comes first, or that are in fragments.
KINDS = (*FORMATS, "lossless.webp", "alpha.webp", "fast.mp4", "fragments.mp4", "stereo.flac")


@cache
def file_of(kind: str) -> bytes:
    """The bytes of a file, always the same; what it holds is noise."""
    rng = np.random.default_rng(7)
    sound = (rng.standard_normal(12000) * 3000).astype("<i2")
    pixels = (rng.random((48, 64, 3)) * 255).astype(np.uint8)
    if kind in SOUND:
        return bytes(encode_audio(sound, 24000, kind))
    if kind == "stereo.flac":
        return bytes(encode_audio(sound.reshape(-1, 2), 24000, "flac"))
    if kind in ("png", "jpeg", "webp"):
        return bytes(Image.from_pixels(pixels, kind))
    if kind.endswith(".webp"):
        made = Pillow.fromarray(pixels)
        if kind.startswith("alpha"):
            made.putalpha(Pillow.fromarray(pixels[:, :, 0]))
        buffer = io.BytesIO()
        made.save(buffer, "WEBP", lossless=kind.startswith("lossless"))
        return buffer.getvalue()
    if kind == "mp4":
        return bytes(Video.from_frames([np.roll(pixels, n, 1) for n in range(12)], 12))
    return converted(
        file_of("mp4"), {"webm": "webm"}.get(kind, "mp4"),
        *{
            "webm": ("-c:v", "libvpx", "-threads", "1"),
            "fast.mp4": ("-c", "copy", "-movflags", "+faststart"),
            "fragments.mp4": ("-c", "copy", "-movflags", "frag_keyframe+empty_moov"),
        }[kind],
    )  # fmt: skip


def suffix_of(kind: str) -> str:
    """Of a file of that kind."""
    return f".{kind.rpartition('.')[2]}"


def ffmpeg(*words: str) -> bytes:
    """What FFmpeg writes."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def converted(data: bytes, suffix: str, *words: str) -> bytes:
    """What FFmpeg makes of a file."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / f"out.{suffix}"
        source.write_bytes(data)
        ffmpeg("-i", str(source), *words, str(target))
        return target.read_bytes()


def decoded(path: Path) -> bytes:
    """A checksum of every frame that FFmpeg decodes, with its time."""
    return ffmpeg("-i", str(path), "-f", "framemd5", "-")


def ffmpeg_s_tags(path: Path) -> dict[str, str]:
    """The tags that FFmpeg sees, by their names in capitals."""
    of_the_stream = ("-map_metadata", "0:s:0") if path.suffix in (".ogg", ".opus") else ()
    lines = ffmpeg("-i", str(path), *of_the_stream, "-f", "ffmetadata", "-").decode().splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.upper(): re.sub(r"\\(.)", r"\1", text) for name, equals, text in pairs if equals}


def exiftool_s_tags(path: Path) -> dict[str, Any]:
    """The tags that ExifTool sees, by group and name."""
    (tags,) = json.loads(_exiftool("-j", "-a", "-G1", str(path)))
    return dict(tags)


def exiftool_writes(path: Path, *tags: str) -> None:
    """Have ExifTool change a file's tags."""
    _exiftool("-q", "-overwrite_original", *tags, str(path))


def _exiftool(*words: str) -> bytes:
    perl = shutil.which("perl")
    assert perl is not None, "ExifTool is a program in Perl"
    program = npm_package(*EXIFTOOL) / "bin" / "exiftool"
    return subprocess.run([perl, str(program), *words], capture_output=True, check=True).stdout
