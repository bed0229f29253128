"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "admin", "anonymous"]


@dataclass(frozen=True)
class Caller:
    """Who asks, as ``Room.authenticate`` found out.

    Attributes:
        key_name: name of the key, None without one.
        role: "anonymous" is whoever comes without a key where none is needed.
        address: where from, without the port; "terminal" for the Unix socket.
        models: names of the models that the key is for; None for all.
        at_once: how many calls it may have under way, waiting ones too; None for any number.
        engine_seconds: how many seconds of engines it may use in a UTC day; None for any number.
        since: when its key was made; "" without one.
    """

    key_name: str | None
    role: Role
    address: str
    models: frozenset[str] | None = None
    at_once: int | None = None
    engine_seconds: float | None = None
    since: str = ""

    @property
    def who(self) -> str:
        """What fairness, limits and ownership go by: the key, or else the address."""
        if self.key_name is None:
            return self.address if self.address == "terminal" else f"address {self.address}"
        return f"key {self.key_name}"

    @property
    def is_admin(self) -> bool:
        """Whether it may load, unload, change settings, see and cancel everybody's calls."""
        return self.role == "admin"

    def allowed(self, model: str) -> bool:
        """Whether the served model of that name is for it."""
        return self.models is None or self.is_admin or model in self.models


TERMINAL = Caller(None, "admin", "terminal")
