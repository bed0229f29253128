"""What is remembered of each caller between two requests: which model it has chosen, and what it has drawn now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lollms_modalities import Progress

_MOST = 1000  # callers whose choice is remembered


@dataclass
class Drawing:
    """One request under way: its id, the images that it makes, and how far the engine said that it is."""

    id: str
    images: int
    progress: Progress | None = None

    def told(self, progress: Progress) -> None:
        """Take what the engine says. What it has shown stays until it shows more."""
        if progress.preview is None and self.progress is not None:
            progress = progress._replace(preview=self.progress.preview)
        self.progress = progress


class Desk:
    """The choices and drawings of all callers, by their owner's name."""

    def __init__(self) -> None:
        self._chosen: OrderedDict[str, str] = OrderedDict()
        self._drawings: dict[str, list[Drawing]] = {}

    def chosen(self, owner: str) -> str | None:
        """The name of the model that it has chosen."""
        return self._chosen.get(owner)

    def choose(self, owner: str, model: str) -> None:
        """Remember its choice; of those that chose longest ago nothing is remembered."""
        self._chosen[owner] = model
        self._chosen.move_to_end(owner)
        while len(self._chosen) > _MOST:
            self._chosen.popitem(last=False)

    @contextmanager
    def drawing(self, owner: str, request_id: str, images: int) -> Iterator[Drawing]:
        """One more under way, until the block ends."""
        drawing = Drawing(request_id, images)
        self._drawings.setdefault(owner, []).append(drawing)
        try:
            yield drawing
        finally:
            self._drawings[owner].remove(drawing)
            if not self._drawings[owner]:
                del self._drawings[owner]

    def drawings(self, owner: str) -> list[Drawing]:
        """Those that are under way, the oldest first."""
        return list(self._drawings.get(owner, ()))
