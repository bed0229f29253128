"""What a check works with: the device, the models, and where it says what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpu import card
from gpu.findings import Figure
from gpu.models.store import Store


class Bench:
    """Given to each check.

    Attributes:
        device: "cuda" or "cpu".
        tiny: tiny models, a few steps: what shows that the checks work.
        models: folders of models.
        scratch: a folder for what else is written.
        figures, notes: what has been found.
    """

    def __init__(self, device: str, tiny: bool, models: Store, scratch: Path) -> None:
        self.device = device
        self.tiny = tiny
        self.models = models
        self.scratch = scratch
        self.figures: list[Figure] = []
        self.notes: list[str] = []

    @property
    def on_card(self) -> bool:
        """Whether there is a GPU to work on."""
        return self.device != "cpu"

    def size(self, full: int, tiny: int) -> int:
        """A number of steps, tokens, pixels or clients."""
        return tiny if self.tiny else full

    def settings(self, **more: Any) -> dict[str, Any]:
        """What each binding is given."""
        return {"device": self.device, "n_threads": 1 if self.tiny else 8, **more}

    def figure(self, what: str, value: float | None, unit: str, **more: Any) -> None:
        """See ``Figure``. What cannot be measured here is left out."""
        if value is not None:
            self.figures.append(Figure(what, value, unit, **more))

    def note(self, said: str) -> None:
        """Something to be told with the check."""
        self.notes.append(said)

    def peak(self) -> card.Peak:
        """The most memory that is taken inside the block."""
        return card.Peak(self.device)

    def used(self) -> int:
        """Bytes that are taken, looked at from outside."""
        return card.used(self.device)
