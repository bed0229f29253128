"""What a binding can be set to and what one call can vary, as pydantic models, and the list form that interfaces read.

Importing this module imports pydantic; nothing in the package does so before the first binding is loaded.
"""

from __future__ import annotations

import difflib
import logging
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from lollms_modalities._shown import MASK as MASK
from lollms_modalities._shown import shown, texts_in
from lollms_modalities.errors import LollmsError, SettingsError
from lollms_modalities.older import DROPPED, OF_CALLS, renamed

_M = TypeVar("_M", bound=BaseModel)

try:
    create_model("FirstModel")
except Exception:
    # pydantic looks for plug-ins of its own when its first model is made, and passes on what reading one distribution's
    # damaged metadata raises. It looks once: from here on it does without.
    logging.getLogger(__name__).warning("The metadata of a distribution cannot be read.", exc_info=True)


def setting(
    default: Any = ..., *, description: str = "", reload: bool = False, shared: bool = False,
    env: str | tuple[str, ...] = (), **field: Any,
) -> Any:  # fmt: skip
    """One field of a ``BindingSettings``.

    Args:
        default: the value when none is given; leave it out and the setting is required.
        description: one sentence for forms, help and documentation.
        reload: a change of it makes the binding load its model again.
        shared: a value of this name that the application shares among its bindings may fill it.
        env: the environment variables that the binding reads for it. One whose name says that it is a secret is kept
            from a binding in another process unless it is declared so.
        field: anything that pydantic's ``Field`` takes (``ge=1``, ``min_length=1``, ...).
    """
    marks: JsonDict = {"reload": reload, "shared": shared}
    if env:
        marks["env"] = [env] if isinstance(env, str) else list(env)
    return Field(default, description=description, json_schema_extra={"lollms": marks}, **field)


def option(default: Any = ..., *, description: str = "", **field: Any) -> Any:
    """One field of a ``CallOptions``; ``field`` as in ``setting``."""
    return Field(default, description=description, **field)


# Settings that programs of 1.x fill from what may be empty.
_NONE_IS_LEFT_OUT = ("device", "model_name", "model_id_or_path", "host_address", "verify_ssl_certificate")


class BindingSettings(BaseModel):
    """Base of a binding's ``Settings``. Unknown names are refused, secrets (``SecretStr``) are masked when shown."""

    model_config = ConfigDict(
        extra="forbid", validate_default=False, hide_input_in_errors=True, protected_namespaces=(), frozen=True
    )

    keep_alive: float | None = setting(
        None, description="Seconds without a call after which the model is unloaded; never when empty.", ge=0
    )

    @model_validator(mode="before")
    @classmethod
    def _none_is_the_default(cls, values: Any) -> Any:
        """1.x gave None for what was not given, so ``device=None`` is the default, which is auto."""
        if not isinstance(values, dict) or not any(values.get(name, "") is None for name in _NONE_IS_LEFT_OUT):
            return values
        fields = cls.model_fields
        return {
            name: value
            for name, value in values.items()
            if value is not None or name not in _NONE_IS_LEFT_OUT or name not in fields or is_nullable(fields[name])
        }


class CallOptions(BaseModel):
    """Base of a binding's ``Options``: what one call may vary. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", validate_default=False, protected_namespaces=(), frozen=True)


def _draw_when_negative(value: object) -> object:
    return None if value == -1 and not isinstance(value, bool) else value


# One vocabulary, so that an option means the same with every engine.
Seed = Annotated[
    Annotated[int, Field(ge=0, le=2**63 - 1)] | None,
    BeforeValidator(_draw_when_negative),
    Field(description="Repeats a result. Drawn and recorded when not given (or -1)."),
]
Language = Annotated[str | None, Field(description="Language tag (BCP 47), such as en or pt-BR.", max_length=35)]
Speed = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False, description="1.0 is the natural speed.")]
Duration = Annotated[float, Field(gt=0, allow_inf_nan=False, description="Length of the result in seconds.")]
NumFrames = Annotated[int, Field(ge=1, description="Number of frames of the video.")]
Fps = Annotated[float, Field(gt=0, le=240, allow_inf_nan=False, description="Frames per second.")]
Width = Annotated[int, Field(ge=1, description="Width in pixels.")]
Height = Annotated[int, Field(ge=1, description="Height in pixels.")]
Count = Annotated[int, Field(ge=1, description="How many results to make.")]
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False, description="Randomness of sampling; 0 is none.")]
TopK = Annotated[int, Field(ge=0, description="Sample among the k likeliest; 0 is all.")]
TopP = Annotated[float, Field(ge=0, le=1, description="Sample among the likeliest that hold this probability.")]
GuidanceScale = Annotated[float, Field(ge=0, allow_inf_nan=False, description="How closely the prompt is followed.")]
NumInferenceSteps = Annotated[int, Field(ge=1, description="Number of denoising steps.")]
Track = Annotated[
    Annotated[int, Field(ge=0)] | None,
    Field(description="Which sound track of a film, from 0; the default one when empty."),
]
Timestamps = Annotated[Literal["none", "segment", "word"], Field(description="How fine the times are.")]


def validate(model: type[_M], values: Mapping[str, Any], error: type[LollmsError], what: str) -> _M:
    """``model(**values)``, with pydantic's complaint as one typed error that names the near miss of an unknown name."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as exc:
        secrets = [t for n, f in model.model_fields.items() if holds_secrets(f) for t in texts_in(values.get(n))]
        # A word of a letter or two says nothing, and masked it would spoil the rest.
        raise _explain(exc, model, error, what).hide(t for t in secrets if len(t) > 3) from None


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


