"""The typer application, put together of the commands that are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from lollms_client.cli import CANCELLED, COMMANDS, signals
from lollms_client.cli.complete import colons_joined
from lollms_client.cli.errors import listen

_CONTEXT = {"help_option_names": ["-h", "--help"]}


def run(words: list[str], debug: bool) -> int:
    """Run a command; its exit code."""
    listen(debug=debug)
    # All of them where they have to be known: to complete a word, and to name the one that was nearly meant.
    asked = words[0] if words and "_LOLLMS_COMPLETE" not in os.environ else ""
    app = build([asked]) if asked in COMMANDS else build(COMMANDS, others=True)
    signals.interrupt()
    try:
        with colons_joined():
            result = app(args=words, prog_name="lollms", standalone_mode=False)
    except typer.Abort:
        result = CANCELLED
    if result == CANCELLED:  # how versions of typer tell of Ctrl-C
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def build(names: Iterable[str], *, others: bool = False) -> typer.Typer:
    """The application with these commands; ``others``: with those of other distributions, for their names to be known.

    Those are run without it: what follows their names is theirs to read.
    """
    # Without rich's markup, and so without importing rich: help is plain text.
    app = typer.Typer(name="lollms", rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=_CONTEXT)
    app.callback()(_lollms)
    for name in names:
        module, attribute, line = COMMANDS[name]
        found = getattr(import_module(f"lollms_client.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=line)
        else:
            app.command(name, short_help=line, context_settings=_CONTEXT)(found)
    if others:
        from lollms_client.cli.others import commands

        for name, command in commands()[0].items():
            app.command(name, short_help=command.help)(lambda: None)
    return app


def _lollms(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Speech, transcription, images, music and video, whatever engine does it."""
