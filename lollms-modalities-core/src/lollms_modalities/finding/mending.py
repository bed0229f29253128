"""What to run so that a binding is there: the command, with versions that fit what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lollms_modalities.version import requirement

if TYPE_CHECKING:
    from lollms_modalities.entry_points.refs import BindingRef

CLIENT = "lollms-client"
# Extras that bring something else.
_NO_BINDINGS = {
    "align", "all", "live", "marks", "microphone", "ray", "server", "speakers", "template", "testing", "websocket",
}  # fmt: skip
# Names of bindings whose extra is called otherwise.
OTHERWISE = {"piper-tts": "piper", "openai": "dalle", "remote": "lollms"}


def plain(name: str) -> str:
    """A name without what is mistaken in it: ``Faster-Whisper`` is ``faster_whisper``."""
    return name.strip().casefold().replace("-", "_")


def extra_of(name: str) -> str:
    """The extra of the client that brings a binding of that name; "" where none does."""
    extra = plain(name).replace("_", "-")
    extra = OTHERWISE.get(extra, extra)
    return extra if extra in extras() - _NO_BINDINGS else ""


def extras() -> frozenset[str]:
    """The extras of the client, by its metadata; none where it is not installed."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        return frozenset(metadata(CLIENT).get_all("Provides-Extra") or ())
    except PackageNotFoundError:
        return frozenset()


def install_command(extra: str, *, upgrade: bool = False) -> str:
    """What installs an extra of the client: our command, and what it comes to."""
    flag = "--upgrade " if upgrade else ""
    return f"lollms install {flag}{extra} (pip install {flag}{requirement(CLIENT, extra)})"


def mend_of(ref: BindingRef) -> str:
    """The command that installs the binding with all that it needs."""
    if extra := extra_of(ref.name):
        return install_command(extra, upgrade=True)
    return f"pip install --upgrade {ref.distribution}" if ref.distribution else "to install it again"
