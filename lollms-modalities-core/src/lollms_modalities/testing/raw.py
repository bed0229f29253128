"""What an engine gives, before the core makes possible what is not: times in order, inside the recording, plain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lollms_modalities.media import segments as segments_module


@contextmanager
def engines_segments() -> Iterator[list[Any]]:
    """The segments that the binding of this process gives meanwhile, before the core makes possible what is not."""
    tidied = segments_module.tidied
    given: list[Any] = []

    def seen(segments: Iterable[Any], *rest: Any) -> Any:
        kept = list(segments)
        given.extend(kept)
        return tidied(kept, *rest)

    segments_module.tidied = seen  # type: ignore[assignment]
    try:
        yield given
    finally:
        segments_module.tidied = tidied
