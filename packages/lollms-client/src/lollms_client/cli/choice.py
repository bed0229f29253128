"""Which binding is meant: the command says it, else the environment, else the configuration, else only one is there."""

from __future__ import annotations

import difflib
import os
from typing import NamedTuple

from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.errors import BindingNotFoundError
from lollms_modalities.finding.bindings import find_bindings
from lollms_modalities.finding.mending import extra_of, install_command, plain

from lollms_client.cli import configuration
from lollms_client.cli.errors import UsageError

MODALITY_OF = {
    "speak": "tts", "voices": "tts", "transcribe": "stt", "listen": "stt", "image": "tti", "edit": "tti",
    "upscale": "tti", "cut-out": "tti", "music": "ttm", "video": "ttv",
}  # fmt: skip
_COMMANDS = {"speak": "tts", "image": "tti", "transcribe": "stt", "music": "ttm", "video": "ttv"}
_STARTERS = {"tts": "piper", "stt": "faster-whisper", "tti": "diffusers", "ttm": "bark", "ttv": "diffusers"}


class Choice(NamedTuple):
    """A binding, and what chose it.

    Attributes:
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        name: of the binding.
        source: what chose it.
    """

    modality: str
    name: str
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """What the configuration names, where it chose and names several; else none."""
        if self.source != str(configuration.path()):
            return ()
        names = tuple(known_name(self.modality, name) for name in configuration.load().bindings(self.modality))
        return names if len(names) > 1 else ()

    @property
    def chain(self) -> tuple[str, ...]:
        """What is to be tried in turn: one name, or several."""
        return self.names or (self.name,)


def choose(
    modality: str,
    given: str | None = None,
    environment: str | None = None,
    place: str | None = None,
    starter: str | None = None,
) -> Choice:
    """The binding that is to be used.

    Args:
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        given: its name where the command says it.
        environment, place: where it is to run, if not here.
        starter: the extra that is advised where none is installed, if not the modality's usual one.

    Raises:
        UsageError: several are installed and none is chosen, or the name is one of another modality.
        BindingNotFoundError: none is installed.
    """
    if given is not None and not given.strip():
        raise UsageError("--binding names nothing.", hint=f"lollms list {modality} shows those that there are.")
    if given:
        name = known_name(modality, given)
        _not_of_another(modality, name)
        return Choice(modality, name, "--binding")
    variable = f"LOLLMS_{modality.upper()}_BINDING"
    if name := os.environ.get(variable, "").strip():
        return Choice(modality, known_name(modality, name), variable)
    if configured := configuration.load().bindings(modality):
        names = tuple(known_name(modality, name) for name in configured)
        here = {name for ref in find_bindings(modality) for name in ref.names}
        name = next((name for name in names if name in here), names[0])
        return Choice(modality, name, str(configuration.path()))
    if place is not None:
        environment = None  # which is there, where others look
    known = sorted({ref.name for ref in find_bindings(modality) if environment in (None, ref.environment)})
    if len(known) == 1:
        return Choice(modality, known[0], f"the only one {'installed' if environment is None else 'there'}")
    if not known and (elsewhere := place or environment) is not None:
        raise UsageError(f"Which {modality} binding of {elsewhere!r} is meant?", hint="Name it with --binding.")
    if not known:
        advised = install_command(starter or _STARTERS[modality])
        raise BindingNotFoundError(f"No {modality} binding is installed.", hint=f"Run {advised}, for one.")
    raise UsageError(
        f"Several {modality} bindings are installed: {', '.join(known)}.",
        hint=f"Name one with --binding, in {variable}, or for good: lollms config {modality}.binding {known[0]}",
    )


def known_name(modality: str, name: str) -> str:
    """The name of a binding as it is known, of ``Faster-Whisper`` or ``stt:faster_whisper``; else as it was given.

    Raises:
        UsageError: it is said to be of another modality.
    """
    before, colon, after = name.partition(":")
    if colon and before.strip().casefold() in MODALITIES:
        if before.strip().casefold() != modality:
            raise UsageError(
                f"{name!r} is no {modality} binding.",
                hint=f"This command takes those that lollms list {modality} shows.",
            )
        name = after
    names = [known for ref in find_bindings(modality) for known in ref.names]
    return name if name in names else next((known for known in names if plain(known) == plain(name)), name)


def _not_of_another(modality: str, name: str) -> None:
    """Raises ``UsageError`` where the name is one of another modality alone, with the command that takes it."""
    having = [m for m in MODALITIES if any(name in ref.names for ref in find_bindings(m))]
    if having and modality not in having:
        commands = [f"lollms {command} -b {name}" for command, m in _COMMANDS.items() if m in having]
        here = sorted({ref.name for ref in find_bindings(modality)})
        raise UsageError(
            f"{name!r} is no {modality} binding, but one of {' and '.join(having)}.",
            hint=f"{' or '.join(commands)} takes it. For {modality} there are: {', '.join(here) or 'none'}.",
        )


def parse_target(target: str) -> Choice:
    """What ``tts:piper``, ``piper`` or ``tts`` means.

    Raises:
        UsageError: no modality, or a name that several modalities have.
        BindingNotFoundError: none of that name is installed.
    """
    before, colon, name = target.partition(":")
    modality = before.strip().casefold()
    if colon:
        if modality not in MODALITIES or not name.strip():
            raise UsageError(
                f"{target!r} names no binding.",
                hint=f"Write it as tts:piper; the modalities are {', '.join(MODALITIES)}.",
            )
        return choose(modality, name)
    if modality in MODALITIES:
        return choose(modality)
    having = [m for m in MODALITIES if any(plain(target) in map(plain, ref.names) for ref in find_bindings(m))]
    if len(having) > 1:
        raise UsageError(
            f"{target!r} is a binding of several modalities.",
            hint=f"Say which: {', '.join(f'{m}:{target}' for m in having)}.",
        )
    if not having:
        raise _not_there(target)
    return choose(having[0], target)


def _not_there(target: str) -> BindingNotFoundError:
    everything = {f"{m}:{name}": name for m in MODALITIES for ref in find_bindings(m) for name in ref.names}
    close = difflib.get_close_matches(plain(target), everything.values(), n=1)
    if extra := extra_of(target):
        hint = f"Run {install_command(extra)}."
    elif close:
        hint = f"Did you mean {next(full for full, name in everything.items() if name == close[0])!r}?"
    else:
        installed = sorted(f"{m}:{ref.name}" for m in MODALITIES for ref in find_bindings(m))
        hint = f"Installed: {', '.join(installed) or 'none'}."
    return BindingNotFoundError(f"No binding {target!r} is installed.", hint=hint)
