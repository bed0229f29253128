"""What a binding can do, as data that is read without loading a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Capabilities:
    """What a binding can do.

    Attributes:
        streaming: its stream gives a first part before the whole is done.
        cloning: a voice may be a recording of somebody.
        keeps_voices: a recording can be kept as a voice, with ``add_voice``.
        languages: language tags it speaks or understands; empty where that is not known.
        output_formats: formats that the engine makes itself; the core converts to the others.
        timestamps: how fine its times are: "segment", "word".
        seed: a seed repeats a result.
        limits: numbers a caller should know, such as {"max_text": 4096}.
    """

    streaming: bool = False
    cloning: bool = False
    keeps_voices: bool = False
    languages: tuple[str, ...] = ()
    output_formats: tuple[str, ...] = ()
    timestamps: tuple[str, ...] = ()
    seed: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The capabilities as JSON values."""
        return asdict(self) | {"limits": dict(self.limits)}
