"""The place that ``place=`` means: an object, a name, or an address such as ``ssh://gpu-box``.

Distributions offer places as entry points in the group ``lollms_client.places``. A name is that of an entry; of an
address, the part before ``://`` is. One is imported when a binding is asked for there.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import threading
import warnings
from collections.abc import Mapping
from typing import Any

from lollms_modalities.calls.failures import said
from lollms_modalities.entry_points.groups import PLACES
from lollms_modalities.entry_points.metadata import read_entry_points
from lollms_modalities.entry_points.refs import Told
from lollms_modalities.errors import (
    BindingBrokenError,
    BindingDependencyError,
    DuplicateBindingWarning,
    LollmsError,
    SettingsError,
)
from lollms_modalities.workers.places import PROCESS, Place, ProcessPlace

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_loaded: dict[tuple[str, str, str], Place] = {}  # by what was asked for, whose it is, and its options
_loading = threading.Lock()


def place_names() -> list[str]:
    """The names of the places that there are, which are the schemes of addresses, too. Imports none."""
    return sorted({ProcessPlace.name, *(entry.name for entry in read_entry_points(PLACES))})


def find_place(place: Place | str | Mapping[str, Any] | None) -> Place:
    """The place that is meant: an object, the name of one, an address, or None for a process of this machine.

    A mapping is a place with options of its own, ``{"kind": "ray", "num_gpus": 1}``: ``kind`` is the name or address,
    and all else goes to the place as keyword arguments. What an address names is made once for each set of options,
    with the address as the only other argument; so is a name's, without one.

    Raises:
        SettingsError: no place, no distribution offers one of that name, or it takes no such address or option.
        BindingDependencyError: what it needs cannot be imported.
        BindingBrokenError: it fails when it is imported, or is no place.
    """
    if place is None or place == ProcessPlace.name:
        return PROCESS
    if isinstance(place, str):
        return _named(place, {})
    if isinstance(place, Mapping):
        options = dict(place)
        kind = options.pop("kind", None)
        if not isinstance(kind, str) or not all(isinstance(name, str) for name in options):
            raise SettingsError(
                f"A place that is given with options needs its kind; given: {', '.join(map(str, place)) or 'nothing'}.",
                hint=f'Add kind = "...", a name or an address: {", ".join(place_names())}.',
                names=["place"],
            )
        if kind != ProcessPlace.name:
            return _named(kind, options)
        _check_options(ProcessPlace, (), options, kind)
        return PROCESS
    if isinstance(place, type) or not isinstance(place, Place):
        raise SettingsError(
            f"place={place!r} is no place: that has a name, shares_files and start().",
            hint=f"Give one, a name or an address: {', '.join(place_names())}.",
            names=["place"],
        )
    return place


def _named(text: str, options: dict[str, Any]) -> Place:
    address = _ADDRESS.match(text)
    name = text if address is None else address[1].lower()
    found = sorted((entry for entry in read_entry_points(PLACES) if entry.name == name), key=_owner)
    if not found:
        what = f"a place {text!r:.200}" if address is None else f"places with addresses {name}://"
        raise SettingsError(
            f"No distribution offers {what}.",
            hint=f"There are: {', '.join(place_names())}. An address is written as ssh://user@host.",
            names=["place"],
        )
    entry, owners = found[0], list(dict.fromkeys(map(_owner, found)))
    whose = (text, entry.value, repr(sorted(options.items())))
    with _loading:  # a place may start something, which is to be there once
        if (made := _loaded.get(whose)) is not None:
            return made
        if len(owners) > 1:
            warnings.warn(
                DuplicateBindingWarning(
                    f"The place {name!r} is claimed by {' and '.join(owners)}. {owners[0]} is used; uninstall the "
                    "other to end this."
                ),
                stacklevel=2,
            )
        made = _loaded[whose] = _load(entry, text, options, address is not None)
        return made


def _load(entry: importlib.metadata.EntryPoint, text: str, options: dict[str, Any], is_address: bool) -> Place:
    what = f"The place {entry.name!r} of {_owner(entry)}"
    try:
        made: Any = entry.load()
    except (ImportError, AttributeError) as exc:
        raise BindingDependencyError(
            f"{what} cannot be imported: {said(exc).rstrip('.')}.",
            hint=f"Install {_owner(entry)} again, with all that it requires.",
        ) from exc
    except Exception as exc:
        raise BindingBrokenError(
            f"{what} fails when it is imported: {said(exc).rstrip('.')}.", hint="Tell its authors."
        ) from exc
    factory = isinstance(made, type) or (callable(made) and not isinstance(made, Place))
    if factory or is_address or options:
        given = (text,) if is_address else ()
        _check_options(made if factory else None, given, options, entry.name)
        _check_takes(made if factory else None, given, options, entry.name)
        try:
            made = made(*given, **options)
        except LollmsError:
            raise
        except Exception as exc:
            told = said(exc).rstrip(".").replace(text, f"{entry.name}://...")  # which may hold a password
            raise BindingBrokenError(f"{what} cannot be made: {told}.", hint="Tell its authors.") from exc
    if not isinstance(made, Place):
        raise BindingBrokenError(
            f"{what} is no place but {type(made).__name__}: a place has a name, shares_files and start().",
            hint="Tell its authors.",
        )
    return made


def _check_options(factory: Any, given: tuple[str, ...], options: Mapping[str, Any], name: str) -> None:
    """Raise ``SettingsError`` where it is given an option that it does not take."""
    try:
        parameters = [] if factory is None else list(inspect.signature(factory).parameters.values())[len(given) :]
    except ValueError:
        return  # it tells no signature
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    takes = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for option in options:
        if option not in takes:
            raise SettingsError(
                f"The place {name!r} has no option {option!r:.100}.",
                hint=f"It has: {', '.join(takes)}." if takes else f"It has none. Give place={name!r}.",
                names=["place"],
            )


def _check_takes(factory: Any, given: tuple[str, ...], options: Mapping[str, Any], name: str) -> None:
    """Raise ``SettingsError`` where it wants an address and has none, or has one and wants none."""
    try:
        if factory is None:
            raise TypeError
        inspect.signature(factory).bind(*given, **options)
    except TypeError as exc:
        if given:
            raise SettingsError(
                f"The place {name!r} takes no address.", hint=f"Give place={name!r}.", names=["place"]
            ) from exc
        raise SettingsError(
            f"The place {name!r} needs an address.", hint=f"Write it as {name}://host.", names=["place"]
        ) from exc
    except ValueError:
        pass  # it tells no signature


def _owner(entry: importlib.metadata.EntryPoint) -> str:
    return Told(entry.dist)["Name"] or "a distribution without a name"
