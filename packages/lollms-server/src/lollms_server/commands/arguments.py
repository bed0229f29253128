"""What can be typed after ``lollms serve``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lollms_server.commands import asking, keys, serving, systemd
from lollms_server.room.configuration import Configuration, load_configuration


def parse(words: list[str]) -> argparse.Namespace:
    """The words; ``run`` is the function that does it. Exits with 2 where they mean nothing."""
    parser = argparse.ArgumentParser(
        prog="lollms serve", description="Serve the bindings over HTTP.", allow_abbrev=False
    )
    where(parser)
    parser.add_argument("--host", help="address to listen at (127.0.0.1)")
    parser.add_argument("--tls-certificate", type=Path, help="file with the certificate, for TLS")
    parser.add_argument("--tls-key", type=Path, help="file with its key")
    parser.add_argument("--wyoming", action="store_true", help="speak Wyoming, Home Assistant's protocol, too")
    parser.add_argument("--wyoming-host", help="address for that (127.0.0.1); others than this machine's need a key")
    parser.add_argument("--wyoming-key", metavar="NAME", help="name of the key whose rights all have who come so")
    parser.add_argument("--no-page", dest="page", action="store_const", const=False, help="show browsers no page")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--check", action="store_true", help="check the configuration, and say what would be served")
    parser.set_defaults(run=serving.run)
    acts = parser.add_subparsers(title="instead of serving", metavar="COMMAND")
    _keys(acts.add_parser("key", help="keys of those who may ask", allow_abbrev=False))
    _ask(acts, "ps", "which models are loaded, and which calls are under way", asking.ps).add_argument(
        "--json", action="store_true", help="as JSON"
    )
    for name, does in (("load", "load a model"), ("unload", "unload a model, unless it is at work")):
        _ask(acts, name, does, asking.change).add_argument("model", help="such as piper, or tts:bark")
    _ask(acts, "cancel", "cancel a call", asking.change).add_argument("call", help="its id, of ps")
    unit = acts.add_parser("systemd", help="print a unit for systemd", allow_abbrev=False)
    where(unit, within=True)
    unit.set_defaults(run=systemd.run)
    return parser.parse_args(words)


def configured(given: argparse.Namespace) -> Configuration:
    """The configuration, with what was typed in its place.

    Raises:
        ConfigurationError: something in it is wrong.
    """
    names = ("host", "port", "socket", "tls_certificate", "tls_key", "page")
    typed = {name: getattr(given, name) for name in names if getattr(given, name, None) is not None}
    wyoming = {name: getattr(given, f"wyoming_{name}", None) for name in ("host", "key")}
    wyoming = {name: value for name, value in wyoming.items() if value is not None}
    if getattr(given, "wyoming", False) or wyoming:
        typed["wyoming"] = wyoming
    return load_configuration(getattr(given, "config", None), **typed)


def where(parser: argparse.ArgumentParser, *, within: bool = False) -> None:
    """Options that say which server is meant. ``within``: behind a word, before which they may stand, too."""
    # Typed before the word or after it; a default here would hide what was typed before.
    default = argparse.SUPPRESS if within else None
    parser.add_argument("--config", type=Path, default=default, help="another configuration file")
    parser.add_argument("--port", type=int, default=default, help="port to listen at (9610)")
    parser.add_argument("--socket", type=Path, default=default, help="the Unix socket for those at the terminal")


def _ask(
    acts: argparse._SubParsersAction[argparse.ArgumentParser], name: str, does: str, run: asking.Run
) -> argparse.ArgumentParser:
    parser = acts.add_parser(name, help=does, allow_abbrev=False)
    where(parser, within=True)
    parser.set_defaults(run=run, act=name)
    return parser


def _keys(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(required=True, metavar="add|list|rotate|remove")
    for name, does in (
        ("add", "make a key"), ("list", "who has one"), ("rotate", "a new key in the place of one"),
        ("remove", "a key counts no longer"),
    ):  # fmt: skip
        act = acts.add_parser(name, help=does, allow_abbrev=False)
        where(act, within=True)
        act.set_defaults(run=getattr(keys, name if name != "list" else "list_keys"))
        if name != "list":
            act.add_argument("name", help="of the key")
        if name == "add":
            act.add_argument("--role", choices=("user", "admin"), default="user", help="admins load, unload, cancel")
            act.add_argument("--models", help="names of the models that it is for, with commas; all when left out")
            act.add_argument("--at-once", type=int, help="how many calls it may have under way")
            act.add_argument("--engine-seconds", type=float, help="seconds of engines that it may use a day (UTC)")
