"""``lollms man``: the manual page, made of the commands as they are.

The distribution installs it, too, from ``data/share/man/man1``: a test tells where that is not what is printed here.
"""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from lollms_modalities.errors import LollmsError

_FILES = {
    "~/.config/lollms/config.toml": "The configuration, where XDG_CONFIG_HOME says no other place.",
    "~/.local/share/lollms": "Environments and voices, where XDG_DATA_HOME says no other place.",
}
_VARIABLES = {
    "LOLLMS_TTS_BINDING": "The binding for speech; likewise LOLLMS_TTI_BINDING, STT, TTM, TTV.",
    "LOLLMS_CONFIG": "Another configuration file.",
    "LOLLMS_PLAYER": "The command that lollms speak --play gives WAV to.",
}
_CODES = {
    "0": "It is done.", "1": "It failed; standard error says why.", "2": "What was typed cannot be meant.",
    "130": "Ctrl-C.",
}  # fmt: skip


class ManualError(LollmsError):
    """The manual page cannot be shown."""


def man(
    raw: Annotated[bool, typer.Option("--raw", help="Print the source, as for a file lollms.1.")] = False,
) -> int:
    """Show the manual page, which man lollms finds, too, where lollms is on the PATH."""
    if raw:
        sys.stdout.write(page())
        return 0
    program = shutil.which("man")
    if program is None:
        raise ManualError(
            "The program man, which shows the page, is not here.",
            hint="Install it (Debian: apt-get install man-db), or say lollms --help; --raw prints the source.",
        )
    sys.stdout.flush()
    # Into a pipe or a file, too: man writes plain lines there.
    return subprocess.run([program, "-l", "-"], input=page().encode(), check=False).returncode


def page() -> str:
    """The source of the page, for troff's man macros (man(7))."""
    from lollms_client import __version__
    from lollms_client.cli import COMMANDS
    from lollms_client.cli.app import build

    whole = typer.main.get_command(build(COMMANDS))
    lines = [
        f'.TH LOLLMS 1 "" "lollms-client {__version__}" "User Commands"',
        ".SH NAME", r"lollms \- speech, transcription, images, music and video, whatever engine does it",
        ".SH SYNOPSIS", ".B lollms", r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]...",
        ".SH DESCRIPTION", _text(whole.help or ""), ".SH COMMANDS",
    ]  # fmt: skip
    for name, command in getattr(whole, "commands", {}).items():
        lines += _command(name, command)
    for title, entries in (("EXIT STATUS", _CODES), ("ENVIRONMENT", _VARIABLES), ("FILES", _FILES)):
        lines.append(f".SH {title}")
        for what, said in entries.items():
            lines += [".TP", f".B {_text(what)}", _text(said)]
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any) -> Iterator[str]:
    words = [_text(_shown(param)) for param in command.params if _is_argument(param)]
    yield f".SS lollms {_text(name)} {' '.join(words)}".rstrip()
    for number, paragraph in enumerate(inspect.cleandoc(command.help or "").split("\n\n")):
        yield from [".PP"] if number else []
        yield _text(" ".join(paragraph.split()))
    for param in command.params:
        if _is_argument(param) or getattr(param, "hidden", False):
            continue
        flags = ", ".join([*param.opts, *param.secondary_opts])
        takes = "" if getattr(param, "is_flag", False) else f" \\fI{_text(_shown(param))}\\fR"
        yield from (".TP", f"\\fB{_text(flags)}\\fR{takes}", _text(getattr(param, "help", None) or ""))
    for sub, child in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {sub}", child)


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _shown(param: Any) -> str:
    kind = getattr(getattr(param, "type", None), "name", None)
    return str(param.metavar or kind or param.name).upper()


def _text(text: str) -> str:
    """Text as troff takes it: no line is a request, and hyphens can be copied."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
