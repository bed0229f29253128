"""What is served: models by name, found by name, alias or default."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from lollms_server.room.callers import Caller
from lollms_server.room.errors import ModelNotServed

MODALITIES = ("tts", "stt", "tti", "ttm", "ttv")
# OpenAI's names, which programs written for it ask for: the default of the modality answers.
OPENAI_MODELS: Mapping[str, tuple[str, ...]] = {
    "tts": ("tts-1", "tts-1-*", "gpt-4o*-tts", "gpt-4o*-tts-*"),
    "stt": (
        "whisper-1", "gpt-4o*-transcribe", "gpt-4o*-transcribe-*", "gpt-transcribe", "gpt-live-transcribe",
        "gpt-realtime-whisper",
    ),
    "tti": ("gpt-image-*", "chatgpt-image-*", "dall-e-2", "dall-e-3"),
    "ttv": ("sora-*",),
}  # fmt: skip
OPENAI_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class ServedModel:
    """One binding with its settings, as it is served.

    Attributes:
        name: by which it is asked for; one modality has it once.
        modality: "tts", "stt", "tti", "ttm" or "ttv".
        binding: as ``create_binding`` takes it.
        aliases: other names of it.
        settings: which the binding is made with.
        environment, place: where it runs; None for where the manager finds it.
        isolated: whether it runs in another process than the server; an environment always does.
        pool, wait_target, idle_timeout: how many such processes there may be, as of ``WorkerPolicy``.
        keep_alive: seconds after its last call at which it is unloaded; None for never.
        preload: whether it is loaded when the server starts.
        max_queue: how many calls may wait for it.
        timeout: seconds that a call may take in all; None for any time.
        voices: other names of its voices.
        variables: names of environment variables that hold secrets and that its workers get nevertheless.
    """

    name: str
    modality: str
    binding: str
    aliases: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: str | None = None
    place: str | Mapping[str, Any] | None = None
    isolated: bool = True
    pool: int | tuple[int, int] = 1
    wait_target: float = 1.0
    idle_timeout: float | None = None
    keep_alive: float | None = 300.0
    preload: bool = False
    max_queue: int = 64
    timeout: float | None = 600.0
    voices: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """How many processes there may be at once."""
        return self.pool if isinstance(self.pool, int) else self.pool[1]

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by inside."""
        return (self.modality, self.name)


class Chosen(NamedTuple):
    """What a name means.

    Attributes:
        served: the model.
        model: which of its binding's models, where the name says that (``faster_whisper/tiny.en``); else None.
        alias: the name that was asked for, where it is no name of the model's own (``whisper-1``); else None. To be
            told in a header.
    """

    served: ServedModel
    model: str | None = None
    alias: str | None = None

    @property
    def name(self) -> str:
        """As it is asked for without an alias."""
        return self.served.name if self.model is None else f"{self.served.name}/{self.model}"


class Catalogue:
    """The served models.

    Args:
        served: all of them.
        defaults: the name of each modality's default; where none is given, its first.
        aliases: other names, and what they mean: a model's name, or that and one of its binding's models.
    """

    def __init__(
        self, served: Iterable[ServedModel], defaults: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.served = {model.key: model for model in served}
        self._aliases = dict(aliases or {})
        self._defaults: dict[str, ServedModel] = {}
        for model in self.served.values():
            if (defaults or {}).get(model.modality, model.name) == model.name:
                self._defaults.setdefault(model.modality, model)

    def models(self, caller: Caller) -> list[ServedModel]:
        """Those that are for this caller."""
        return [model for model in self.served.values() if caller.allowed(model.name)]

    def default(self, modality: str) -> ServedModel | None:
        """The one that is meant where none is named."""
        return self._defaults.get(modality)

    def find(self, name: str | None, modality: str, caller: Caller) -> Chosen:
        """What a name means; None and "" are the default.

        Raises:
            ModelNotServed: nothing of that name is served to this caller.
        """
        chosen = self._find(name, modality)
        if chosen is not None and caller.allowed(chosen.served.name):
            return chosen
        known = [model.name for model in self.models(caller) if model.modality == modality]
        if not name:
            raise ModelNotServed(f"There is no default {modality} model for you here.", hint=_listed(known))
        raise ModelNotServed(f"There is no {modality} model {name!r:.100} here.", hint=_near(name, known))

    def _find(self, name: str | None, modality: str) -> Chosen | None:
        default = self._defaults.get(modality)
        if not name:
            return Chosen(default) if default is not None else None
        if (own := self._own(name, modality)) is not None:
            return own
        if (meant := self._aliases.get(name)) is not None and (own := self._own(meant, modality)) is not None:
            return own._replace(alias=name)
        for model in self.served.values():
            if model.modality == modality and name in model.aliases:
                return Chosen(model, None, name)
        if default is not None and any(fnmatchcase(name, known) for known in OPENAI_MODELS.get(modality, ())):
            return Chosen(default, None, name)
        return None

    def _own(self, name: str, modality: str) -> Chosen | None:
        first, slash, rest = name.partition("/")
        model = self.served.get((modality, first))
        return None if model is None or (slash and not rest) else Chosen(model, rest or None)


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.partition("/")[0], known, 1, 0.5)
    return f"Did you mean {near[0]!r}?" if near else _listed(known)


def _listed(known: list[str]) -> str:
    return f"There are: {', '.join(sorted(known))}." if known else "None is served to you."
