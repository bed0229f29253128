"""What the answers of servers say: the names that they tell of, and what an error means."""

from __future__ import annotations

from typing import Any

from lollms_modalities import ServiceError, ServiceResponseError

_STATES = {"active": 0, "current": 0, "default": 0, "available": 1, "installed": 1}
_NAMES = ("alias", "voice_id", "id", "name", "binding_name", "model_name")


def is_missing(error: ServiceError) -> bool:
    """Whether an error says that the server has no such endpoint."""
    return error.status in (404, 405, 501) or (isinstance(error, ServiceResponseError) and error.status is None)


def refuses(error: ServiceError, name: str) -> bool:
    """Whether an error says that the server does not take what is called so."""
    return error.status in (400, 422) and (name in error.message or name in (getattr(error, "param", None) or ""))


def names_in(told: Any) -> list[str]:
    """The names in what servers tell of models and voices: one, a list, a table by name, or rows that hold theirs.

    Of a table of what is active and what is available both, the active ones first.
    """
    if isinstance(told, str):
        return [told] if told else []
    if isinstance(told, dict):
        own = next((told[key] for key in _NAMES if isinstance(told.get(key), str)), None)
        if own:
            return [own]
        if told and told.keys() <= _STATES.keys():
            return names_in([told[state] for state in sorted(told, key=_STATES.__getitem__)])
        return [str(name) for name in told]
    if isinstance(told, list):
        return list(dict.fromkeys(name for row in told for name in names_in(row)))
    return []


def names_of(modality: str, told: Any) -> list[str]:
    """Of what a server tells of its bindings by modality, and perhaps by whether they are active, those of one."""
    if not isinstance(told, dict):
        return []
    if modality not in told and told and told.keys() <= _STATES.keys():
        told = {modality: {state: each.get(modality) for state, each in told.items() if isinstance(each, dict)}}
    return names_in(told.get(modality))
