"""New settings from old ones and a change, in either form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretBytes, SecretStr

from lollms_modalities.errors import SettingsError
from lollms_modalities.masking import MASK
from lollms_modalities.settings.checking import validate
from lollms_modalities.settings.forms import dump_public, dump_secrets
from lollms_modalities.settings.older import renamed
from lollms_modalities.settings.types import holds_secrets

if TYPE_CHECKING:
    from lollms_modalities.settings.checking import _M


def changed(settings: _M, update: Iterable[Mapping[str, Any]] | Mapping[str, Any], what: str) -> _M:
    """New settings with the update applied, which is a dict or the list form. A masked secret is left as it was.

    Raises:
        SettingsError: an unknown name, a wrong value, or a row of the list without a name and a value.
    """
    values = dict(update) if isinstance(update, Mapping) else dict(_rows(update, what))
    fields = type(settings).model_fields
    values = renamed(values, fields, what)
    public = dump_public(settings)
    for name, field in fields.items():
        if name in values:
            secret = holds_secrets(field)
            if secret and is_mask(values[name]):
                del values[name]
            else:
                values[name] = _restored(values[name], public[name], getattr(settings, name), name, secret)
    return validate(type(settings), {**dump_secrets(settings), **values}, SettingsError, what)


def is_mask(value: Any) -> bool:
    if isinstance(value, (SecretStr, SecretBytes)):
        value = value.get_secret_value()
    return value in (MASK, MASK.encode())


def _restored(new: Any, public: Any, old: Any, where: str, secret: bool) -> Any:
    """``new``, and the old value wherever it says what was shown of that: a mask, or bytes by their number.

    Of lists the places count, of dicts and nested models the names.

    Raises:
        SettingsError: a mask where there was no secret before.
    """
    if type(new) is type(public) and new == public:
        return old
    if secret and is_mask(new):
        if old is None:
            raise SettingsError(
                f"setting {where!r} is a masked secret, and there is none that it could stand for.",
                hint="Give the secret itself, or leave it out.",
            )
        return old
    if isinstance(new, (list, tuple)) and isinstance(old, (list, tuple)) and isinstance(public, (list, tuple)):
        before = [*zip(public, old, strict=False), *[(None, None)] * len(new)]
        return [_restored(value, *before[n], f"{where}.{n}", secret) for n, value in enumerate(new)]
    if isinstance(new, Mapping) and isinstance(public, Mapping):
        known = old if isinstance(old, Mapping) else getattr(old, "__dict__", {})
        return {k: _restored(v, public.get(k), known.get(k), f"{where}.{k}", secret) for k, v in new.items()}
    if secret and isinstance(new, (list, tuple)):
        return [_restored(value, None, None, f"{where}.{n}", secret) for n, value in enumerate(new)]
    if secret and isinstance(new, Mapping):
        return {k: _restored(v, None, None, f"{where}.{k}", secret) for k, v in new.items()}
    return new


def _rows(rows: Iterable[Mapping[str, Any]], what: str) -> Iterable[tuple[str, Any]]:
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        raise SettingsError(
            f"{what} was given settings as {type(rows).__name__}.", hint="Give a dict, or the list from get_settings()."
        )
    for row in rows:
        if not isinstance(row, Mapping) or "name" not in row or "value" not in row:
            raise SettingsError(
                f"{what} was given a settings row without a name and a value.",
                hint="Each row is {'name': ..., 'value': ...}, as get_settings() gives them.",
            )
        yield str(row["name"]), row["value"]


def differing(old: BaseModel, new: BaseModel) -> set[str]:
    """Names of the fields whose values differ."""
    return {name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)}
