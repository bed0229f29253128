"""Which voices there are, and what is made of a name: one voice, or several that are blended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities import ModelNotFoundError, VoiceNotFoundError, voice_row
from lollms_modalities.kit import near_miss

from lollms_kokoro.files import STYLE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# The first letter of a voice's name (https://huggingface.co/hexgrad/Kokoro-82M/blob/main/VOICES.md).
LANGUAGES = {
    "a": "en-US",
    "b": "en-GB",
    "e": "es",
    "f": "fr-FR",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-BR",
    "z": "zh",
}
_GENDERS = {"f": "female", "m": "male"}
_NAMED = re.compile(r"([abefhijpz])([fm])_\w+")
_PART = re.compile(r"\s*([\w.-]+?)\s*(?:\(\s*(\d+(?:\.\d+)?)\s*\))?\s*")
_DEFAULTS = ("af_heart", "af_bella")
_MOST = 16  # voices of a blend


class Part(NamedTuple):
    """A voice of a blend, and its share of it."""

    name: str
    share: float


def language_and_gender(name: str) -> tuple[str, str]:
    """The tag of a voice's language, and "female" or "male", as its name says; "" where it does not."""
    named = _NAMED.fullmatch(name)
    return (LANGUAGES[named[1]], _GENDERS[named[2]]) if named else ("", "")


def default_voice(known: Mapping[str, Path]) -> str:
    """The voice where none is named: the one that its makers rate best, else the first.

    Raises:
        VoiceNotFoundError: there is none.
    """
    found = next((name for name in (*_DEFAULTS, *known) if name in known), None)
    if found is None:
        raise VoiceNotFoundError(
            "There is no voice of Kokoro.", hint="Run lollms pull tts:kokoro kokoro-v1.0.int8, or set voices_path."
        )
    return found


def parse_voice(voice: str, known: Mapping[str, Path]) -> tuple[Part, ...]:
    """One voice, or the blend that ``af_bella(2)+am_adam(1)`` means: shares are counted together.

    Raises:
        VoiceNotFoundError: a voice is not known, or this is no blend.
    """
    if isinstance(voice, str) and voice in known:
        return (Part(voice, 1.0),)
    if not isinstance(voice, str) or not voice or len(voice) > 1000:
        raise VoiceNotFoundError(f"{repr(voice)[:80]} is no name of a voice.", hint=_known("", known))
    found: list[Part] = []
    for text in voice.split("+"):
        part = _PART.fullmatch(text)
        if part is None or part[1] not in known:
            name = text.strip() if part is None else part[1]
            raise VoiceNotFoundError(
                f"There is no voice {name[:80]!r}.",
                hint=f"{_known(name, known)} Blends look like af_bella(2)+am_adam(1).",
                voice=voice[:200],
            )
        found.append(Part(part[1], float(part[2] or 1)))
    whole = sum(part.share for part in found)
    if not whole or len(found) > _MOST:
        raise VoiceNotFoundError(f"{voice[:80]!r} is no blend: 1 to {_MOST} voices with shares, not all of them 0.")
    return tuple(Part(part.name, part.share / whole) for part in found)


def language_of(parts: tuple[Part, ...]) -> str:
    """The language that a voice was made for; of a blend, that of its largest part. "" where it is not known."""
    return language_and_gender(max(parts, key=lambda part: part.share).name)[0]


def describe(known: Mapping[str, Path], default: str) -> list[dict[str, Any]]:
    """Rows of ``describe_voices``, with what the names say."""
    rows = []
    for name in known:
        language, gender = language_and_gender(name)
        rows.append(voice_row(name, language=language, gender=gender, default=name == default))
    return rows


class Styles:
    """The styles of voices that were used, as they are read from their files."""

    def __init__(self) -> None:
        self._read: dict[tuple[Path, str], npt.NDArray[np.float32]] = {}

    def of(self, parts: tuple[Part, ...], known: Mapping[str, Path]) -> npt.NDArray[np.float32]:
        """The table of a voice, shape (510, 1, 256): the mean of its parts, each by its share."""
        tables = [self._table(part.name, known[part.name]) * part.share for part in parts]
        table: npt.NDArray[np.float32] = sum(tables[1:], tables[0])
        return table

    def clear(self) -> None:
        """Forget all."""
        self._read.clear()

    def _table(self, name: str, path: Path) -> npt.NDArray[np.float32]:
        import numpy as np

        if (path, name) not in self._read:
            try:
                if path.stat().st_size == 4 * STYLE[0] * STYLE[1] * STYLE[2]:
                    table = np.fromfile(path, "<f4").reshape(STYLE)
                else:
                    with np.load(path) as file:
                        table = file[name].astype(np.float32, copy=False).reshape(-1, *STYLE[1:])
                if not len(table) or not np.isfinite(table).all():
                    raise ValueError("its numbers are none")
            except (OSError, ValueError, KeyError, EOFError) as exc:
                raise ModelNotFoundError(
                    f"The voice {name!r} in {str(path)!r} cannot be read: {exc}.", hint="Fetch the file again."
                ) from exc
            self._read[path, name] = table
        return self._read[path, name]


def _known(name: str, known: Mapping[str, Path]) -> str:
    return near_miss(name, [*known], "voices") if known else "Run lollms pull tts:kokoro kokoro-v1.0.int8."
