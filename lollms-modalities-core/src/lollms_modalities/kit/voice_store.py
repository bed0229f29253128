"""Voices that were learnt from recordings, kept in a folder: each with who attested the consent of the person.

A voice is a folder with its name, which holds the recording as it was given and ``voice.json``. It is there whole or
not at all: it is made beside and renamed. Nothing is opened that the store did not write.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities.errors import OptionError, SaveError, VoiceExistsError, VoiceNotFoundError
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.formats import AUDIO_FORMATS
from lollms_modalities.media.input import MediaInput, check_media, open_media
from lollms_modalities.settings.checking import near_miss

_LONGEST = 64  # characters of a name
_NAME = re.compile(rf"\w(?:[\w .'-]{{0,{_LONGEST - 2}}}[\w'])?")
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³]) *(\..*)?", re.IGNORECASE)  # of Windows
_TOLD = "voice.json"
_PARTS = (".adding-", ".removing-")
_LEFT = 3600.0  # seconds after which what a process left of a voice is taken away


class KeptVoice(NamedTuple):
    """A voice of a store.

    Attributes:
        name: what it is called.
        recording: the file that it was learnt from.
        consent: who attests, and when, that the person agrees.
        added: when it was added, as ISO 8601 in UTC.
    """

    name: str
    recording: Path
    consent: str
    added: str


class VoiceStore:
    """The voices in a folder, which is made with the first of them. Processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, recording: MediaInput, consent: str, *, taken: Collection[str] = ()) -> KeptVoice:
        """Keep a copy of a recording as a voice.

        Args:
            name: letters, digits, spaces, ``_ . ' -``, at most 64.
            recording: sound of any format that can be decoded.
            consent: who attests the consent of the person, and when.
            taken: names that are the engine's own.

        Raises:
            OptionError: a name that cannot be, or no consent.
            VoiceExistsError: there is a voice of that name.
            MediaError: the recording is no sound.
            SaveError: it cannot be written.
        """
        name, consent = check_voice_name(name), check_consent(consent)
        self._check_free(name, taken)
        checked = check_media(recording, role="audio")
        sound = Audio(path=checked) if isinstance(checked, Path) else Audio(checked)
        _ = sound.duration  # told where it is no sound
        suffix = AUDIO_FORMATS[sound.format].suffixes[0] if sound.format in AUDIO_FORMATS else ".sound"
        added = datetime.now(UTC).isoformat(timespec="seconds")
        told = {"name": name, "recording": f"recording{suffix}", "consent": consent, "added": added}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            part = Path(tempfile.mkdtemp(prefix=_PARTS[0], dir=self.folder))
        except OSError as exc:
            raise SaveError(f"No voice can be kept in {str(self.folder)!r}: {exc.strerror}.") from exc
        try:
            with open_media(checked) as source, (part / told["recording"]).open("wb") as target:
                shutil.copyfileobj(source, target)
            (part / _TOLD).write_text(json.dumps(told, ensure_ascii=False, indent=1), "utf-8")
            os.rename(part, self.folder / name)
        except OSError as exc:
            self._check_free(name, taken)  # somebody was quicker
            raise SaveError(f"The voice {name!r} cannot be kept: {exc.strerror}.") from exc
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return KeptVoice(name, self.folder / name / told["recording"], consent, added)

    def _check_free(self, name: str, taken: Collection[str]) -> None:
        """Letters of either case are one: so they are for many file systems, and for people."""
        there = next((other for other in (*taken, *self.names()) if other.casefold() == name.casefold()), None)
        if there is not None:
            raise VoiceExistsError(
                f"There is a voice {there!r} already.",
                hint="Choose another name, or remove that voice.",
                names=["name"],
            )

    def remove(self, name: str) -> None:
        """Forget a voice, its recording too.

        Raises:
            VoiceNotFoundError: there is none of that name.
            SaveError: it cannot be taken away.
        """
        voice = self.find(name)
        if voice is None:
            names = self.names()
            hint = near_miss(str(name)[:80], names, "voices") if names else "None has been added."
            raise VoiceNotFoundError(f"No voice {str(name)[:80]!r} has been added.", hint=hint, voice=str(name)[:200])
        gone = self.folder / f"{_PARTS[1]}{os.getpid()}-{time.time_ns()}"
        try:
            os.rename(self.folder / voice.name, gone)
        except OSError as exc:
            raise SaveError(f"The voice {voice.name!r} cannot be taken away: {exc.strerror}.") from exc
        shutil.rmtree(gone, ignore_errors=True)

    def find(self, name: object) -> KeptVoice | None:
        """The voice of that name; None of what is no name, too."""
        normal = _normal(name)
        return self._read(normal) if _is_name(normal) else None

    def names(self) -> list[str]:
        """Of all voices, sorted."""
        return [voice.name for voice in self.voices()]

    def voices(self) -> list[KeptVoice]:
        """All of them, by name."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if _is_name(entry.name))
        except OSError:
            return []
        return [voice for name in names if (voice := self._read(name)) is not None]

    def _read(self, name: str) -> KeptVoice | None:
        """None where there is none, or where somebody else has written there."""
        place = self.folder / name
        try:
            told: Any = json.loads((place / _TOLD).read_text("utf-8"))
            if place.is_symlink() or told["name"] != name:
                return None
            recording = str(told["recording"])
            path = place / recording
            if Path(recording).name != recording or path.is_symlink() or not path.is_file():
                return None
            return KeptVoice(name, path, str(told["consent"]), str(told["added"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _sweep(self) -> None:
        """Take away what processes left that were ended in the middle."""
        for entry in os.scandir(self.folder):
            with suppress(OSError):
                if entry.name.startswith(_PARTS) and time.time() - entry.stat().st_mtime > _LEFT:
                    shutil.rmtree(entry.path, ignore_errors=True)


def _is_name(name: str) -> bool:
    return (
        _NAME.fullmatch(name) is not None
        and not _RESERVED.fullmatch(name)
        and len(name.encode()) <= 200
        and unicodedata.normalize("NFC", name) == name
    )


def _normal(name: object) -> str:
    """As names are kept: an accent may be given in the letter or behind it."""
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else ""


def check_voice_name(name: object) -> str:
    """``name`` where a voice may be called so: it becomes the name of a folder.

    Raises:
        OptionError: it may not.
    """
    normal = _normal(name)
    if _is_name(normal):
        return normal
    raise OptionError(
        f"{str(name)[:80]!r} is no name of a voice.",
        hint=f"Take letters, digits, spaces and _ . ' -, at most {_LONGEST}, first and last a letter or digit.",
        names=["name"],
    )


def check_consent(consent: object) -> str:
    """``consent`` where it says something.

    Raises:
        OptionError: it says nothing, or what no file can hold.
    """
    if isinstance(consent, str) and consent.strip() and len(consent) <= 1000:
        try:
            consent.encode()
        except UnicodeEncodeError as exc:
            raise OptionError(
                f"consent holds a lone surrogate at position {exc.start}, which is no character.",
                hint="Decode the bytes it came from with errors='replace'.",
                names=["consent"],
            ) from None
        return consent.strip()
    raise OptionError(
        "A voice is kept only with the consent of the person whose voice it is.",
        hint="Say in consent= who attests it and when, in at most 1000 characters.",
        names=["consent"],
    )


def voices_folder(engine: str) -> Path:
    """Where an engine's voices are kept unless a setting says otherwise: in the platform's folder for data."""
    from platformdirs import user_data_path

    return user_data_path("lollms", appauthor=False) / "voices" / engine
