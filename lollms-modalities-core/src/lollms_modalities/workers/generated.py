"""The class of an isolated binding, made from the modality's ABC and the worker's description."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, Field, SecretStr, create_model
from pydantic.config import JsonDict

from lollms_modalities.contract.verbs import Verb, kind_of
from lollms_modalities.entry_points.refs import Origin
from lollms_modalities.settings.base import BindingSettings, CallOptions
from lollms_modalities.workers.isolated import IsolatedBinding
from lollms_modalities.workers.remote_plan import RemotePlan
from lollms_modalities.workers.remote_verbs import Items, run_whole

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.workers.protocol import Json


def make_class(base: type[LollmsBinding], ready: Json, where: str, *, shares_files: bool) -> type[IsolatedBinding]:
    """The class of an isolated binding: ``base`` is the modality's ABC, ``ready`` what the worker told."""
    description = ready["description"]
    name = description["class"].rpartition(":")[2].rpartition(".")[2]
    members: dict[str, Any] = {
        "__doc__": description["description"],
        "__module__": __name__,
        "_description": {**description, "environment": where},
        "_plan_class": RemotePlan,
        "_shares_files": shares_files,
        "concurrency": description["concurrency"],
        "engine": description["engine"],
        "Settings": _model("Settings", BindingSettings, description["settings"]),
        "Options": _model("Options", CallOptions, description["options"]),
    }
    for verb_name, verb in description["verbs"].items():
        members[verb_name] = _verb(verb_name, verb)
    for method_name, method in description["methods"].items():
        members[method_name] = _method(method_name, method["doc"])
    cls = cast(type[IsolatedBinding], type(f"Isolated{name}", (IsolatedBinding, base), members))
    cls._origin = Origin(ready["name"], ready["distribution"], ready["version"])
    return cls


def _verb(name: str, described: Json) -> Callable[..., Any]:
    run = Items if described["stream"] else run_whole

    def fn(self: IsolatedBinding, request: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or not isinstance(request, tuple):
            raise self._from_inside(name)  # called raw: from a progress function or a plug-in
        return run(self, request)

    own = described.get("options")
    options = None if own is None else _model(f"{name}_options", CallOptions, own)
    fn.__name__, fn.__doc__ = name, described["doc"]
    fn.__lollms_verb__ = Verb(  # type: ignore[attr-defined]
        name, described["returns"], described["stream"], described["content"], options,
        tuple(described["params"]), tuple(described["required"]),
        described.get("kind") or kind_of(described["returns"], described["content"]),
    )  # fmt: skip
    return fn


def _method(name: str, doc: str) -> Callable[..., Any]:
    def fn(self: IsolatedBinding, *args: Any, **kwargs: Any) -> Any:
        return self._ask(name, kwargs, args)

    fn.__name__, fn.__doc__ = name, doc
    return fn


def _model(name: str, base: type[BaseModel], schema: Json) -> Any:
    """A pydantic class with the fields of a JSON schema, for those who look at names, types, defaults and marks."""
    required = schema.get("required", ())
    fields: dict[str, Any] = {}
    for field, described in schema.get("properties", {}).items():
        marks: JsonDict = {"lollms": described.get("lollms", {})}
        default = ... if field in required else described.get("default")
        fields[field] = (
            _annotation(described, schema.get("$defs", {})),
            Field(default, description=described.get("description", ""), json_schema_extra=marks),
        )
    return create_model(name, __base__=base, **fields)


_TYPES: dict[str, Any] = {
    "integer": int, "number": float, "boolean": bool, "array": list, "object": dict, "null": None, "string": str,
}  # fmt: skip


def _annotation(described: Json, definitions: Json) -> Any:
    if "$ref" in described:
        return _annotation(definitions.get(described["$ref"].rpartition("/")[2], {}), definitions)
    if "const" in described:
        return Literal[described["const"]]
    if "enum" in described:
        return Literal[tuple(described["enum"])]
    if "anyOf" in described:
        union: Any = None
        for n, part in enumerate(described["anyOf"]):
            annotation = _annotation(part, definitions)
            union = annotation if n == 0 else union | annotation
        return union
    if described.get("format") == "path":
        return Path
    if described.get("format") == "password":
        return SecretStr
    return _TYPES.get(described.get("type", ""), Any)
