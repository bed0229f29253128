"""Managers list the bindings of a modality and make them."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from lollms_modalities.discovery import BindingRef, candidates, find_bindings, refresh
from lollms_modalities.errors import BindingUnavailableError, BindingUnavailableWarning, DuplicateBindingWarning

if TYPE_CHECKING:
    from pathlib import Path

    from lollms_modalities.binding import LollmsBinding

B = TypeVar("B", bound="LollmsBinding")
_told_of: set[tuple[str, str]] = set()


class BindingManager(Generic[B]):
    """Lists and makes the bindings of one modality. Use the modality's own: ``LollmsTTSBindingManager`` and so on."""

    modality: ClassVar[str]

    def __init__(self, bindings_dir: str | Path | None = None) -> None:
        self._directory = None if bindings_dir is None else os.path.abspath(os.fspath(bindings_dir))

    def refs(self) -> list[BindingRef]:
        """The bindings that there are, as metadata. ``conflicts`` tells where several claim one name."""
        return find_bindings(self.modality, self._directory)

    def get_available_bindings(self) -> list[str]:
        """Every name that ``create_binding`` takes, sorted. Imports no binding."""
        return sorted({name for ref in self.refs() for name in ref.names})

    def conflicts(self) -> dict[str, list[BindingRef]]:
        """The names that several distributions claim, each with its claimants, the one that is used first."""
        refs = self.refs()
        claims = {name: candidates(refs, name) for name in self.get_available_bindings()}
        return {name: claimants for name, claimants in claims.items() if len(claimants) > 1}

    def create_binding(self, binding_name: str, **kwargs: Any) -> B | None:
        """Make a binding, with its settings as keyword arguments.

        Returns:
            None where the binding is not installed, does not fit this core, lacks a dependency, or cannot be imported;
            a ``BindingUnavailableWarning`` then holds the reason and the command that mends it.

        Raises:
            SettingsError: an unknown or wrong setting; and whatever else the binding's constructor raises.
        """
        try:
            cls = self.load_class(binding_name)
        except BindingUnavailableError as exc:
            warnings.warn(BindingUnavailableWarning(exc), stacklevel=2)
            return None
        return self._make(cls, binding_name, kwargs)

    def require_binding(self, binding_name: str, **kwargs: Any) -> B:
        """As ``create_binding``, but raises the ``BindingUnavailableError`` instead of giving None."""
        return self._make(self.load_class(binding_name), binding_name, kwargs)

    def find(self, binding_name: str) -> BindingRef:
        """The metadata of a binding.

        Raises:
            BindingNotFoundError: no distribution offers the name.
        """
        found = candidates(self.refs(), binding_name)
        if not found:
            from lollms_modalities.loading import not_found

            raise not_found(self.modality, binding_name, self.get_available_bindings())
        if len(found) > 1:
            self._warn_of_duplicates(binding_name, found)
        return found[0]

    def load_class(self, binding_name: str) -> type[B]:
        """Import a binding's class; raises one of the four ``BindingUnavailableError``."""
        from lollms_modalities.loading import load_class

        ref = self.find(binding_name)
        return load_class(ref, self._base())

    def describe(self, binding_name: str) -> dict[str, Any]:
        """All that is known of a binding without making one, as JSON values: its settings and options as JSON schemas,
        its verbs, and where it comes from. Imports the binding."""
        ref = self.find(binding_name)
        return {
            "name": ref.name,
            "aliases": list(ref.aliases),
            "distribution": ref.distribution,
            "version": ref.version,
            "place": ref.place,
            **self.load_class(binding_name).describe(),
        }

    def refresh(self) -> None:
        """Read the metadata again: something was installed or removed."""
        refresh()

    def _make(self, cls: type[B], binding_name: str, settings: dict[str, Any]) -> B:
        from lollms_modalities import hooks

        binding = cls(**settings)
        binding._binding_name = self.find(binding_name).name
        if (relay := hooks.relay()) is not None:
            relay.binding_created(binding)
        return binding

    def _base(self) -> type[B]:
        module = importlib.import_module(f"lollms_modalities.{self.modality}")
        base: type[B] = getattr(module, f"Lollms{self.modality.upper()}Binding")
        return base

    def _warn_of_duplicates(self, name: str, claimants: list[BindingRef]) -> None:
        if (self.modality, name) in _told_of:
            return
        _told_of.add((self.modality, name))
        who = [f"{ref.distribution} {ref.version} ({ref.place})" for ref in claimants]
        warnings.warn(
            DuplicateBindingWarning(
                f"The name {name!r} of a {self.modality} binding is claimed by {' and '.join(who)}. {who[0]} is used; "
                "uninstall the other to end this."
            ),
            stacklevel=4,
        )
