"""From a ``BindingRef`` to its class. The four ways in which that fails are told apart, each with cause and mend."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.entry_points.metadata import damaged
from lollms_modalities.entry_points.refs import BindingRef
from lollms_modalities.errors import (
    BindingBrokenError,
    BindingDependencyError,
    BindingIncompatibleError,
    BindingNotFoundError,
)
from lollms_modalities.finding.bindings import find_bindings, put_on_path
from lollms_modalities.finding.mending import extra_of, install_command, mend_of, plain
from lollms_modalities.settings.telemetry import switch_off_telemetry

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding

_CORE = "lollms-modalities-core"
_B = TypeVar("_B", bound="LollmsBinding")


def load_class(ref: BindingRef, base: type[_B]) -> type[_B]:
    """Import the binding's class.

    Raises:
        BindingNotFoundError: only an environment has it.
        BindingIncompatibleError: its distribution wants another core than this.
        BindingDependencyError: what it requires is missing or unfit, by its metadata or by its import.
        BindingBrokenError: its import fails otherwise, or what the entry point names is no binding of this modality.
    """
    if ref.environment is not None:
        raise BindingNotFoundError(
            f"The {ref.modality} binding {ref.name!r} is in the environment {ref.environment!r}, not here.",
            hint="create_binding runs it there; describe tells what it says of itself.",
            **_about(ref),
        )
    put_on_path(ref)
    check_requirements(ref)
    switch_off_telemetry()
    found = _import(ref)
    if not isinstance(found, type) or not issubclass(found, base):
        what = f"the class {found.__qualname__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise broken(ref, f"names {what}, which is no {base.__name__}")
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise broken(ref, f"names {found.__qualname__}, which does not say how to {', '.join(missing)}")
    _check_declarations(ref, found)
    return found


def _check_declarations(ref: BindingRef, cls: type[LollmsBinding]) -> None:
    from lollms_modalities.settings.base import BindingSettings, CallOptions

    for found, base in ((cls.settings_class(), BindingSettings), (cls.options_class(), CallOptions)):
        if not isinstance(found, type) or not issubclass(found, base):
            raise broken(ref, f"names {cls.__qualname__}, whose {found!r} is no {base.__name__}")


def not_found(modality: str, name: str, available: Iterable[str], directory: str | None = None) -> BindingNotFoundError:
    """The error for a name that no distribution offers, with the command that installs it where it is known.

    It also tells of distributions that may offer it and cannot be read.
    """
    known = list(available)
    extra = extra_of(name)
    close = difflib.get_close_matches(plain(name), known, n=1)
    if same := [k for k in known if plain(k) == plain(name)]:
        hint = f"It is called {same[0]!r}."
    elif elsewhere := [kind for kind in MODALITIES if any(name in ref.names for ref in find_bindings(kind, directory))]:
        # Its extra would bring what is here already.
        hint = f"What is installed offers {name!r} for {', '.join(elsewhere)}."
    elif extra:  # before what looks like it and is installed
        hint = f"Run {install_command(extra)}."
    elif close:
        hint = f"Did you mean {close[0]!r}?"
    else:
        hint = "Install the distribution that offers it."
    there = f"Installed: {', '.join(known)}." if known else "None is installed."
    for error in [*damaged(), *(damaged(directory) if directory is not None else ())]:
        there += f" {error.message}"
    return BindingNotFoundError(
        f"No {modality} binding {name!r} is installed. {there}", hint=hint, name=name, modality=modality
    )


def check_requirements(ref: BindingRef, versions: dict[str, str | None] | None = None) -> None:
    """Whether what the binding's distribution requires is here, by metadata only.

    Args:
        ref: which binding.
        versions: what has been looked up, to be used and added to where many are checked one after the other.

    Raises:
        BindingIncompatibleError, BindingDependencyError, BindingBrokenError: as ``load_class``.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    unfit, clash = [], False
    versions = {} if versions is None else versions
    for text in ref.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as exc:
            raise broken(ref, f"comes with a requirement that cannot be read, {text!r:.80}") from exc
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in versions:
            versions[requirement.name] = _version_of(requirement.name)
        found = versions[requirement.name]
        if found is not None and requirement.specifier.contains(found, prereleases=True):
            continue
        if canonicalize_name(requirement.name) == _CORE:
            raise BindingIncompatibleError(
                f"The {ref.modality} binding {ref.name!r} of {ref.distribution} {ref.version} needs "
                f"{_CORE}{requirement.specifier}, and {found or 'none'} is installed.",
                hint=f"Run {mend_of(ref)}.",
                **_about(ref),
            )
        clash |= found is not None
        unfit.append(f"{requirement.name}{requirement.specifier} ({found or 'missing'})")
    if unfit:
        # What others here need in another version is left as it is by an environment.
        apart = f" Or run lollms env create {ref.name}: it then runs apart." if clash else ""
        raise BindingDependencyError(
            f"The {ref.modality} binding {ref.name!r} of {ref.distribution} {ref.version} needs {', '.join(unfit)}.",
            hint=f"Run {mend_of(ref)}.{apart}",
            **_about(ref),
        )


def _version_of(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _import(ref: BindingRef) -> object:
    module_name, _, attribute = ref.target.partition(":")
    if not attribute:
        raise broken(ref, "names a module, and no class in it")
    try:
        found: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if missing.partition(".")[0] == module_name.partition(".")[0]:
            raise broken(ref, f"cannot be imported: {exc}") from exc
        raise BindingDependencyError(
            f"The {ref.modality} binding {ref.name!r} of {ref.distribution} {ref.version} imports {missing!r}, "
            "which is not installed.",
            hint=f"Run {mend_of(ref)}; if that does not bring it, tell the binding's authors.",
            **_about(ref),
        ) from exc
    except (Exception, SystemExit) as exc:
        raise broken(ref, f"cannot be imported: {type(exc).__name__}: {exc}") from exc
    return found


def broken(ref: BindingRef, what: str) -> BindingBrokenError:
    """The error for a binding that is there and cannot be used; ``what`` goes on after its name."""
    of = f"{ref.distribution} {ref.version}" if ref.distribution else "a distribution without a name"
    return BindingBrokenError(
        f"The {ref.modality} binding {ref.name!r} ({ref.target} of {of}) {what}.",
        hint=f"Tell its authors, or try {mend_of(ref)}.",
        **_about(ref),
    )


def _about(ref: BindingRef) -> dict[str, str]:
    return {"name": ref.name, "modality": ref.modality, "distribution": ref.distribution}
