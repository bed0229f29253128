"""Managers list the bindings of a modality and make them."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from lollms_modalities.entry_points.refs import BindingRef, refresh
from lollms_modalities.errors import (
    BindingUnavailableError,
    BindingUnavailableWarning,
    DuplicateBindingWarning,
    EnvironmentUsedWarning,
    SettingsError,
)
from lollms_modalities.finding.bindings import candidates, find_bindings
from lollms_modalities.finding.clashes import clash_of, elsewhere

if TYPE_CHECKING:
    from pathlib import Path

    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.finding.checking import Finding
    from lollms_modalities.workers.opening import Opener
    from lollms_modalities.workers.places import PlaceGiven
    from lollms_modalities.workers.policy import Pool, WorkerPolicy

B = TypeVar("B", bound="LollmsBinding")
_told_of: set[tuple[str, str]] = set()


class Maker(Generic[B]):
    """Makes a binding when it is called with the settings.

    Attributes:
        describe: what the binding's class says of itself, as ``LollmsBinding.describe()``.
    """

    def __init__(self, make: Callable[[Mapping[str, Any]], B], describe: Callable[[], dict[str, Any]]) -> None:
        self._make = make
        self.describe = describe

    def __call__(self, settings: Mapping[str, Any]) -> B:
        return self._make(settings)


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
        # One distribution here and in an environment is no conflict.
        return {name: refs for name, refs in claims.items() if len({ref.distribution for ref in refs}) > 1}

    def create_binding(
        self, binding_name: str, *, environment: str | Path | Literal[False] | None = None, isolated: bool = False,
        pool: Pool | None = None, policy: WorkerPolicy | None = None, place: PlaceGiven | None = None, **kwargs: Any,
    ) -> B | None:  # fmt: skip
        """Make a binding, with its settings as keyword arguments.

        Args:
            binding_name: one of ``get_available_bindings()``, or what the environment has.
            environment: run it there, in another process: the name of an environment, or the folder of a virtual one.
                Left out, an environment is used where the binding is only there, or where what it requires clashes with
                what is installed here (an ``EnvironmentUsedWarning`` then says so, once). False: none is.
            isolated: run it in another process of the interpreter that runs here.
            pool: how many such processes there may be, for calls side by side; ``(0, 8)`` are as many as the calls that
                wait want, between these.
            policy: what else there is to say of them.
            place: run it there, in another process: a place, the name of one that a distribution offers, or an address
                such as ``ssh://user@host`` or ``https://server``; with options of its own as ``{"kind": "ssh://user@host",
                ...}``. Where that place shares no files with this program,
                ``environment`` is one that it finds there.
            kwargs: the binding's settings.

        Returns:
            None where the binding is not installed, does not fit this core, lacks a dependency, or cannot be imported;
            a ``BindingUnavailableWarning`` then holds the reason and the command that mends it.

        Raises:
            SettingsError: an unknown or wrong setting, or an unknown place; and whatever else the binding's constructor
                raises.
        """
        try:
            make = self.maker(
                binding_name, environment=environment, isolated=isolated, pool=pool, policy=policy, place=place
            )
        except BindingUnavailableError as exc:
            warnings.warn(BindingUnavailableWarning(exc), stacklevel=2)
            return None
        return make(kwargs)

    def require_binding(
        self, binding_name: str, *, environment: str | Path | Literal[False] | None = None, isolated: bool = False,
        pool: Pool | None = None, policy: WorkerPolicy | None = None, place: PlaceGiven | None = None, **kwargs: Any,
    ) -> B:  # fmt: skip
        """As ``create_binding``, but raises the ``BindingUnavailableError`` instead of giving None."""
        make = self.maker(
            binding_name, environment=environment, isolated=isolated, pool=pool, policy=policy, place=place
        )
        return make(kwargs)

    async def acreate_binding(
        self, binding_name: str, *, environment: str | Path | Literal[False] | None = None, isolated: bool = False,
        pool: Pool | None = None, policy: WorkerPolicy | None = None, place: PlaceGiven | None = None, **kwargs: Any,
    ) -> B | None:  # fmt: skip
        """As ``create_binding``, off the event loop. Cancelling its task ends what has been started."""
        try:
            return await self.arequire_binding(
                binding_name,
                environment=environment,
                isolated=isolated,
                pool=pool,
                policy=policy,
                place=place,
                **kwargs,
            )
        except BindingUnavailableError as exc:
            warnings.warn(BindingUnavailableWarning(exc), stacklevel=2)
            return None

    async def arequire_binding(
        self, binding_name: str, *, environment: str | Path | Literal[False] | None = None, isolated: bool = False,
        pool: Pool | None = None, policy: WorkerPolicy | None = None, place: PlaceGiven | None = None, **kwargs: Any,
    ) -> B:  # fmt: skip
        """As ``require_binding``, off the event loop. Cancelling its task ends what has been started."""
        from lollms_modalities.finding.awaited import made_aside

        return await made_aside(
            lambda cancel: self.maker(
                binding_name, environment=environment, isolated=isolated, pool=pool, policy=policy, place=place,
                cancel=cancel,
            )(kwargs)
        )  # fmt: skip

    def maker(
        self, binding_name: str, *, environment: str | Path | Literal[False] | None = None, isolated: bool = False,
        pool: Pool | None = None, policy: WorkerPolicy | None = None, place: PlaceGiven | None = None,
        shared: Mapping[str, Any] | None = None, cancel: CancelToken | None = None,
    ) -> Maker[B]:  # fmt: skip
        """What makes the binding from its settings; ``shared`` are settings that it takes where it has them, and
        ``cancel`` ends a worker that has not yet made it.

        Raises:
            BindingUnavailableError: it is not to be had.
            SettingsError: there is no such place, or what is said of processes is said of none.
        """
        isolated = isolated or place is not None
        if environment is None and not isolated:
            environment = self._found_in(binding_name)
        environment = environment or None
        if environment is None and not isolated:
            if pool is not None or policy is not None:
                raise SettingsError(
                    "pool= and policy= are for bindings in another process.",
                    hint="Add isolated=True, environment= or place=.",
                )
            cls = self.load_class(binding_name)
            return Maker(
                lambda settings: self._made(cls(**cls.with_shared(shared or {}, settings)), binding_name), cls.describe
            )
        opener = self._opener(binding_name, environment, pool, policy, place, cancel)
        return Maker(lambda settings: self._made(opener.make(settings, shared or {})), opener.describe)

    def _opener(
        self, name: str, environment: str | Path | None, pool: Pool | None, policy: WorkerPolicy | None,
        place: PlaceGiven | None, cancel: CancelToken | None,
    ) -> Opener:  # fmt: skip
        from dataclasses import replace

        from lollms_modalities.environments.environment import find_environment
        from lollms_modalities.workers.finding_places import find_place
        from lollms_modalities.workers.opening import Opener
        from lollms_modalities.workers.places import PROCESS, has_our_environments
        from lollms_modalities.workers.policy import WorkerPolicy

        at = find_place(place)
        policy = policy or WorkerPolicy()
        if pool is not None:
            policy = replace(policy, pool=pool)
        # Environments of another machine are known there.
        found = None if environment is None or not has_our_environments(at) else find_environment(environment)
        if found is not None:
            policy = replace(policy, variables={**found.variables, **policy.variables})
        return Opener(
            self.modality,
            name,
            python=None if found is None else found.python,
            where="" if at is not PROCESS else "here, in a process of its own" if found is None else found.name,
            directory=self._directory,
            policy=policy,
            place=at,
            environment=found.name if found is not None else None if environment is None else str(environment),
            lock=None if found is None else found.lock,
            cancel=cancel,
        )

    def find(self, binding_name: str, distribution: str | None = None) -> BindingRef:
        """The metadata of the binding that a name means; ``origin`` says where it was found.

        Args:
            binding_name: one of ``get_available_bindings()``.
            distribution: which one's, where several claim the name.

        Raises:
            BindingNotFoundError: no distribution offers the name.
        """
        found = self._find(binding_name, distribution)
        return found[0] if clash_of(found) is None else elsewhere(found)[0]

    def _find(self, binding_name: str, distribution: str | None = None) -> list[BindingRef]:
        """All that claim a name, the first one first."""
        found = candidates(self.refs(), binding_name)
        if distribution is not None:
            found = [ref for ref in found if ref.distribution == distribution]
        if not found:
            from lollms_modalities.finding.loading import not_found

            raise not_found(self.modality, binding_name, self.get_available_bindings(), self._directory)
        if len({ref.distribution for ref in found}) > 1:
            self._warn_of_duplicates(binding_name, found)
        return found

    def _found_in(self, binding_name: str) -> str | None:
        """The environment that a binding runs in unless told otherwise, or None."""
        found = self._find(binding_name)
        clash = clash_of(found)
        if clash is None:
            return found[0].environment
        environment = elsewhere(found)[0].environment
        if ("clash", f"{self.modality}:{binding_name}") not in _told_of:
            _told_of.add(("clash", f"{self.modality}:{binding_name}"))
            warnings.warn(
                EnvironmentUsedWarning(
                    f"{clash.message} So it runs in the environment {environment!r}, in another process. "
                    f"environment={environment!r} says so without this warning; environment=False forbids it."
                ),
                stacklevel=4,
            )
        return environment

    def load_class(self, binding_name: str, distribution: str | None = None) -> type[B]:
        """Import a binding's class; raises one of the four ``BindingUnavailableError``. Arguments as of ``find``."""
        from lollms_modalities.finding.loading import load_class

        ref = self._find(binding_name, distribution)[0]
        cls = load_class(ref, self._base())
        if cls._origin is None:
            cls._origin = ref.identity
        return cls

    def describe(self, binding_name: str) -> dict[str, Any]:
        """All that is known of a binding without making one, as JSON values: its settings and options as JSON schemas,
        its verbs, and where it comes from. Imports the binding, unless it is in an environment, which remembers."""
        ref = self.find(binding_name)
        if ref.environment is None:
            description = self.load_class(binding_name).describe()
        else:
            from lollms_modalities.environments.describing import describe_binding

            description = describe_binding(ref)
        return {
            "name": ref.name,
            "aliases": list(ref.aliases),
            "distribution": ref.distribution,
            "version": ref.version,
            "place": ref.origin,
            "environment": ref.environment,
            **description,
        }

    def check(self, timeout: float = 60.0) -> list[Finding]:
        """Import each binding in a process of its own, and tell of each whether it can be used and why not.

        Nothing that a broken one does, such as ending the process or never coming to an end, reaches this program.

        Args:
            timeout: seconds that each may take.
        """
        from lollms_modalities.finding.checking import check_bindings

        return list(check_bindings(self.refs(), timeout))

    def refresh(self) -> None:
        """Read the metadata again: something was installed or removed."""
        refresh()

    def _made(self, binding: Any, binding_name: str | None = None) -> B:
        from lollms_modalities import hooks

        if binding_name is not None:
            binding._binding_name = self.find(binding_name).name
        if (relay := hooks.relay()) is not None:
            relay.binding_created(binding)
        made: B = binding
        return made

    def _base(self) -> type[B]:
        module = importlib.import_module(f"lollms_modalities.contract.{self.modality}")
        base: type[B] = getattr(module, f"Lollms{self.modality.upper()}Binding")
        return base

    def _warn_of_duplicates(self, name: str, claimants: list[BindingRef]) -> None:
        if (self.modality, name) in _told_of:
            return
        _told_of.add((self.modality, name))
        who = [f"{ref.distribution} {ref.version} ({ref.origin})" for ref in claimants]
        warnings.warn(
            DuplicateBindingWarning(
                f"The name {name!r} of a {self.modality} binding is claimed by {' and '.join(who)}. {who[0]} is used; "
                "uninstall the other to end this."
            ),
            stacklevel=4,
        )
