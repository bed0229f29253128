"""Which model writes down, and with which of its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities import LollmsError

from lollms_server.room.callers import Caller
from lollms_server.room.models import Chosen
from lollms_server.web import errors
from lollms_server.web.common import find_for
from lollms_server.web.errors import Refused
from lollms_server.web.realtime.setting import TRANSCRIPTION, Transcription

if TYPE_CHECKING:
    from lollms_server.web.app import App
    from lollms_server.web.guard import Headers

VERB = "transcribe_live"
_FIELDS = {"initial_prompt": "prompt", "hotwords": "keywords"}  # which the surface calls otherwise


class Wanted(NamedTuple):
    """A model and its options.

    Attributes:
        told: what is told of it: the names that the client knows, without those that the model cannot be told.
    """

    chosen: Chosen
    options: dict[str, Any]
    told: Mapping[str, Any]


async def wanted_of(app: App, caller: Caller, headers: Headers, said: Transcription) -> Wanted:
    """What a client wants, looked at as far as that can be before there is sound.

    Raises:
        Refused: what is wrong, and which field.
    """
    try:
        chosen = find_for(app.room, caller, headers, said.model, "stt")
        known = await app.descriptions.of(chosen, caller, VERB)
        own = known.checked(said.options, also=Transcription.model_fields, what=chosen.name, strict=True)
        language = said.language or (said.languages[0] if said.languages and len(said.languages) == 1 else None)
        prompt = "initial_prompt" if known.has("initial_prompt") else "prompt"
        hints = {"language": language, prompt: said.prompt, "hotwords": " ".join(said.keywords or ()) or None}
        hints = {name: value for name, value in hints.items() if value is not None and known.has(name)}
        options = hints | own
        await app.room.check(chosen, caller, VERB, iter(()), **options)
    except LollmsError as exc:
        told = errors.told(exc)
        error = told.body["error"]
        field = _FIELDS.get(error["param"] or "", error["param"])
        raise Refused(
            error["message"], status=told.status, code=error["code"],
            param=TRANSCRIPTION if field is None else f"{TRANSCRIPTION}.{field}",
        ) from None  # fmt: skip
    return Wanted(chosen, options, {"model": chosen.name, "language": language if "language" in hints else None,
                                    "prompt": hints.get(prompt), **own})  # fmt: skip
