"""A binding for one command: chosen, given its settings, made, and closed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.errors import BindingNotFoundError, BindingUnavailableError, LollmsError, SettingsError
from lollms_modalities.finding.bindings import candidates, find_bindings
from lollms_modalities.finding.manager import BindingManager, Maker

from lollms_client.cli import configuration
from lollms_client.cli.arguments import parse_pairs, typed
from lollms_client.cli.choice import Choice, choose
from lollms_client.cli.errors import UsageError
from lollms_client.cli.interrupt import Interruptible
from lollms_client.cli.progress import Bars

if TYPE_CHECKING:
    from lollms_client.cli.params import Where

# What the verbs take by their documented signatures, whatever the binding.
_ARGUMENTS = {
    "tts": ("voice",), "tti": ("negative_prompt", "width", "height"), "stt": ("model",), "ttm": (), "ttv": (),
}  # fmt: skip


class Which(NamedTuple):
    """What a command says of the binding that it wants.

    Attributes:
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        binding: its name, or None for the default.
        environment, isolated, place: where it runs, as of ``create_binding``.
        settings: ``NAME=VALUE`` words.
        flags: what flags of their own say, such as ``--model``; None for those that were not given.
        starter: as of ``choose``.
    """

    modality: str
    binding: str | None = None
    environment: str | None = None
    isolated: bool = False
    settings: Sequence[str] = ()
    flags: Mapping[str, Any] = {}
    place: str | None = None
    starter: str | None = None

    @classmethod
    def of(cls, modality: str, binding: str | None, where: Where, flags: Mapping[str, Any] | None = None) -> Which:
        """The binding that a command names, with the options that say where it runs."""
        return cls(modality, binding, where.environment, where.isolated, where.set or (), flags or {}, where.place)


class Made(NamedTuple):
    """A binding, and what its class says of itself."""

    binding: LollmsBinding
    description: dict[str, Any]
    flags: Mapping[str, Any] = {}

    def options(self, pairs: Sequence[str]) -> dict[str, Any]:
        """``--opt`` words as the call's options, and the flags that are such; a flag wins."""
        return {**parse_pairs(pairs, self.description["options"], "--opt"), **self.flags}


def manager_of(modality: str) -> BindingManager[Any]:
    """The manager of a modality."""
    module = import_module("lollms_modalities.finding.managers")
    manager: BindingManager[Any] = getattr(module, f"Lollms{modality.upper()}BindingManager")()
    return manager


def maker_of(which: Which) -> tuple[str, Maker[Any]]:
    """The name of the binding that is meant, and what makes it.

    Raises:
        BindingUnavailableError: it is not to be had; where the command did not name it, it says who did.
    """
    choice = choose(which.modality, which.binding, which.environment, which.place, which.starter)
    for name in choice.chain[:-1]:
        try:
            return name, _maker(which, choice._replace(name=name))
        except BindingUnavailableError:
            continue
    name = choice.chain[-1]
    return name, _maker(which, choice._replace(name=name))


def _maker(which: Which, choice: Choice) -> Maker[Any]:
    modality, name, source = choice[:3]
    where, told = _runs_in(which, name)
    try:
        return manager_of(modality).maker(name, isolated=which.isolated, **where)
    except SettingsError as exc:
        if "place" not in told:
            raise
        raise SettingsError(f"{told['place']}: {exc.message}", hint=exc.hint, names=["place"]) from exc
    except BindingNotFoundError as exc:
        # What the command itself said needs no source: the binding, or where it runs.
        if not told and (source == "--binding" or where):
            raise
        file = configuration.load()
        if told:
            source = told.get("environment") or told["place"]
        elif source == str(configuration.path()):
            source = file.where(modality, "binding")
        raise BindingNotFoundError(f"{source}: {exc.message}", hint=exc.hint) from exc


