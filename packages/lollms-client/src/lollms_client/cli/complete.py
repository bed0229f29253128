"""What a shell completes: bindings, voices, models, settings and options, by what the words before it say.

Whatever fails offers nothing: a shell has no place for an error.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import wraps
from typing import Any

import typer

_Offer = Callable[[typer.Context, str], Iterable[str]]


@contextmanager
def colons_joined() -> Iterator[None]:
    """bash takes a colon for a word of its own: put ``tts : pi`` together again, and offer what comes after it."""
    before = _join() if os.environ.get("_LOLLMS_COMPLETE") == "complete_bash" else ""
    if not before:
        yield
        return
    offered = io.StringIO()
    try:
        with redirect_stdout(offered):
            yield
    finally:
        sys.stdout.write("".join(f"{line.removeprefix(before)}\n" for line in offered.getvalue().splitlines()))


def _join() -> str:
    """Join the words of the line; gives what stands before the colon in the one that is completed."""
    words, at = os.environ.get("COMP_WORDS", "").split(" "), int(os.environ.get("COMP_CWORD") or 0)
    joined: list[str] = []
    before, glued = "", False
    for number, word in enumerate(words):
        if joined and (word == ":" or glued):
            joined[-1] += word
            if number == at:
                before = joined[-1].rpartition(":")[0] + ":"
        else:
            joined.append(word)
        glued = word == ":"
        if number == at:
            os.environ["COMP_CWORD"] = str(len(joined) - 1)
    os.environ["COMP_WORDS"] = " ".join(joined)
    return before


def _offered(find: _Offer) -> Callable[[typer.Context, str], list[str]]:
    @wraps(find)
    def offered(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return sorted({name for name in find(ctx, incomplete) if name.startswith(incomplete)})
        except Exception:
            return []

    return offered


@_offered
def names(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """The bindings that ``--binding`` may name, by metadata only."""
    from lollms_modalities.entry_points.groups import MODALITIES
    from lollms_modalities.finding.bindings import find_bindings

    from lollms_client.cli.choice import MODALITY_OF

    modality = MODALITY_OF.get(ctx.info_name or "")
    return [name for m in ([modality] if modality else MODALITIES) for ref in find_bindings(m) for name in ref.names]


@_offered
def targets(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """``tts:piper`` and so on. A shell that takes the colon for the end of a word asks for what comes after it."""
    from lollms_modalities.entry_points.groups import MODALITIES
    from lollms_modalities.finding.bindings import find_bindings

    return [f"{m}:{name}" for m in MODALITIES for ref in find_bindings(m) for name in ref.names]


@_offered
def voices(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """The voices of the binding that is meant."""
    return _asked(ctx, "list_voices")


@_offered
def models(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """The models of the binding that is meant."""
    return _asked(ctx, "list_models")


@_offered
def settings(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """``NAME=`` of each setting of the binding that is meant."""
    return [f"{name}=" for name in _described(ctx)["settings"].get("properties", {})]


@_offered
def options(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """``NAME=`` of each option of a call of the binding that is meant."""
    return [f"{name}=" for name in _described(ctx)["options"].get("properties", {})]


@_offered
def keys(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """The keys of the configuration: as far as the word goes, the next part."""
    from lollms_modalities.entry_points.groups import MODALITIES
    from lollms_modalities.finding.bindings import find_bindings

    parts = incomplete.split(".")
    modalities = [m for m in MODALITIES if m.startswith(parts[0])]
    if len(parts) == 1:
        return [f"{m}." for m in modalities]
    if len(parts) == 2:
        bindings = [f"{m}.{ref.name}." for m in modalities for ref in find_bindings(m)]
        return [*bindings, *(f"{m}.{word}" for m in modalities for word in ("binding", "environment", "place"))]
    from lollms_client.cli.use import Which, maker_of

    schema = maker_of(Which(parts[0], parts[1]))[1].describe()["settings"]
    return [f"{parts[0]}.{parts[1]}.{name}" for name in schema.get("properties", {})]


@_offered
def places(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Names of places, and how their addresses begin."""
    from lollms_modalities.workers.finding_places import place_names

    return [*place_names(), *(f"{name}://" for name in place_names())]


@_offered
def extras(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """What ``lollms install`` takes."""
    from lollms_modalities.finding.mending import extras as known

    return known()


def _which(ctx: typer.Context) -> Any:
    from lollms_client.cli.choice import MODALITY_OF, parse_target
    from lollms_client.cli.use import Which

    given = ctx.params
    where: dict[str, Any] = {"isolated": bool(given.get("isolated")), "settings": given.get("set") or ()}
    where |= {word: given.get(word) for word in ("environment", "place")}
    modality = MODALITY_OF.get(ctx.info_name or "")
    if modality:
        return Which(modality, given.get("binding"), **where)
    choice = parse_target(given["binding"])
    return Which(choice.modality, choice.name, **where)


def _described(ctx: typer.Context) -> dict[str, Any]:
    from lollms_client.cli.use import maker_of

    return maker_of(_which(ctx))[1].describe()


def _asked(ctx: typer.Context, what: str) -> list[str]:
    from lollms_client.cli.use import opened

    with opened(_which(ctx)) as made:
        return [str(name) for name in getattr(made.binding, what)()]
