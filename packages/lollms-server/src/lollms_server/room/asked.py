"""What a surface asks for, and whether the binding that is meant can be asked for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from lollms_modalities import LollmsBinding, OptionError, Progress, UnsupportedError

from lollms_server.room.callers import Caller
from lollms_server.room.inputs import LISTS, check_arguments, check_listed
from lollms_server.room.models import Chosen
from lollms_server.room.recorded import RecordedVoices
from lollms_server.room.resident import Resident

Limit = float | None | Literal["model"]  # seconds that a call may take; "model" for those of its model


class Asked:
    """What a surface asks for: a verb with its arguments, and how it is to be treated."""

    def __init__(
        self, verb: str, args: tuple[Any, ...], options: dict[str, Any], stream: bool,
        progress: Callable[[Progress], object] | None = None, deadline: float | None = None,
        keep_alive: float | None = None, limit: Limit = "model", begun: Callable[[LollmsBinding], object] | None = None,
    ) -> None:  # fmt: skip
        for name, value in (("deadline", deadline), ("keep_alive", keep_alive)):
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise OptionError(f"{name}={value!r} is no number of seconds.", names=[name])
        self.verb = verb
        self.args = args
        self.options = options
        self.stream = stream
        self.progress = progress
        self.deadline = deadline
        self.keep_alive = keep_alive
        self.limit = limit
        self.begun = begun

    def seconds(self, of_model: float | None) -> float | None:
        """How long it may take in all; None for any time. ``of_model``: how long calls of the model may."""
        limits = (self.deadline, of_model if self.limit == "model" else self.limit)
        return min((seconds for seconds in limits if seconds is not None), default=None)

    async def check(
        self, resident: Resident, binding: LollmsBinding, chosen: Chosen, caller: Caller, recorded: RecordedVoices
    ) -> None:
        """Whether the verb is one of the binding's, and its arguments fit for a server.

        Raises:
            UnsupportedError: it has no such verb.
            OptionError: an argument that is missing, unknown, or not for those who ask over a server.
            VoiceNotFoundError, ModelNotFoundError: it is not in the binding's own list.
        """
        assert resident.description is not None
        verb = _verb(resident.description["verbs"], self.verb)
        if verb is None or not hasattr(binding, self.verb):
            raise UnsupportedError(
                f"{chosen.name} cannot do {self.verb!r:.60}.", hint="Its description lists its verbs."
            )
        if verb["stream"] != self.stream:
            gives = "a stream" if verb["stream"] else "one result"
            raise UnsupportedError(f"{self.verb!r} gives {gives}.", hint="Its description says which verbs give which.")
        described = {"options": resident.description["options"], **verb}
        if chosen.model is not None and takes_model(described):
            self.options["model"] = chosen.model
        check_arguments(described, self.args, self.options)
        given = {**dict(zip(verb["params"], self.args, strict=False)), **self.options}
        for kind, name in LISTS.items():
            value = given.get(kind)
            if value is not None and not isinstance(value, str) and kind not in verb["media"]:
                raise OptionError(f"{kind!r} is {type(value).__name__}, not a name.", names=[kind])
            if kind == "voice" and isinstance(value, str) and recorded.is_own(value, caller):
                continue
            if isinstance(value, str) and hasattr(binding, name) and value not in chosen.served.voices.values():
                if value not in resident.lists.get(kind, ()):
                    resident.lists[kind] = frozenset(await resident.aside(getattr(binding, name)))
                check_listed(kind, value, recorded.others(resident.lists[kind]))


def takes_model(verb: Mapping[str, Any]) -> bool:
    """Whether one call of a verb, with its options, can say which model is meant."""
    return "model" in verb["params"] or "model" in (verb.get("options") or {}).get("properties", {})


def _verb(verbs: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A verb of a binding's description, or what the core makes of one."""
    if name == "stream_encoded" and (spoken := verbs.get("stream_audio")) is not None:
        return {**spoken, "params": [*spoken["params"], "output_format"]}
    return verbs.get(name)
