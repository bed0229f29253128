"""One job, as the table has it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import RowMapping

State = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
ENDED = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        id: which tells nothing and cannot be guessed: 128 random bits behind its kind.
        number: by which jobs are in order.
        kind: of which surface it is: "video", "music", "call", "image".
        owner: whose it is; others are told that there is none.
        modality, model, verb: what is called.
        state: it is queued, in progress, or has ended in one of three ways.
        done: from 0 to 1; ``progress`` is the engine's last report, as JSON values.
        request: what the verb is given; the most of it is deleted when the job ends.
        shown: what the surface tells of it, such as its prompt.
        result: what came of it: ``files`` and a ``value``; ``error``: why nothing did.
        size: bytes of its uploads and results.
        created, taken, ended, expires: seconds since 1970.
        token: of whoever runs it: who has another one has lost it.
    """

    id: str
    number: int
    kind: str
    owner: str
    modality: str
    model: str
    verb: str
    state: State
    done: float
    progress: dict[str, Any] | None
    request: dict[str, Any] = field(repr=False)
    shown: dict[str, Any] = field(repr=False)
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    size: int
    created: float
    taken: float | None
    ended: float | None
    expires: float | None
    token: str | None = field(repr=False)
    asked: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, row: RowMapping) -> Job:
        """Of a row of the table."""
        values = {name: row[name] for name in cls.__dataclass_fields__}
        for name in ("progress", "request", "shown", "result", "error"):
            values[name] = None if values[name] is None else json.loads(values[name])
        return cls(**values)

    @property
    def has_ended(self) -> bool:
        """Whether nothing changes any more."""
        return self.state in ENDED

    @property
    def files(self) -> list[dict[str, Any]]:
        """What can be fetched of it: ``name``, ``mime_type`` and ``size`` of each."""
        return list((self.result or {}).get("files", ()))