def _runs_in(which: Which, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Where a binding runs, as ``create_binding`` takes it; and where the configuration says that, if it does.

    An environment is one of a place: of those that the configuration names it is used there alone.
    """
    said = {"environment": which.environment, "place": which.place}
    given = {word: value for word, value in said.items() if value is not None}
    if which.isolated or which.place is not None:
        return given, {}
    file = configuration.load()
    names = names_of(which.modality, name)
    configured = file.runs_in(which.modality, name, *names)
    told = {word: file.where_said(which.modality, word, *names) for word in configured if word not in given}
    return {**configured, **given}, told


@contextmanager
def opened(which: Which, more: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda described: {}) -> Iterator[Made]:
    """Make the binding, with the settings of the configuration, those of the command, and ``more`` of the caller's.

    Of several that the configuration names, the first that is to be had; provenance tells of the others.

    Raises:
        UsageError, BindingUnavailableError, SettingsError: it is not to be had like that.
    """
    choice = choose(which.modality, which.binding, which.environment, which.place, which.starter)
    reasons: dict[str, str] = {}
    for name in choice.chain:
        try:
            made = _made(which, choice._replace(name=name), more)
            break
        except (UsageError, SettingsError):
            raise
        except LollmsError as exc:
            if not choice.names:
                raise
            reasons[name] = str(exc)
    else:
        told = " ".join(f"{name}: {reason}" for name, reason in reasons.items())
        where = configuration.load().where(which.modality, "binding")
        raise BindingNotFoundError(
            f"{where}: none of the {which.modality} bindings {', '.join(choice.names)} is to be had. {told}"
        )
    if choice.names:
        made.binding._chosen = {"asked": list(choice.names), "instead_of": reasons}
    with made.binding:
        yield made


def _made(which: Which, choice: Choice, more: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Made:
    name, make = choice.name, _maker(which, choice)
    description = make.describe()
    schema = description["settings"]
    kept, source = configured_settings(which.modality, name, schema)
    of_call, of_binding = _sorted(which, description)
    given = {**parse_pairs(which.settings, schema, "--set"), **of_binding, **more(description)}
    try:
        binding = make({**kept, **given})
    except SettingsError as exc:
        wrong = [name for name in getattr(exc, "names", ()) if name in kept and name not in given]
        if not wrong:
            raise
        raise SettingsError(f"{source(wrong[0])}: {exc.message}", hint=exc.hint, names=wrong) from exc
    return Made(binding, description, of_call)


def names_of(modality: str, name: str) -> list[str]:
    """All names of a binding; the one that was given where it is not known here."""
    return list({n: None for ref in candidates(find_bindings(modality), name) for n in ref.names}) or [name]


def configured_settings(
    modality: str, name: str, schema: Mapping[str, Any]
) -> tuple[dict[str, Any], Callable[[str], str]]:
    """What the configuration file says of a binding, by any of its names; and where it says one setting."""
    names = names_of(modality, name)
    file = configuration.load()
    tables = {n: file.tables.get(modality, {}).get(n, {}) for n in names}

    def where(setting: str) -> str:
        return file.where(modality, next((n for n in reversed(tables) if setting in tables[n]), name), setting)

    kept = {}
    for key, value in file.settings(modality, *names).items():
        try:
            kept[key] = typed(key, value, schema) if isinstance(value, str) else value
        except UsageError as exc:
            raise UsageError(f"{where(key)}: {exc.message}", hint=exc.hint) from exc
    return kept, where


def _sorted(which: Which, description: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The flags that are options of the call, and those that are settings: which of them a binding has, it says."""
    of_call, of_binding = {}, {}
    known = description["settings"].get("properties", {})
    for name, value in which.flags.items():
        setting = next((s for s in (name, f"{name}_name", f"default_{name}") if s in known), None)
        if value is None:
            continue
        if name in description["options"].get("properties", {}) or name in _ARGUMENTS[which.modality] or not setting:
            of_call[name] = value
        else:
            of_binding[setting] = value
    return of_call, of_binding


@contextmanager
def watched(label: str = "", *, shown: bool = True) -> Iterator[dict[str, Any]]:
    """What a verb is given so that its progress is shown and Ctrl-C cancels it."""
    with Bars(label) as progress, Interruptible() as token:
        yield {"progress": progress if shown else None, "cancel": token}


def call(fn: Callable[..., Any], *args: Any, label: str = "", **kwargs: Any) -> Any:
    """Run a verb with a progress bar, so that Ctrl-C cancels it."""
    with watched(label) as watching:
        return fn(*args, **kwargs, **watching)
