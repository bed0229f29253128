"""What is said of a result: out of its provenance, its call, and the marks of what it was made of."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lollms_marks.formats import format_of
from lollms_marks.mark import AIGC, COMPOSITE, GENERATED, MADE_BY_MODELS, OWN, SOURCE_TYPE, Mark, parsed, term_of
from lollms_marks.settings import Settings
from lollms_marks.view import View, viewed
from lollms_marks.writing import marks_in

_FILES = (".onnx", ".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt")  # a name of one is no repository's


def is_marked(texts: Mapping[str, str]) -> bool:
    """Whether these say that a model made it."""
    return OWN in texts or AIGC in texts or term_of(texts.get(SOURCE_TYPE, "")) in MADE_BY_MODELS


def mark_of(binding: Any, call: Any, provenance: Any, sources: Iterable[Any], settings: Settings) -> Mark | None:
    """The mark of a result; None of what no binding made, and that comes from nothing that is marked.

    Args:
        binding: that made it, or None.
        call: in which; None where it is converted or saved later.
        provenance: of the result, or None.
        sources: media that it was made of.
    """
    given = getattr(call, "sources", None) or ()
    earlier = [found for source in sources if (found := _earlier(source)) is not None]
    if binding is None and provenance is None:
        return earlier[0] if earlier else None
    if call is None and earlier:  # converted: what is said of it stays true
        return earlier[0]
    kind = "" if binding is None or call is None else getattr(type(binding).verbs().get(call.verb), "kind", "")
    before = provenance.extra.get("marks") if provenance is not None else None
    source_type = before.get("source_type", GENERATED) if isinstance(before, dict) else GENERATED
    if kind == "edits" or given:
        source_type = COMPOSITE
    mark = _described(binding, provenance)
    return replace(
        mark,
        source_type=source_type,
        id=secrets.token_hex(16),
        producer=settings.producer,
        inputs=tuple(each.id for each in earlier if each.id),
        more=_included(provenance, settings),
    )


def _earlier(source: Any) -> Mark | None:
    """The mark of something that a result was made of."""
    media = _content(source)
    texts, signed = ({}, False) if media is None else marks_in(media)
    if not is_marked(texts):
        return _credited(media) if media is not None and signed else None
    own = parsed(texts.get(OWN, ""))
    if isinstance(own, dict):
        return Mark.from_json(own)
    return Mark(source_type=term_of(texts.get(SOURCE_TYPE, "")) or GENERATED)


def _credited(media: bytes | Path) -> Mark | None:
    """What content credentials say, where there is nothing else: with the extra ``c2pa``."""
    try:
        from lollms_marks.credentials import source_type_in
    except ImportError:
        return None
    term = source_type_in(media, format_of(View(media)) if isinstance(media, bytes) else viewed(media, format_of))
    return Mark(source_type=term) if term else None


def _content(source: Any) -> bytes | Path | None:
    if isinstance(source, bytes):
        path = getattr(source, "path", None)
        return source if len(source) or not isinstance(path, Path) else path
    return source if isinstance(source, Path) else None


def _described(binding: Any, provenance: Any) -> Mark:
    if provenance is not None:
        engine = _named(provenance.engine, provenance.engine_version)
        distribution = _named(provenance.distribution, provenance.distribution_version)
        return Mark(
            time=_written(provenance.started),
            engine=engine,
            distribution=distribution,
            model=base_name(provenance.model),
        )
    origin = type(binding).origin()
    name = type(binding).engine or ""
    return Mark(
        time=_written(time.time()),
        engine=_named(name, type(binding).engine_version(name) if name else ""),
        distribution=_named(origin.distribution or "", origin.version or ""),
        model=base_name(str(getattr(binding.settings, "model_name", None) or "")),
    )


def base_name(model: str) -> str:
    """A model's name without what leads to it on a disk or a server, and what an address asks. ``owner/name`` stays."""
    if "://" in model:
        model = re.split(r"[?#]", model)[0]
    is_file = model.lower().endswith(_FILES)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model) and not model.startswith(".") and not is_file:
        return model if not Path(model).exists() else model.rpartition("/")[2]
    return re.split(r"[/\\]", model.rstrip("/\\"))[-1][:200]


def _named(name: str, version: str) -> str:
    return f"{name} {version}".strip() if name else ""


def _written(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds or time.time()))


def _included(provenance: Any, settings: Settings) -> dict[str, Any]:
    if provenance is None or not settings.include:
        return {}
    return {name: getattr(provenance, name) for name in settings.include if getattr(provenance, name, None)}
