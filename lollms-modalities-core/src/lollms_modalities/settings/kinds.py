"""What a value is to whoever runs the program: whether it names something of the machine or of the network.

A server lets nobody who asks from elsewhere set what has the kind "path", "program", "address" or "environment". So a
guess errs to that side: what may be a path is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo

from lollms_modalities.settings.fields import Kind
from lollms_modalities.settings.types import holds_secrets, mark_of

KINDS: tuple[str, ...] = get_args(Kind)

_PATH_FORMATS = ("path", "file-path", "directory-path")
# Words of a name, for texts of which the type says nothing. The first kind that has one of them.
_WORDS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (kind, frozenset(words.split()))
    for kind, words in (
        ("program", "bin binary cmd command exe executable program shell"),
        (
            "address",
            "address addresses domain endpoint endpoints host hosts origin proxies proxy server servers uri url urls",
        ),
        ("environment", "env environ environment variables"),
        (
            "path",
            "checkpoint checkpoints dir directory dirs file filename files folder folders lora loras model models path "
            "paths recording recordings reference wav weights",
        ),
    )
)
_CHOICES = {
    **dict.fromkeys(("voice", "voice_name", "default_voice"), "list_voices"),
    **dict.fromkeys(
        ("model", "model_name", "model_id", "model_path", "model_id_or_path", "default_model"), "list_models"
    ),
}


def kind_of(name: str, field: FieldInfo, described: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """One of ``KINDS``: what ``setting(kind=...)`` or ``option(kind=...)`` says, else what type and name tell.

    Args:
        described: the field in the JSON schema; ``definitions`` are the schema's ``$defs``.
    """
    if said := mark_of(field, "kind"):
        return str(said)
    if holds_secrets(field):
        return "secret"
    formats = set(_texts(described, definitions, ()))
    if "lollms-media" in formats:
        return "media"
    words = frozenset(name.lower().split("_"))
    if formats & {*_PATH_FORMATS}:
        return "program" if words & _WORDS[0][1] else "path"
    if any(format.endswith(("uri", "url")) for format in formats):
        return "address"
    return next((kind for kind, known in _WORDS if formats and words & known), "plain")


def choices_of(name: str, field: FieldInfo) -> str:
    """Name of the method that lists values, such as ``list_voices``; "" where none does."""
    said = mark_of(field, "choices_from")
    return str(said) if said is not None else _CHOICES.get(name, "")


def _texts(described: Mapping[str, Any], definitions: Mapping[str, Any], seen: tuple[str, ...]) -> Iterator[str]:
    """The formats of the texts that a value may hold at any depth, "" of a plain one; none of a choice of texts."""
    if "enum" in described or "const" in described:
        return
    if reference := described.get("$ref"):
        target = str(reference).rpartition("/")[2]
        if target not in seen:
            yield from _texts(definitions.get(target, {}), definitions, (*seen, target))
        return
    parts = [*described.get("anyOf", ()), *described.get("oneOf", ()), *described.get("allOf", ())]
    kind = described.get("type")
    if kind == "string" or (kind is None and not parts):
        yield str(described.get("format", ""))
    elif kind == "array":
        fixed = described.get("prefixItems")
        parts += [*(fixed or ()), described.get("items", {} if fixed is None else None)]
    elif kind == "object":
        inner = described.get("properties")
        if inner is None:
            yield ""  # its keys
        parts += [*(inner or {}).values(), described.get("additionalProperties")]
    for part in parts:
        if isinstance(part, Mapping):
            yield from _texts(part, definitions, seen)
