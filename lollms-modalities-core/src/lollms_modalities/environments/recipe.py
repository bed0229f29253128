"""How an environment for a binding is made: ``environment.toml`` in the top-level package of its distribution, as data.

It is read from the wheel, before anything is installed. Every key is optional::

    python = ">=3.11,<3.13"         # which Pythons the engine runs on
    extras = ["voice"]              # of the distribution
    requirements = []               # more to install
    overrides = ["torch>=2.6"]      # what takes the place of requirements of others, whoever has them
    exclusions = ["xformers"]       # what is not installed, whoever requires it
    torch = true                    # the engine runs on torch: which build is taken is asked for with --torch
    cuda-files = ["x/lib/*.so"]     # what fails beside a torch for the CPU, unless it comes for the CPU, too: taken out

    [variables]                     # of the processes that run there
    OMP_WAIT_POLICY = "passive"

    [stand-ins."xformers.ops"]      # a module written into the environment for an import that cannot be had
    reason = "imported at the top, used only where memory_efficient attention is asked for"
    code = ""
    version = "0"                   # where others ask for the metadata of a distribution called like the module

    [check]                         # run there when all is installed; an exception says that it does not work
    code = "import engine"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lollms_modalities.errors import EnvironmentBuildError

FILE = "environment.toml"
_KEYS = [
    "python", "extras", "requirements", "overrides", "exclusions", "torch", "cuda-files", "variables", "stand-ins",
    "check",
]  # fmt: skip
_T = TypeVar("_T")


@dataclass(frozen=True)
class StandIn:
    """A module for an import that cannot be had.

    Attributes:
        module: its dotted name.
        reason: why it stands there.
        code: what is in it.
        version: of a distribution of its name, for those who ask for one; "" for none.
    """

    module: str
    reason: str
    code: str = ""
    version: str = ""


@dataclass(frozen=True)
class Recipe:
    """What a distribution says of the environment that it wants; the attributes are the file's keys."""

    python: str = ""
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    torch: bool = False
    cuda_files: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    stand_ins: tuple[StandIn, ...] = ()
    check: str = ""


def parse_recipe(text: str, where: str) -> Recipe:
    """Read a recipe; ``where`` says where it stands, for the error.

    Raises:
        EnvironmentBuildError: it is no TOML, has an unknown key, or a value of the wrong kind.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise _wrong(where, f"is no TOML: {exc}") from exc
    _known(where, "", data, _KEYS)
    check = _of(where, data, "check", dict)
    _known(where, "[check] ", check, ["code"])
    recipe = Recipe(
        python=_of(where, data, "python", str),
        extras=_strings(where, data, "extras"),
        requirements=_strings(where, data, "requirements"),
        overrides=_strings(where, data, "overrides"),
        exclusions=_strings(where, data, "exclusions"),
        torch=_of(where, data, "torch", bool),
        cuda_files=_strings(where, data, "cuda-files"),
        variables=_variables(where, _of(where, data, "variables", dict)),
        stand_ins=tuple(_stand_in(where, *entry) for entry in _of(where, data, "stand-ins", dict).items()),
        check=_of(where, check, "code", str),
    )
    _check_requirements(where, recipe)
    return recipe


def _check_requirements(where: str, recipe: Recipe) -> None:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(recipe.python)
        for text in (*recipe.requirements, *recipe.overrides, *recipe.exclusions):
            Requirement(text)
    except (InvalidRequirement, InvalidSpecifier) as exc:
        raise _wrong(where, f"holds what cannot be read: {exc}") from exc


def _stand_in(where: str, module: str, entry: object) -> StandIn:
    if not isinstance(entry, dict):
        raise _wrong(where, f"has a stand-in for {module} that is no table")
    _known(where, f"[stand-ins.{module!r}] ", entry, ["reason", "code", "version"])
    reason = _of(where, entry, "reason", str)
    if not all(part.isidentifier() for part in module.split(".")):
        raise _wrong(where, f"has a stand-in whose module is {module!r}")
    if not reason.strip():
        raise _wrong(where, f"gives no reason for the stand-in of {module}")
    version = _of(where, entry, "version", str)
    if version and "." in module:
        raise _wrong(where, f"gives a version to the stand-in for {module}, which is no top-level module")
    return StandIn(module, reason, _of(where, entry, "code", str), version)


def _variables(where: str, table: Mapping[str, Any]) -> dict[str, str]:
    for name, value in table.items():
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise _wrong(where, f"sets the variable {name!r} to {value!r}, which is no string")
    return dict(table)


def _strings(where: str, data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = _of(where, data, key, list)
    if not all(isinstance(value, str) for value in values):
        raise _wrong(where, f"wants strings in {key}")
    return tuple(values)


def _of(where: str, data: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    value = data.get(key, kind())
    if not isinstance(value, kind):
        raise _wrong(where, f"has {key} = {value!r}, which is no {kind.__name__}")
    return value


def _known(where: str, table: str, data: Mapping[str, Any], keys: list[str]) -> None:
    for key in data:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            also = f" Is it {close[0]!r}?" if close else ""
            raise _wrong(where, f"has the unknown key {table}{key!r}.{also}")


def _wrong(where: str, what: str) -> EnvironmentBuildError:
    return EnvironmentBuildError(
        f"The recipe {where} {what.rstrip('.?') + ('?' if what.endswith('?') else '.')}",
        hint="Tell the binding's authors.",
        reason="recipe",
    )
