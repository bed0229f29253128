"""What came of a job: files, and JSON values that name them by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    Image,
    LollmsError,
    Provenance,
    Segment,
    Transcript,
    Video,
    read_media,
)

_MEDIA: tuple[tuple[Any, str], ...] = ((Audio, "audio"), (Image, "image"), (Video, "video"))
_THUMBNAIL = 320  # pixels of its longer side
Write = Callable[[str, bytes], int]


def put_together(items: list[Any]) -> Any:
    """The items of a stream as one result."""
    if items and all(isinstance(item, AudioChunk) for item in items):
        return Audio.from_chunks(items)
    if all(isinstance(item, Segment) for item in items):
        return Transcript.from_segments(items)
    return items


def kept(result: Any, write: Write, prefix: str) -> dict[str, Any]:
    """Write a result; what the table keeps of it.

    Args:
        write: writes a file of that name and gives its size.
        prefix: of the files' names, so that those of two who run the job are never taken for each other.
    """
    files: list[dict[str, Any]] = []

    def value_of(value: Any) -> dict[str, Any]:
        for kind, name in _MEDIA:
            if isinstance(value, kind):
                told = {"kind": name, "file": keep(value, value.format or "bin", value.mime_type), **_seen(value)}
                words = [asdict(word) for word in getattr(value, "words", ())]
                return {**told, "words": words} if words else told
        if isinstance(value, Transcript):
            return {"kind": "transcript", **value.to_dict()}
        if isinstance(value, (list, tuple)):
            return {"kind": "list", "items": [value_of(item) for item in value]}
        return {"kind": "json", "value": value}

    def keep(media: Any, suffix: str, mime_type: str) -> int:
        name = f"{prefix}-{len(files)}.{suffix}"
        files.append({"name": name, "mime_type": mime_type, "size": write(name, read_media(media))})
        return len(files) - 1

    value = value_of(result)
    one = result[0] if isinstance(result, list) and result else result
    told: dict[str, Any] = {"value": value, "files": files, "provenance": _told(getattr(one, "provenance", None))}
    if isinstance(result, Video) and (picture := thumbnail(result)) is not None:
        told["thumbnail"] = keep(picture, "webp", picture.mime_type)
    return told


def _seen(media: Any) -> dict[str, Any]:
    """How large it is and how long it lasts, where that can be told."""
    if not isinstance(media, Video):
        return {}
    try:
        return {"width": media.width, "height": media.height, "seconds": round(media.duration, 3)}
    except LollmsError:
        return {}


def thumbnail(video: Video) -> Image | None:
    """The first frame of a video, made small; None where it has none that can be read."""
    import av
    from PIL import Image as Pillow

    try:
        with av.open(_file_of(video)) as container:
            picture = next(container.decode(video=0)).to_image()
    except (av.FFmpegError, StopIteration, IndexError):
        return None
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL), Pillow.Resampling.BILINEAR)
    try:
        return Image.from_pil(picture, "webp")
    except LollmsError:
        return None


def _file_of(video: Video) -> Any:
    import io

    return io.BytesIO(read_media(video))


def plain_options(options: Any) -> dict[str, Any]:
    """Those options that say nothing of what was asked for in words: numbers and switches."""
    return {
        name: value for name, value in options.items() if isinstance(value, (int, float)) or value is None
    }  # fmt: skip


def _told(provenance: Provenance | None) -> dict[str, Any] | None:
    """How it was made, without the server's settings, and without prompts, which are not kept."""
    if provenance is None:
        return None
    told = provenance.to_json()
    return {**told, "settings": {}, "options": plain_options(told.get("options") or {})}
