"""Secrets taken out of what is shown: a mask in the place of each."""

from __future__ import annotations

from collections.abc import Iterable

TYPE_CHECKING = False  # typing costs more to import than all that `import lollms_client` needs
if TYPE_CHECKING:
    from typing import Any

MASK = "**********"


def longest_first(secrets: Iterable[str]) -> list[str]:
    """The words to be masked, in the order in which ``masked`` takes them: another may be a part of the longest."""
    return sorted({word for word in secrets if word}, key=len, reverse=True)


def masked(value: Any, words: list[str]) -> Any:
    """``value`` without the words, also inside of lists, dicts and bytes."""
    if isinstance(value, str):
        for word in words:
            if word in value:
                value = value.replace(word, MASK)
        return value
    if isinstance(value, bytes):
        for word in words:
            value = value.replace(word.encode("utf-8", "surrogatepass"), MASK.encode())
        return value
    if isinstance(value, dict):
        return {masked(k, words): masked(v, words) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(masked(v, words) for v in value)
    return value
