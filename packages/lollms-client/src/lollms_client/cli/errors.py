"""What the user is told: a failure in one paragraph on stderr, warnings and log lines without their source."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
import warnings
from typing import Any

from lollms_modalities.errors import CallCancelled, LollmsError, OptionError, SettingsError

from lollms_client.cli import CANCELLED

FAILURE, USAGE = 1, 2


class UsageError(LollmsError):
    """What was typed cannot be meant."""


def explain(exc: Exception, *, debug: bool) -> int:
    """Tell what went wrong; the exit code."""
    if debug:
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
        tell(f"lollms: {what}{exc.strerror or exc}.")
    else:
        said = f": {exc}" if str(exc) else ""
        tell(f"lollms: {type(exc).__name__}{said}. This should not happen: run it again with --debug and report it.")
    return code_of(exc)


def code_of(exc: Exception) -> int:
    """The exit code of a failure."""
    if isinstance(exc, CallCancelled):
        return CANCELLED
    if isinstance(exc, (UsageError, OptionError, SettingsError)):
        return USAGE
    return int(getattr(exc, "exit_code", FAILURE))


def tell(text: str) -> None:
    """A paragraph on stderr, as wide as the terminal; text for a file or a pipe keeps its lines."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(textwrap.fill(line, width, break_long_words=False) for line in text.splitlines())
    print(text, file=sys.stderr)


def listen(*, debug: bool) -> None:
    """Show warnings and what the libraries log as one line each, or with ``--debug`` all that they say."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        return
    warnings.showwarning = _show_warning
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("lollms: %(message)s"))
    ours = logging.getLogger("lollms_modalities")
    ours.addHandler(handler)
    # Damaged metadata is told by `lollms list`, `lollms doctor`, and where a binding is not found.
    for name in ("discovery", "settings"):
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
