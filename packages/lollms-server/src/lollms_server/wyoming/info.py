"""What is told of the models: the answer to ``describe``.

Each transcription model is a program of its own, the default one first, since Home Assistant asks the first. All voices
are in one program: those of the default model by their names, others as MODEL/VOICE.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lollms_modalities.kit import WHISPER_LANGUAGES

import lollms_server
from lollms_server.room.callers import Caller
from lollms_server.room.models import Chosen, ServedModel
from lollms_server.room.room import Room
from lollms_server.web.common import default_model

PROGRAM = "lollms"  # which speaks
_URL = "https://github.com/ParisNeo/lollms_client"
_UNKNOWN = ("en",)  # Home Assistant shows no voice that is of no language
_log = logging.getLogger(__name__)


class Described(NamedTuple):
    """What is known of a model; ``streams``: whether it tells the beginning before it has heard the end."""

    chosen: Chosen
    program: dict[str, Any]
    streams: bool


class Directory:
    """The models of some modalities, as ``info`` has them; asked for beforehand, since that may take seconds.

    Args:
        live: whether transcription models listen while somebody speaks.
    """

    def __init__(self, room: Room, *, live: bool) -> None:
        self._room = room
        self._live = live
        self._known: dict[tuple[str, str], tuple[ServedModel, Described]] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def look(self, caller: Caller, modalities: Iterable[str]) -> list[asyncio.Task[None]]:
        """Begin to find out what is not known, or may have changed."""
        wanted = set(modalities)
        for model in self._room.models(caller):
            if model.modality in wanted and (model.key not in self._tasks or self._tasks[model.key].done()):
                self._tasks[model.key] = asyncio.create_task(self._look(model, caller))
        return [task for task in self._tasks.values() if not task.done()]

    async def info(self, caller: Caller, modalities: Iterable[str]) -> dict[str, Any]:
        """The data of the event ``info``. What has been found before is told at once, and looked at again."""
        wanted = set(modalities)
        models = [m for m in self._room.models(caller) if m.modality in wanted]
        tasks = self.look(caller, wanted)
        if tasks and any(self._of(model) is None for model in models):
            await asyncio.wait(tasks)
        found = {kind: self._found(models, kind, caller) for kind in ("stt", "tts")}
        return {
            "asr": [each.program for each in found["stt"]],
            "tts": [self._speaking(found["tts"])] if found["tts"] else [],
            "handle": [], "intent": [], "wake": [], "mic": [], "snd": [],
        }  # fmt: skip

    async def streams(self, chosen: Chosen, caller: Caller) -> bool:
        """Whether a transcription model tells the beginning before it has heard the end."""
        if (known := self._of(chosen.served)) is None:
            self.look(caller, ("stt",))
            if (task := self._tasks.get(chosen.served.key)) is not None:
                await asyncio.wait((task,))
            known = self._of(chosen.served)
        return known is not None and known.streams

    async def voice_of(self, caller: Caller, language: str) -> str | None:
        """The first voice of that language, by the name that ``info`` has; None where there is none."""
        programs = (await self.info(caller, ("tts",)))["tts"]
        voices = programs[0]["voices"] if programs else []
        wanted = _tag(language)
        for told in (wanted, wanted.partition("-")[0]):  # of that country, else of that language
            for voice in voices:
                if any(told in (_tag(known), _tag(known).partition("-")[0]) for known in voice["languages"]):
                    return str(voice["name"])
        return None

    def close(self) -> None:
        """Look no longer."""
        for task in self._tasks.values():
            task.cancel()

    def _of(self, model: ServedModel) -> Described | None:
        served, described = self._known.get(model.key, (None, None))
        return described if served is model else None

    def _found(self, models: Iterable[ServedModel], modality: str, caller: Caller) -> list[Described]:
        """Those of one modality, the default first."""
        found = [each for model in models if model.modality == modality and (each := self._of(model)) is not None]
        if found:
            default = default_model(self._room, modality, caller).served.key
            found.sort(key=lambda each: each.chosen.served.key != default)
        return found

    async def _look(self, model: ServedModel, caller: Caller) -> None:
        try:
            chosen = self._room.find(model.name, model.modality, caller)
            told = await self._room.describe(chosen, caller)
            if model.modality == "stt":
                program = _hearing(model.name, told, live=self._live)
            else:
                rows = await self._room.recorded.rows(chosen, caller)
                program = _program(model.name, told) | {"voices": list(_voices(model, told, rows))}
            self._known[model.key] = (model, Described(chosen, program, bool(told["capabilities"]["streaming"])))
        except Exception as exc:  # one that cannot be asked hides no other
            _log.warning("Wyoming does not tell of %s: %s", model.name, exc)

    def _speaking(self, found: list[Described]) -> dict[str, Any]:
        """One program with all voices."""
        voices = []
        for number, each in enumerate(found):
            name = each.chosen.served.name
            for voice in each.program["voices"]:
                full = voice["name"] if not number else f"{name}/{voice['name']}" if voice["name"] else name
                shown = voice["description"] if not number else f"{voice['description']} ({name})"
                voices.append(voice | {"name": full or name, "description": shown})
        first = found[0].program
        return {**first, "name": PROGRAM if len(found) > 1 else first["name"], "voices": voices,
                "supports_synthesize_streaming": True}  # fmt: skip


def _program(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "description": told["description"] or name,
        "attribution": _attribution(told),
        "installed": True,
        "version": lollms_server.__version__,
    }


def _hearing(name: str, told: Mapping[str, Any], *, live: bool) -> dict[str, Any]:
    model = _program(name, told) | {"version": told["engine_version"] or None, "languages": _languages(told)}
    return _program(name, told) | {
        "models": [model],
        "supports_transcript_streaming": live and bool(told["capabilities"]["streaming"]),
        "requires_external_vad": True,
        "prefers_auto_gain_enabled": True,
        "prefers_noise_reduction_enabled": True,
    }


def _voices(model: ServedModel, told: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """The voices, those of the default one first. A model that lists none speaks with one that has no name."""
    rows = sorted(rows, key=lambda row: not row.get("default"))
    languages = {row["id"]: row.get("language") for row in rows}
    named = [(row["id"], row["name"], row.get("language")) for row in rows]
    named += [(alias, alias, languages.get(voice)) for alias, voice in model.voices.items() if alias not in languages]
    for name, shown, language in named or [("", model.name, None)]:
        yield {
            "name": name,
            "description": shown,
            "attribution": _attribution(told),
            "installed": True,
            "version": told["engine_version"] or None,
            "languages": [language] if language else _languages(told),
            "speakers": None,
        }


def _attribution(told: Mapping[str, Any]) -> dict[str, str]:
    return {"name": told["engine"] or told["binding"], "url": _URL}


def _languages(told: Mapping[str, Any]) -> list[str]:
    known = told["capabilities"]["languages"]
    if not known and "language" in told["options_schema"].get("properties", {}) and told["modality"] == "stt":
        known = (
            WHISPER_LANGUAGES  # Home Assistant offers no other than these, and the model refuses what it does not know
        )
    return sorted(known or _UNKNOWN)


def _tag(language: str) -> str:
    return language.replace("_", "-").lower()
