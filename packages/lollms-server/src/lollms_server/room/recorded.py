"""Voices that callers have registered: each is its caller's alone.

The binding keeps the recording under an id of ours, which says nothing; whose it is, and what they call it, is kept
here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from lollms_modalities import (
    ConfigurationError,
    LollmsBinding,
    LollmsError,
    LollmsTTSBinding,
    OptionError,
    UnsupportedError,
    VoiceExistsError,
    VoiceNotFoundError,
)
from pydantic import BaseModel, ConfigDict, ValidationError

from lollms_server.room.callers import Caller
from lollms_server.room.keys import Key, read_private, write_private
from lollms_server.room.log import log_act
from lollms_server.room.models import Chosen

_log = logging.getLogger(__name__)
_LONGEST = 64  # characters of a name


class RecordedVoice(BaseModel):
    """One of them.

    Attributes:
        id: as the binding and the surfaces know it.
        name: as its owner calls it.
        model: the served model that keeps it.
        owner: who registered it: ``Caller.who``; "" where that is nobody any more.
        created: Unix time in seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    model: str
    owner: str
    created: float

    def is_for(self, caller: Caller) -> bool:
        """Whether the caller may know of it."""
        return caller.is_admin or caller.who == self.owner


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    voices: tuple[RecordedVoice, ...] = ()


class RecordedVoices:
    """All of them, in one file of mode 0600.

    Args:
        path: the file.
        look: asks the binding of a model something that is no call.

    Raises:
        ConfigurationError: the file is damaged.
    """

    def __init__(self, path: Path, look: Callable[[Chosen, Callable[[LollmsBinding], Any]], Awaitable[Any]]) -> None:
        self._path = path
        self._look = look
        try:
            voices = _File.model_validate_json(read_private(path)[0]).voices
        except FileNotFoundError:
            voices = ()
        except (OSError, ValidationError) as exc:
            raise ConfigurationError(
                f"The registered voices in {path} cannot be read: {exc!s:.200}.", hint="Mend the file."
            ) from None
        self._voices = {voice.id: voice for voice in voices}

    def others(self, names: Iterable[str]) -> list[str]:
        """Those names that are of no registered voice."""
        return [name for name in names if name not in self._voices]

    def is_own(self, voice_id: str, caller: Caller) -> bool:
        """Whether that is a registered voice which is for this caller."""
        voice = self._voices.get(voice_id)
        return voice is not None and voice.is_for(caller)

    def meant(self, chosen: Chosen, name: str, caller: Caller) -> RecordedVoice | None:
        """The caller's own voice of that id, or that it calls so."""
        model = chosen.served.name
        if self.is_own(name, caller) and self._voices[name].model == model:
            return self._voices[name]
        return next((v for v in self._voices.values() if (v.model, v.name, v.owner) == (model, name, caller.who)), None)

    def names(self, chosen: Chosen, caller: Caller) -> list[str]:
        """What the caller calls those that it has registered with a model."""
        model = chosen.served.name
        return [voice.name for voice in self._voices.values() if (voice.model, voice.owner) == (model, caller.who)]

    async def rows(self, chosen: Chosen, caller: Caller) -> list[dict[str, Any]]:
        """What is known of the voices of a model that are for this caller: rows of ``describe_voices`` without the path
        of a sample; with ``id``, which is what is asked for, and ``own``, whether it was registered."""
        found = []
        for row in await self._look(chosen, _described):
            voice = self._voices.get(row["name"])
            if voice is None or voice.is_for(caller):
                shown = row["name"] if voice is None else voice.name
                found.append({**row, "id": row["name"], "name": shown, "own": voice is not None})
        return found

    async def add(
        self, chosen: Chosen, caller: Caller, name: str, recording: Path | bytes, consent: str
    ) -> RecordedVoice:
        """Register a recording as a voice, which is this caller's alone.

        Args:
            name: what the caller calls it.
            recording: an upload; the binding copies it.
            consent: who attests that the person agrees.

        Raises:
            UnsupportedError: the model's binding keeps no voices.
            VoiceExistsError: the caller has one of that name.
            OptionError, MediaError: as of ``add_voice`` of a binding.
        """
        if not 1 <= len(name) <= _LONGEST or not name.isprintable():
            raise OptionError(
                f"The name of a voice is text of 1 to {_LONGEST} characters on one line.", names=["name"]
            )  # fmt: skip
        if self.meant(chosen, name, caller) is not None:
            raise VoiceExistsError(f"There is a voice {name!r:.80} of yours.", hint="Remove it first.")
        voice = RecordedVoice(
            id=f"voice_{secrets.token_hex(12)}", name=name, model=chosen.served.name, owner=caller.who,
            created=time.time(),
        )  # fmt: skip
        self._voices[voice.id] = voice  # nobody else's, from the moment at which the binding lists it
        try:
            await self._look(chosen, lambda binding: _speech(binding).add_voice(voice.id, recording, consent))
        except BaseException:
            del self._voices[voice.id]
            raise
        await asyncio.to_thread(self._write)
        return voice

    async def remove(self, voice_id: str, caller: Caller, find: Callable[[str], Chosen]) -> None:
        """Remove a voice that was registered, and what was kept of it.

        Raises:
            VoiceNotFoundError: there is none of that id, or it is another's.
        """
        voice = self._voices.get(voice_id)
        if voice is None or not voice.is_for(caller):
            raise VoiceNotFoundError(f"There is no registered voice {voice_id!r:.80}.")
        if voice.owner != caller.who:
            log_act(caller.who, "remove_voice", voice=voice.id)
        with suppress(VoiceNotFoundError):  # it was removed by hand
            await self._look(find(voice.model), partial(_removed, voice=voice.id))
        self._voices.pop(voice.id, None)
        await asyncio.to_thread(self._write)

    def disown(self, keys: Iterable[Key]) -> bool:
        """From now on voices of keys that are no more are nobody's: not of a later key of the same name either. Whether
        there are such, which ``remove_orphans`` is to remove."""
        since = {f"key {key.name}": key.since for key in keys}
        for voice in list(self._voices.values()):
            made = since.get(voice.owner)
            if voice.owner.startswith("key ") and (made is None or made > voice.created):
                self._voices[voice.id] = voice.model_copy(update={"owner": ""})
        return any(not voice.owner for voice in self._voices.values())

    async def remove_orphans(self, find: Callable[[str], Chosen]) -> None:
        """Remove nobody's voices, and what was kept of them. What cannot be removed now is tried the next time."""
        for voice in [voice for voice in self._voices.values() if not voice.owner]:
            try:
                with suppress(VoiceNotFoundError):
                    await self._look(find(voice.model), partial(_removed, voice=voice.id))
            except LollmsError as exc:
                _log.error("%s, a voice of a key that is no more, could not be removed: %s", voice.id, exc)
            else:
                self._voices.pop(voice.id, None)
        await asyncio.to_thread(self._write)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._path, _File(voices=tuple(self._voices.values())).model_dump())


def _speech(binding: LollmsBinding) -> LollmsTTSBinding:
    if not isinstance(binding, LollmsTTSBinding):
        raise UnsupportedError(f"{binding.binding_name} speaks not, and keeps no voices.")
    return binding


def _removed(binding: LollmsBinding, voice: str) -> None:
    _speech(binding).remove_voice(voice)


def _described(binding: LollmsBinding) -> list[dict[str, Any]]:
    """What the binding tells of its voices, but for where a sample lies."""
    return [
        {name: value for name, value in row.items() if name != "sample"} for row in _speech(binding).describe_voices()
    ]
