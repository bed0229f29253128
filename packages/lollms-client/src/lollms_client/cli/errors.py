"""What the user is told: a failure in one paragraph on stderr, warnings and log lines without their source."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any

from lollms_modalities.errors import CallCancelled, LollmsError, OptionError, SettingsError

from lollms_client.cli import CANCELLED
from lollms_client.cli.text import paragraph

FAILURE, USAGE = 1, 2


class UsageError(LollmsError):
    """What was typed cannot be meant."""


_debug = False


def explain(exc: Exception, *, debug: bool | None = None) -> int:
    """Tell what went wrong, with its traceback for ``--debug``; the exit code."""
    if _debug if debug is None else debug:
        import traceback

        traceback.print_exception(exc)
        return code_of(exc)
    show = getattr(exc, "show", None)
    if show is not None and hasattr(exc, "exit_code"):  # typer's, of which several versions have several classes
        show()
        return code_of(exc)
    if isinstance(exc, CallCancelled):
        tell("Cancelled.")
    elif isinstance(exc, LollmsError):
        tell(f"lollms: {exc}")
    elif isinstance(exc, OSError):
        what = f"{exc.filename}: " if exc.filename else ""
        tell(f"lollms: {what}{exc.strerror or exc}.{_here()}")
    else:
        said = f": {exc}" if str(exc) else ""
        tell(f"lollms: {type(exc).__name__}{said}. This should not happen: run it again with --debug and report it.")
    return code_of(exc)


def _here() -> str:
    """What is to be said of the working directory, which many an error comes from and none names."""
    try:
        os.getcwd()
    except OSError:
        return " The working directory is gone: change to another."
    return ""


def code_of(exc: Exception) -> int:
    """The exit code of a failure."""
    if isinstance(exc, CallCancelled):
        return CANCELLED
    if isinstance(exc, (UsageError, OptionError, SettingsError)):
        return USAGE
    return int(getattr(exc, "exit_code", FAILURE))


def tell(text: str) -> None:
    """A paragraph on stderr."""
    print(paragraph(text, sys.stderr), file=sys.stderr)


def listen(*, debug: bool) -> None:
    """Show warnings and what the libraries log as one line each, or with ``--debug`` all that they say."""
    global _debug
    _debug = debug
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        return
    warnings.showwarning = _show_warning
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("lollms: %(message)s"))
    ours = logging.getLogger("lollms_modalities")
    ours.addHandler(handler)
    # Damaged metadata is told by `lollms list`, `lollms doctor`, and where a binding is not found.
    for name in ("entry_points", "settings"):
        quiet = logging.getLogger(f"lollms_modalities.{name}")
        quiet.propagate = False
        quiet.addHandler(logging.NullHandler())


class _OneLine(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        return ""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).rstrip()
        error = record.exc_info[1] if record.exc_info else None
        return f"{text}: {type(error).__name__}: {error}" if error is not None else text


def _show_warning(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
    tell(f"lollms: warning: {str(message).strip()}")
