"""Who a binding class is: where it comes from, what it says of itself, how its constructor is called."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from lollms_modalities.contract.plan import CONTROLS
from lollms_modalities.entry_points.refs import Origin, installed_bindings
from lollms_modalities.version import CONTRACT_VERSION

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.contract.verbs import Verb

_FOR_AUTHORS = ("load_model", "free_model", "translate_error", "voice_activity")


def find_origin(cls: type[LollmsBinding]) -> Origin:
    """The distribution whose entry point names the class; its own name where none does."""
    for ref in installed_bindings(cls.modality):
        module, _, attribute = ref.target.partition(":")
        if getattr(sys.modules.get(module), attribute, None) is cls:
            return ref.identity
    return Origin(cls.__name__, "", "")


@functools.cache
def version_of(distribution: str) -> str:
    """The version of a distribution; "" where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def description_of(cls: type[LollmsBinding], common: type[LollmsBinding]) -> dict[str, Any]:
    """The class as JSON values; ``common`` is the class whose methods every binding has."""
    from lollms_modalities.settings.forms import schema_of

    return {
        "contract": CONTRACT_VERSION,
        "modality": cls.modality,
        "class": f"{cls.__module__}:{cls.__qualname__}",
        "description": (cls.__doc__ or "").strip().split("\n")[0],
        "engine": cls.engine,
        "engine_version": cls.engine_version(cls.engine),
        "settings": schema_of(cls.settings_class()),
        "options": schema_of(cls.options_class()),
        "concurrency": cls.concurrency,
        "verbs": {v.name: _described(cls, v) for v in cls._verbs.values()},
        "methods": _other_methods(cls, common),
    }


def _described(cls: type[LollmsBinding], spec: Verb) -> dict[str, Any]:
    from lollms_modalities.settings.forms import schema_of

    schema = schema_of(spec.options or cls.options_class())
    # Which arguments take a path, bytes or a file: whoever sends a call elsewhere must know.
    media = [n for n, p in schema.get("properties", {}).items() if "lollms-media" in str(p)]
    described = {
        "doc": getattr(cls, spec.name).__doc__ or "",
        "returns": spec.returns,
        "stream": spec.stream,
        "kind": spec.kind,
        "content": spec.content,
        "params": list(spec.params),
        "required": list(spec.required),
        "common": list(cls._common_options(spec)),  # what the core sees to, whatever the binding's options are
        "media": [*(spec.params[:1] if spec.content in ("audio", "image", "images") else ()), *media],
    }
    return described | ({"options": schema} if spec.options is not None else {})


def _other_methods(cls: type[LollmsBinding], common: type[LollmsBinding]) -> dict[str, Any]:
    """Public methods beyond the verbs and what every binding has; ``list_...`` among them."""
    from inspect import isfunction, signature

    had = {name for base in common.__mro__ for name in vars(base)}
    found: dict[str, Any] = {}
    for name in dir(cls):
        fn = getattr(cls, name)
        is_twin = name[:1] == "a" and name[1:] in cls._verbs
        if name.startswith("_") or name in cls._verbs or is_twin or not isfunction(fn):
            continue
        if name in had and name != "list_models":
            continue
        if name in _FOR_AUTHORS or fn.__module__ == f"lollms_modalities.contract.{cls.modality}":
            continue  # what the ABC does by way of verbs, it does everywhere
        params = signature(fn).parameters
        found[name] = {"doc": fn.__doc__ or "", "controls": all(n in params for n in CONTROLS)}
    return found


def signature_of(cls: type[LollmsBinding]) -> Any:
    """The constructor's signature, from the settings, for ``help()`` and editors."""
    from inspect import Parameter, Signature

    from lollms_modalities.settings.forms import ordered_fields

    settings = cls.settings_class()
    if not hasattr(settings, "model_fields"):
        raise TypeError(f"{cls.__qualname__}.Settings is no BindingSettings")
    # Python wants arguments without a default first.
    fields = [(name, settings.model_fields[name]) for name in ordered_fields(settings)]
    fields.sort(key=lambda item: not item[1].is_required())
    parameters = []
    for name, field in fields:
        default = Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
        parameters.append(
            Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=field.annotation)
        )
    return Signature(parameters)
