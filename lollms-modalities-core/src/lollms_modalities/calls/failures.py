"""Exceptions of engines, which are not ours: what they say, and what they say with the secrets masked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lollms_modalities.errors import LollmsError
from lollms_modalities.masking import longest_first, masked


def said(exc: BaseException) -> str:
    """The kind of an exception and what it says, also where saying it fails."""
    name = type(exc).__name__
    try:
        return f"{name}: {exc}"
    except Exception as failure:
        return f"{name}, whose text cannot be had ({type(failure).__name__})"


def without_secrets(error: BaseException, secrets: Iterable[str]) -> BaseException:
    """``error``, with these words masked in all that a logged traceback shows of it and of what it was raised from.

    One that shows them all the same is replaced, in its chain or, as what is returned, itself.
    """
    words = longest_first(secrets)
    if not words:
        return error
    found: list[BaseException] = []
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is not None and not any(one is other for other in found):
            found.append(one)
            rest += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    hidden: dict[int, BaseException] = {}
    for one in reversed(found):  # those of a group before the group
        hidden[id(one)] = _hidden(_regrouped(one, hidden), words)
    for one in found:
        suppressed = one.__suppress_context__
        if one.__cause__ is not None and hidden[id(one.__cause__)] is not one.__cause__:
            one.__cause__ = hidden[id(one.__cause__)]
        if one.__context__ is not None and hidden[id(one.__context__)] is not one.__context__:
            one.__context__ = hidden[id(one.__context__)]
        one.__suppress_context__ = suppressed
    return hidden[id(error)]


def _regrouped(error: BaseException, hidden: Mapping[int, BaseException]) -> BaseException:
    """A group with what has taken the place of some of its exceptions; others as they are."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    parts = [hidden.get(id(one), one) for one in error.exceptions]
    if all(part is one for part, one in zip(parts, error.exceptions, strict=True)):
        return error
    group = BaseExceptionGroup(error.message, parts).with_traceback(error.__traceback__)
    for note in getattr(error, "__notes__", ()):
        group.add_note(note)
    return group


def _hidden(error: BaseException, words: list[str]) -> BaseException:
    if isinstance(error, LollmsError):
        return error.hide(words)

    def shows() -> bool:
        text = "\n".join([said(error), *map(str, getattr(error, "__notes__", ()))])
        return bool(masked(text, words) != text)

    # What an exception keeps but does not say is left alone: it may be of use to who catches it.
    if not shows() and not any(masked(arg, words) != arg for arg in error.args):
        return error
    error.args = tuple(masked(arg, words) for arg in error.args)
    for name, value in list(getattr(error, "__dict__", {}).items()):
        error.__dict__[name] = masked(value, words)
    if shows():
        return RuntimeError(masked(said(error), words)).with_traceback(error.__traceback__)
    return error