# --- the list form --------------------------------------------------------------------------------------------------

_FORM_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (int, "int"), (float, "float"), (list, "list"), (tuple, "list"), (dict, "dict"),
)  # fmt: skip


def is_secret(field: FieldInfo) -> bool:
    """Whether the field's type is a secret one."""
    return any(t in (SecretStr, SecretBytes) for t in _leaves(field.annotation))


def is_nullable(field: FieldInfo) -> bool:
    """Whether None is a value of the field."""
    return any(t in (None, type(None), Any) for t in _leaves(field.annotation))


def holds_secrets(field: FieldInfo) -> bool:
    """Whether there is room for a secret in the field: as itself, in a list, a dict, or a field of a nested model."""
    return _has_secret(field.annotation, set())


def _has_secret(annotation: Any, seen: set[Any]) -> bool:
    origin = get_origin(annotation) or annotation
    if origin is Literal:
        return False
    if isinstance(origin, type) and hasattr(origin, "get_secret_value"):
        return True
    inner = list(get_args(annotation))
    if isinstance(origin, type) and origin not in seen:
        seen.add(origin)
        if issubclass(origin, BaseModel):
            inner += [f.annotation for f in origin.model_fields.values()]
        elif hasattr(origin, "__annotations__") and origin.__module__ not in ("builtins", "typing"):
            try:
                inner += get_type_hints(origin).values()
            except Exception:  # names that are not there at run time
                inner += origin.__annotations__.values()
    return any(_has_secret(part, seen) for part in inner if not isinstance(part, (str, int, bytes)))


def is_marked(field: FieldInfo, mark: Literal["reload", "shared"]) -> bool:
    """Whether ``setting(..., reload=True)`` or ``shared=True`` was said of the field."""
    extra = field.json_schema_extra
    marks = extra.get("lollms") if isinstance(extra, dict) else None
    return bool(isinstance(marks, dict) and marks.get(mark))


def to_form(settings: BaseModel) -> list[dict[str, Any]]:
    """The settings as a list of ``{name, type, value, description, options?, is_secret?}``; secrets are masked."""
    public = dump_public(settings)
    fields = type(settings).model_fields
    return [_form_row(name, fields[name], public[name]) for name in ordered_fields(type(settings))]


def ordered_fields(settings: type[BaseModel]) -> list[str]:
    """Names of the settings, a binding's own first, then those that every binding has."""
    own = [name for name in settings.model_fields if name not in BindingSettings.model_fields]
    return [*own, *(name for name in settings.model_fields if name not in own)]


def _form_row(name: str, field: FieldInfo, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "type": _form_type(field.annotation),
        "value": value,
        "description": field.description or "",
    }
    literals = [v for t in _members(field.annotation) if get_origin(t) is Literal for v in get_args(t)]
    if literals:
        row["options"] = literals
    if holds_secrets(field):
        row["is_secret"] = True
    return row


def _form_type(annotation: Any) -> str:
    leaves = [t for t in _leaves(annotation) if t is not type(None)]
    for kind, name in _FORM_TYPES:
        if leaves and all(isinstance(t, type) and issubclass(t, kind) for t in leaves):
            return name
    if leaves and all(t in (int, float) for t in leaves):
        return "float"
    return "str"


def _members(annotation: Any) -> list[Any]:
    """The parts of a union, without ``Annotated`` around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [m for part in get_args(annotation) for m in _members(part)]
    return [annotation]


def _leaves(annotation: Any) -> list[Any]:
    """The plain types of an annotation: of literals the types of their values, of generics their origin."""
    found: list[Any] = []
    for member in _members(annotation):
        if get_origin(member) is Literal:
            found += [type(v) for v in get_args(member)]
        else:
            found.append(get_origin(member) or member)
    return found


class _Schema(GenerateJsonSchema):
    """With defaults that JSON cannot hold as they are shown."""

    def encode_default(self, dft: Any) -> Any:
        try:
            return shown(super().encode_default(dft))
        except ValueError:
            return shown(dft)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of settings or options."""
    return model.model_json_schema(schema_generator=_Schema)


def dump_public(settings: BaseModel) -> dict[str, Any]:
    """The settings as JSON values, secrets masked: fit to be shown, logged and kept with a result."""
    try:
        public = settings.model_dump(mode="json", fallback=str, warnings=False)
    except ValueError:  # bytes that are no text
        public = {name: shown(value) for name, value in settings}
    return {name: shown(value) for name, value in public.items()}  # an infinite float is no JSON


def dump_secrets(settings: BaseModel) -> dict[str, Any]:
    """The settings as Python values, secrets in the clear: only to make settings again from them."""
    return {k: _reveal(v) for k, v in settings if k in settings.model_fields_set}


def _reveal(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, (SecretStr, SecretBytes)) else value


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
            if secret and _is_mask(values[name]):
                del values[name]
            else:
                values[name] = _restored(values[name], public[name], getattr(settings, name), name, secret)
    return validate(type(settings), {**dump_secrets(settings), **values}, SettingsError, what)


def _is_mask(value: Any) -> bool:
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
    if secret and _is_mask(new):
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
