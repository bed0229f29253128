"""Which model and which voice a request means."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple

from lollms_modalities import VoiceNotFoundError

from lollms_server.room.errors import ModelNotServed
from lollms_server.room.models import Chosen
from lollms_server.web.asked import Asked
from lollms_server.web.common import Meant, default_model, find

MARK = ":"  # between a model and its voice, in the id of a voice of another model than the default
_THEIR_MODELS = re.compile(r"(eleven|scribe|music)_[A-Za-z0-9_.]+")
_THEIR_VOICES = re.compile(r"[A-Za-z0-9]{20}")


class Speaker(NamedTuple):
    """Who speaks.

    Attributes:
        name: for the binding; None for its default voice.
        alias: what was asked for, where that is no name of a voice here.
    """

    model: Meant
    name: str | None
    alias: str | None


def model_of(asked: Asked, name: str | None, modality: str) -> Chosen:
    """The model of that name; one of ElevenLabs' own names, and none, are the default.

    Raises:
        ModelNotServed: nothing of that name is served.
    """
    if not name:
        return default_model(asked.room, modality, asked.caller)
    try:
        return find(asked, name, modality)
    except ModelNotServed:
        if not _THEIR_MODELS.fullmatch(name):
            raise
        return default_model(asked.room, modality, asked.caller)._replace(alias=name)


async def speaker_of(asked: Asked, voice: str, model_id: str | None, verb: str) -> Speaker:
    """Who speaks, by the id of the voice; ElevenLabs' own ids are the default voice.

    Raises:
        ModelNotServed, VoiceNotFoundError: there is nobody of that name.
    """
    chosen = model_of(asked, model_id, "tts")
    name: str | None = voice
    if not model_id or chosen.alias is not None:
        before, mark, after = voice.partition(MARK)
        with suppress(ModelNotServed):
            chosen, name = find(asked, before, "tts"), after if mark else None
    model = Meant(chosen, await asked.app.descriptions.of(chosen, asked.caller, verb))
    if name is None or name == chosen.served.name:
        return Speaker(model, None, None)
    if (own := asked.room.recorded.meant(chosen, name, asked.caller)) is not None:
        return Speaker(model, own.id, None)
    try:
        meant = await asked.room.voice(chosen, name)
    except VoiceNotFoundError:
        if not _THEIR_VOICES.fullmatch(name):
            raise
        return Speaker(model, None, name)
    return Speaker(model, meant.name, meant.alias)
