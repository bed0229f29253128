"""Fetch a voice by name from where the Piper project publishes them, checked against its index."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lollms_modalities import ServiceResponseError, VoiceNotFoundError
from lollms_modalities.kit import near_miss

VOICES_URL = "https://huggingface.co/rhasspy/piper-voices/resolve/main"
_NAME = re.compile(r"[A-Za-z]{2,3}_[A-Za-z0-9]{2,4}-[\w+]{1,64}-[a-z_]{1,16}")


def pull_voice(name: str, folder: Path, voices_url: str) -> Path:
    """Fetch ``name.onnx`` and ``name.onnx.json`` into ``folder``; gives the path of the voice.

    The layout of the index, ``voices.json``, is that of the repository rhasspy/piper-voices.
    """
    if not _NAME.fullmatch(name):
        raise VoiceNotFoundError(
            f"{name[:80]!r} is no name of a voice.", hint="They look like en_US-lessac-medium (language-name-quality)."
        )
    # Here, since speaking needs no network, and these take a while to import.
    from lollms_modalities.kit import download, read_url

    base = voices_url.rstrip("/")
    try:
        index = json.loads(read_url(f"{base}/voices.json"))
        names = sorted(index)
    except (ValueError, TypeError) as exc:
        raise ServiceResponseError(f"{base}/voices.json is no index of voices: {exc}.") from exc
    if name not in index:
        raise VoiceNotFoundError(f"{base} has no voice {name!r}.", hint=near_miss(name, names, "voices"))
    # The configuration comes last: without it a voice is not listed as whole by a program that checks.
    for suffix in (".onnx", ".onnx.json"):
        path, size, md5 = _entry(index[name], f"{name}{suffix}", base)
        download(f"{base}/{quote(path)}", folder / f"{name}{suffix}", size=size, md5=md5)
    return folder / f"{name}.onnx"


def _entry(voice: Any, file_name: str, base: str) -> tuple[str, int, str]:
    """Path, size and MD5 digest of one of a voice's files."""
    files: dict[str, Any] = voice.get("files", {}) if isinstance(voice, dict) else {}
    for path, about in files.items():
        if path.rpartition("/")[2] == file_name and {"size_bytes", "md5_digest"} <= about.keys():
            return path, int(about["size_bytes"]), str(about["md5_digest"])
    raise ServiceResponseError(f"{base}/voices.json lists no file {file_name!r} with its size and checksum.")
