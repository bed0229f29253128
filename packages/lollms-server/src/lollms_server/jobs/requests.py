"""What a verb is given, as it waits in the table: JSON values, and media as files beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lollms_server.jobs.files import Files

Media = Path | bytes


class Request(NamedTuple):
    """What a verb is given.

    Attributes:
        options: by name; media as ``Path`` or bytes, in lists or dicts too.
        content: which of them goes first, without its name; "" for none.
        stream: whether the verb gives a stream, whose items are put together.
        timeout, keep_alive: seconds, as of ``Room.call``.
    """

    options: Mapping[str, Any]
    content: str = ""
    stream: bool = False
    timeout: float | None = None
    keep_alive: float | None = None


def stored(request: Request, files: Files, job_id: str) -> tuple[dict[str, Any], int]:
    """The request as JSON values, its media written to files; and the bytes of these.

    Raises:
        SaveError: they cannot be written.
    """
    size = 0
    names: list[str] = []

    def write(media: Media) -> str:
        nonlocal size
        names.append(f"u{len(names)}")
        size += files.write(job_id, names[-1], media)
        return names[-1]

    # Named apart from the options: whatever a caller writes into an option, it names no file.
    media = {name: _mapped(value, write) for name, value in request.options.items() if _is_media(value)}
    options = {name: value for name, value in request.options.items() if name not in media}
    return {**request._asdict(), "options": options, "media": media, "uploads": names}, size


def given(stored: Mapping[str, Any], files: Files, job_id: str, folder: Path) -> Request:
    """The request of a job, its media as files in ``folder``."""

    def read(name: str) -> Path:
        path = folder / name
        with files.open(job_id, name) as before, path.open("wb") as after:
            shutil.copyfileobj(before, after, 1 << 20)
        return path

    media = {name: _mapped(value, read) for name, value in stored["media"].items()}
    return Request(**{name: stored[name] for name in Request._fields if name != "options"} | {
        "options": {**stored["options"], **media}
    })  # fmt: skip


def _is_media(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_media, value))
    if isinstance(value, dict):
        return any(map(_is_media, value.values()))
    return isinstance(value, (Path, bytes))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, list):
        return [change(item) for item in value]
    return {name: change(item) for name, item in value.items()} if isinstance(value, dict) else change(value)
