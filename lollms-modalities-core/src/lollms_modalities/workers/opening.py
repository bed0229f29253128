"""A worker is started, finds the binding's class, and makes the binding."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities.settings.older import settled
from lollms_modalities.workers.elastic import ElasticWorkers
from lollms_modalities.workers.finding_places import find_place
from lollms_modalities.workers.generated import make_class
from lollms_modalities.workers.interpreter import check_interpreter, explain_start
from lollms_modalities.workers.places import PROCESS
from lollms_modalities.workers.policy import Spec, WorkerPolicy
from lollms_modalities.workers.pool import Workers

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.workers.isolated import IsolatedBinding as IsolatedBinding
    from lollms_modalities.workers.places import PlaceGiven
    from lollms_modalities.workers.protocol import Json


class Opener:
    """A worker that has found the binding's class, and makes the binding when it is given the settings.

    Args: as of ``open_binding``; ``where`` is what messages call the interpreter, ``directory`` an extra folder of
        installed distributions, ``distribution`` the one that is meant where several claim the name, ``lock`` a file
        that keeps the environment from being taken away, ``environment`` one that the place is to find, ``cancel`` ends
        a worker that has not yet made the binding.

    Raises: as ``open_binding``, but for what making the binding raises.
    """

    def __init__(
        self, modality: str, name: str, *, python: str | Path | None = None, where: str = "",
        directory: str | None = None, distribution: str | None = None, policy: WorkerPolicy | None = None,
        place: PlaceGiven | None = None, environment: str | None = None, lock: Path | None = None,
        cancel: CancelToken | None = None,
    ) -> None:  # fmt: skip
        path = Path(sys.executable if python is None else python)
        policy = policy or WorkerPolicy()
        found = find_place(place)
        if not where:
            there = environment or str(path)
            where = there if found is PROCESS else found.name if environment is None else f"{there} at {found.name}"

        def workers() -> Workers:
            spec = Spec(
                modality, name, path, where, directory, policy, found,
                distribution=distribution, environment=environment, lock=lock,
            )  # fmt: skip
            own = python is None and environment is None
            return Workers(spec, own=own) if policy.rule is None else ElasticWorkers(spec, policy.rule, own=own)

        self._workers_of, self._cancel = workers, cancel
        self._spec, self._made = self._open(), False

    def _open(self) -> Spec:
        self._workers = self._workers_of()
        spec = self._workers.spec
        check_interpreter(spec)
        # When nobody has this object any more, and no binding was made, its worker ends.
        self._dropped = weakref.finalize(self, self._workers.kill)
        with explain_start(spec):
            self._workers.open(self._cancel)
        return spec

    def describe(self) -> Json:
        """What the class in the worker says of itself."""
        description: Json = self._workers.ready["description"]
        return description

    def close(self) -> None:
        """End the worker."""
        self._workers.kill()

    def make(self, settings: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> IsolatedBinding:
        """Make the binding; ``shared`` are settings that it takes where it has them.

        Raises:
            SettingsError: a wrong setting; and whatever else making the binding raises.
        """
        schema = self.describe()["settings"]
        if schema.get("additionalProperties") is False:
            # What 1.x had and has no meaning here, keys among it, is not even sent.
            settings = settled(settings, schema["properties"], self._spec.name)
        if self._made:
            self._spec, self._made = self._open(), False  # each binding has workers of its own
        self._workers.make(settings, shared or {}, self._cancel)
        self._made = True
        modality = self._spec.modality
        base = getattr(import_module(f"lollms_modalities.contract.{modality}"), f"Lollms{modality.upper()}Binding")
        shares_files = self._spec.place.shares_files
        made = make_class(base, self._workers.ready, self._spec.where, shares_files=shares_files)(self._workers)
        self._dropped.detach()  # the workers are the binding's from now on
        return made


def open_binding(
    modality: str,
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    python: str | Path | None = None,
    policy: WorkerPolicy | None = None,
    place: PlaceGiven | None = None,
) -> IsolatedBinding:
    """Start a worker and make a binding in it.

    Args:
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        name: of the binding, as the environment of that interpreter knows it.
        settings: of the binding.
        python: the interpreter, whose environment holds the binding and the core; None for the one that runs here.
        policy: how many workers there may be, and how long they are kept.
        place: where they run, or the name of that; None for a process of this machine.

    Raises:
        BindingUnavailableError: the place, the interpreter, the binding or its core is not there or does not fit.
        SettingsError: a wrong setting; and whatever else making the binding raises.
        WorkerCrashedError: the worker ended meanwhile.
    """
    return Opener(modality, name, python=python, policy=policy, place=place).make(settings or {})
