"""Values checked by a model, with errors that say what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lollms_modalities.errors import LollmsError, SettingsError
from lollms_modalities.settings.older import DROPPED, OF_CALLS
from lollms_modalities.settings.shown import texts_in
from lollms_modalities.settings.told import as_told, loose_fields
from lollms_modalities.settings.types import holds_secrets

_M = TypeVar("_M", bound=BaseModel)


def validate(model: type[_M], values: Mapping[str, Any], error: type[LollmsError], what: str) -> _M:
    """``model(**values)``, with pydantic's complaint as one typed error that names the near miss of an unknown name.

    What is in fields that take anything is as a binding in another process would get it.
    """
    try:
        made = model.model_validate(dict(values))
    except ValidationError as exc:
        secrets = [t for n, f in model.model_fields.items() if holds_secrets(f) for t in texts_in(values.get(n))]
        # A word of a letter or two says nothing, and masked it would spoil the rest.
        raise _explain(exc, model, error, what).hide(t for t in secrets if len(t) > 3) from None
    for name in loose_fields(model):
        try:
            made.__dict__[name] = as_told(made.__dict__[name])
        except RecursionError:
            raise error(f"{name!r} of {what} holds itself, or is nested too deeply.", names=[name]) from None
    return made


def _explain(exc: ValidationError, model: type[BaseModel], error: type[LollmsError], what: str) -> LollmsError:
    noun = "setting" if issubclass(error, SettingsError) else "option"
    known = sorted(model.model_fields)
    lines: list[str] = []
    hint = ""
    for item in exc.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"]) or noun
        if item["type"] == "extra_forbidden":
            lines.append(f"{what} has no {noun} {name!r}.")
            hint = near_miss(name, known, f"{noun}s")
        elif item["type"] == "missing":
            lines.append(f"{what} needs the {noun} {name!r}.")
        else:
            lines.append(f"{noun} {name!r} of {what}: {item['msg']}{_shown(model, item)}.")
            if isinstance(cause := item.get("ctx", {}).get("error"), LollmsError):
                hint = cause.hint
    return error(" ".join(lines), hint=hint, names=[str(i["loc"][0]) for i in exc.errors() if i["loc"]])


def _shown(model: type[BaseModel], item: Mapping[str, Any]) -> str:
    field = model.model_fields.get(str(item["loc"][0])) if item["loc"] else None
    if field is None or holds_secrets(field):
        return ""
    shown = repr(item["input"])
    return f" (got {shown if len(shown) <= 80 else shown[:77] + '...'})"


def near_miss(name: str, known: Iterable[str], noun: str) -> str:
    """What to do about an unknown name: the nearest known one, else all of them; or what takes 1.x's place."""
    if noun == "options" and name in OF_CALLS:
        return OF_CALLS[name]
    known = list(known)
    if noun == "settings" and name in DROPPED:
        return f"Of {name!r}, which lollms-client 1.x had: {DROPPED[name].instead}."
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Its {noun} are: {', '.join(known)}." if known else f"It has no {noun}."
