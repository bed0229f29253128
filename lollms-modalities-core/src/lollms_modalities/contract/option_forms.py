"""What one call may vary, as the rows that forms are made of."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import OptionError
from lollms_modalities.settings.base import CallOptions
from lollms_modalities.settings.checking import near_miss
from lollms_modalities.settings.fields import Height, Width, WordTimes, option
from lollms_modalities.settings.forms import dump_public, field_kind, rows_of
from lollms_modalities.settings.shown import shown

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding


class Documented(CallOptions):
    """The arguments of the documented signatures that are no options of the binding."""

    voice: str | None = option(None, description="Name of a voice, or what the binding takes for one.", kind="plain")
    model: str | None = option(None, description="Name of a model, or what the binding takes for one.", kind="plain")
    negative_prompt: str = option("", description="What not to show.")
    width: Width = 512
    height: Height = 512


class Common(CallOptions):
    """The options that the core sees to, for bindings that have none of the name."""

    timestamps: WordTimes = "none"


# Settings of which the kind is that of the argument.
_LIKE = {"voice": ("default_voice",), "model": ("default_model", "model_name", "model_path")}


def option_rows(binding: LollmsBinding, verb: str) -> list[dict[str, Any]]:
    """The rows of ``LollmsBinding.get_options``."""
    verbs = binding.verbs()
    spec = verbs.get(verb or next(iter(verbs), ""))
    if spec is None:
        raise OptionError(
            f"{binding.binding_name} has no verb {verb!r}.", hint=near_miss(verb, verbs, "verbs"), names=["verb"]
        )
    options = spec.options or binding.options_class()
    fields = options.model_fields
    parameters = inspect.signature(inspect.unwrap(getattr(type(binding), spec.name))).parameters
    rows = []
    for row in rows_of(Documented, {}):
        name = row["name"]
        if name in spec.params[1:] and name not in fields:
            default = parameters[name].default if name in parameters else row["default"]
            rows.append(row | {"default": shown(default), "nullable": default is None, "kind": _kind(binding, row)})
    common = [name for name in binding._common_options(spec) if name not in fields]
    rows += [*rows_of(options, {}), *(row for row in rows_of(Common, {}) if row["name"] in common)]
    public = dump_public(binding.settings)
    for row in rows:
        settings = (public.get(name) for name in (f"default_{row['name']}", row["name"]))
        row["value"] = next((value for value in settings if value is not None), row.get("default"))
    return with_choices(type(binding), rows)


def _kind(binding: LollmsBinding, row: dict[str, Any]) -> str:
    if row["name"] == "voice" and binding.capabilities.cloning:
        return "media"
    settings = binding.settings_class()
    like = next((name for name in _LIKE.get(row["name"], ()) if name in settings.model_fields), None)
    return str(row["kind"]) if like is None else field_kind(settings, like)


def with_choices(cls: type, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, without methods that the class does not have."""
    return [
        {name: value for name, value in row.items() if name != "choices_from" or hasattr(cls, str(value))}
        for row in rows
    ]
