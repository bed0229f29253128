"""A plug-in that keeps what was spoken, and gives it again when the same is asked for.

Neither a model is loaded nor an engine asked for what was spoken before: in this program, or in another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from lollms_modalities import Audio, Call, LollmsBinding, Provenance, hookimpl, read_media
from lollms_modalities.kit import dump_secrets


class SpeechCache:
    """Give it to ``lollms_modalities.hooks.register``, or name it as an entry point of ``lollms_client.plugins``.

    Args:
        folder: where the files lie; ``LOLLMS_SPEECH_CACHE`` where it is left out, else the platform's cache folder.
        limit: bytes that may lie there; the speech that was asked for longest ago goes first.
    """

    def __init__(self, folder: str | Path | None = None, limit: int = 1_000_000_000) -> None:
        from platformdirs import user_cache_path

        default = user_cache_path("lollms", appauthor=False) / "speech"
        self.folder = Path(folder or os.environ.get("LOLLMS_SPEECH_CACHE") or default)
        self.limit = limit
        self._keys: WeakKeyDictionary[Call, str] = WeakKeyDictionary()

    @hookimpl
    def lollms_answer_call(self, binding: LollmsBinding, call: Call, arguments: Mapping[str, Any]) -> Audio | None:
        """The speech that is kept, if there is any of just this."""
        if binding.modality != "tts" or call.verb != "generate_audio":
            return None
        key = self._keys[call] = _key(binding, call, arguments)
        try:
            data = (self.folder / f"{key}.audio").read_bytes()
            told = json.loads((self.folder / f"{key}.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        os.utime(self.folder / f"{key}.audio")
        return Audio(data).with_provenance(Provenance.from_json(told))

    @hookimpl
    def lollms_after_call(self, call: Call, result: Any) -> None:
        """Keep what the engine has made."""
        key = self._keys.pop(call, None)
        if key is None or call.answered_by or not isinstance(result, Audio):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        made = result.provenance
        _write(self.folder / f"{key}.json", json.dumps(made.to_json() if made else {}).encode())
        _write(self.folder / f"{key}.audio", read_media(result))
        self._make_room()

    def _make_room(self) -> None:
        files = sorted(
            ((s.st_mtime, s.st_size, p) for p in self.folder.glob("*.audio") if (s := p.stat())), reverse=True
        )
        total = 0
        for _, size, path in files:
            total += size
            if total > self.limit:
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)


def _key(binding: LollmsBinding, call: Call, arguments: Mapping[str, Any]) -> str:
    """The same for what sounds the same: text, voice, options, settings, and what made it."""
    # Where a result goes does not change it; and whoever gives no seed takes any rendering.
    left_out = {"output_path", *(["seed"] if call.drawn else [])}
    told = {
        "who": [*binding.origin(), binding.binding_name, binding.engine, binding.engine_version(binding.engine)],
        # Secrets too, so that another account's speech is another's; only their digest is kept.
        "settings": dump_secrets(binding.settings),
        "format": [call.output_format, call.output_path.suffix if call.output_path else ""],
        "arguments": {name: value for name, value in arguments.items() if name not in left_out},
    }
    text = json.dumps(told, sort_keys=True, default=_digest)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(value: Any) -> str:
    """A voice may be a recording: its content counts."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Path) and value.is_file():
        return hashlib.sha256(value.read_bytes()).hexdigest()
    return repr(value)


def _write(path: Path, data: bytes) -> None:
    """Whole, whoever writes the same meanwhile."""
    part = path.with_name(f"{secrets.token_hex(8)}.part")
    part.write_bytes(data)
    os.replace(part, path)
