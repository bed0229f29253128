"""A binding whose engine is in another process.

What the application sees is as in place. Here are the locks that calls wait for, their progress, their stopping and the
plug-ins; the worker checks settings and options, holds the model and makes the results.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.calls.locks import CallLock
from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.contract.capabilities import Capabilities
from lollms_modalities.contract.model_life import ModelLife
from lollms_modalities.contract.plan import CONTROLS
from lollms_modalities.errors import BusyError, LollmsError, UnsupportedError, WorkerCrashedError
from lollms_modalities.masking import MASK
from lollms_modalities.settings.older import new_name, renamed
from lollms_modalities.workers import protocol
from lollms_modalities.workers.carrying import as_bytes, without_files
from lollms_modalities.workers.paths_here import paths_here
from lollms_modalities.workers.process import WorkerProcess
from lollms_modalities.workers.request import Request
from lollms_modalities.workers.turns import PoolState
from lollms_modalities.workers.values import pack, unpack

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.progress import ProgressCallback
    from lollms_modalities.settings.base import BindingSettings
    from lollms_modalities.workers.host import Worker
    from lollms_modalities.workers.pool import Workers
    from lollms_modalities.workers.protocol import Buffer, Json


class IsolatedBinding(LollmsBinding):
    """What the generated classes share. Made by ``isolation.open_binding`` and ``create_binding(environment=...)``.

    Attributes:
        environment: where the binding runs: an environment's name, the path of an interpreter, or the name of a place.
    """

    environment: str
    _description: Json
    _shares_files = True

    def __init__(self, workers: Workers) -> None:
        ready = workers.ready
        self._binding_name = ready["name"]
        self.environment = workers.spec.where
        self._workers = workers
        self._public: Json = ready["settings"]
        self.settings = self._mirror(self._public)
        self._capabilities = _capabilities(ready["capabilities"])
        # The rest is as in any binding, whose constructor would check settings that only the worker can check.
        ModelLife.__init__(self)
        self._lock = CallLock(workers.spec.policy.most * type(self).concurrency)
        # When nobody has this object any more, its workers end.
        weakref.finalize(self, workers.kill)

    # -- who it is ---------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the binding said when it was made or its settings changed."""
        return self._capabilities

    @classmethod
    def describe(cls) -> Json:
        """As the class in the worker describes itself."""
        return cls._description

    @classmethod
    def has_model(cls) -> bool:
        """The worker loads the model."""
        return False

    def __repr__(self) -> str:
        closed = " closed" if self._closed else ""
        return f"<{type(self).__name__} {self.binding_name!r} in {self.environment!r}{closed}>"

    # -- settings ----------------------------------------------------------------------------------------------------

    def get_settings(self, **kwargs: Any) -> list[dict[str, Any]]:
        """As in place."""
        return cast(list[dict[str, Any]], self._ask("get_settings", kwargs))

    def get_options(self, verb: str = "") -> list[dict[str, Any]]:
        """As in place."""
        return cast(list[dict[str, Any]], self._ask("get_options", {"verb": verb}))

    def set_settings(self, settings: Iterable[Mapping[str, Any]] | Mapping[str, Any], **kwargs: Any) -> bool:
        """As in place. Every worker of a pool is changed, and those that are started later have the new settings."""
        known = self.settings_class().model_fields
        if isinstance(settings, Mapping):
            settings = renamed(settings, known, self.binding_name)
        else:
            rows = [{**row, "name": new_name(row["name"], known)} if _is_named(row) else row for row in settings]
            settings = rows
        with self._settling:
            if not self._may_reload(settings):
                call = Call("set_settings", self, None, CURRENT.get())
                with self._within(call):
                    return self._set(call, settings, kwargs)
        with self._alone("set_settings") as call, self._settling:
            return self._set(call, settings, kwargs)

    def _set(self, call: Call, settings: Any, kwargs: dict[str, Any]) -> bool:
        workers = self._workers
        with self._unless_closed(call), workers.taken(call, beyond=True) as first:
            # The first says whether they are right; then the others are told, and those that just start follow.
            workers.spec.secrets.note(_named(settings), type(self)._description["settings"])
            message = self._run(call, "set_settings", kwargs, (settings,), worker=first)[0]
            with workers.asked(self._taken(settings), but=first) as others:
                self._public = message["settings"]
                self.settings = self._mirror(self._public)
                self._capabilities = _capabilities(message["capabilities"])
                told: list[Worker] = []
                try:
                    for worker in others:
                        with suppress(LollmsError):
                            self._run(call, "set_settings", kwargs, (settings,), worker=worker)
                            told.append(worker)
                finally:
                    for worker in others:
                        if worker not in told:
                            workers.retire(worker)
        return True

    def _taken(self, settings: Any) -> dict[str, Any]:
        """What was changed, as new workers are to be given it."""
        given = self._workers.spec.settings or {}
        meant = {k: _meant(v, self._public.get(k), given.get(k, _UNKNOWN)) for k, v in _named(settings).items()}
        return {k: v for k, v in meant.items() if v is not _UNKNOWN}

    def _may_reload(self, settings: Any) -> bool:
        from lollms_modalities.settings.types import is_marked

        fields = self.settings_class().model_fields
        rows = (
            settings if isinstance(settings, Mapping) else [r.get("name") for r in settings if isinstance(r, Mapping)]
        )
        return any(name in fields and is_marked(fields[name], "reload") for name in rows)

    def _mirror(self, public: Json) -> BindingSettings:
        """The worker's settings, as a copy to look at. A secret is known here only if it was given here."""
        cls = self.settings_class()
        values: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            value = public.get(name)
            if field.annotation == SecretStr | None and value is not None:
                given = (self._workers.spec.settings or {}).get(name, value)
                value = given if isinstance(given, SecretStr) else SecretStr(str(given))
            elif field.annotation == Path | None and value is not None:
                value = Path(value)
            values[name] = value
        return cls.model_construct(**values)

    def _crossing(self, media: Path | bytes) -> Path | bytes:
        if not self._shares_files:
            return as_bytes(media)
        return media.absolute() if isinstance(media, Path) else media  # the worker's current folder is not ours

    # -- the model ---------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Any:
        """Not to be had: it is in another process."""
        raise UnsupportedError(
            f"{self.binding_name}: the model is in another process.", hint="Make the binding without environment=."
        )

    def is_loaded(self) -> bool:
        """Whether a worker has the model loaded."""
        call = Call("is_loaded", self, None, CURRENT.get())
        with self._within(call), self._workers.asked() as workers:
            for worker in workers:
                with suppress(WorkerCrashedError):  # then that one has it no more
                    if self._run(call, "is_loaded", {}, worker=worker)[1]:
                        return True
        return False

    def memory(self) -> int:
        """Bytes in memory of its processes and the programs that these run; 0 where that cannot be told."""
        running = [worker.process for worker in self._workers.all()]
        return sum(process.memory() for process in running if isinstance(process, WorkerProcess))

    def pool_state(self) -> PoolState:
        """Its workers, and how many calls wait for one. Waits for nothing."""
        workers = self._workers
        there = [worker.started for worker in list(workers._workers) if worker.alive]
        return PoolState(sum(there), len(there) - sum(there), len(workers._waiting))

    def load(
        self, *, progress: bool | ProgressCallback | None = None, cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> None:  # fmt: skip
        """Load the model now rather than at the first call, in as many workers as there may be; of an elastic pool in
        those that it always has, or one."""
        outer = CURRENT.get()
        if outer is not None and outer.holds(self):
            raise self._from_inside("load")
        call = Call("load", self, None, outer)
        call.control(progress, cancel, timeout)
        with self._during(call, exclusive=False):
            asked: list[Worker] = []
            # One at a time, as a call has one place. Those that are busy load with what they are busy with.
            with suppress(LookupError):
                while len(asked) < self._workers.usual:
                    with self._workers.taken(call, other_than=asked) as worker:
                        asked.append(worker)
                        self._run(call, "load", {}, worker=worker, controls=True)

    def _unload(self) -> None:
        if self._closed:
            self._workers.close()
            return
        # By the call that holds the instance: what stops that, such as ``close``, ends the wait for the workers.
        call = CURRENT.get() or Call("unload", self)
        with self._workers.asked() as workers:
            for worker in workers:
                with suppress(WorkerCrashedError):  # then that one has no model any more
                    self._run(call, "unload", {}, worker=worker)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _ask(self, name: str, kwargs: dict[str, Any], positional: tuple[Any, ...] = ()) -> Any:
        """Run a method that is no verb."""
        outer = CURRENT.get()
        controls = type(self)._description["methods"].get(name, {}).get("controls", False)
        call = Call(name, self, None, outer)
        given = {n: kwargs.pop(n, None) for n in CONTROLS} if controls else {}
        if controls:
            call.control(given["progress"], given["cancel"], given["timeout"])
        with self._within(call):
            if self._closed:
                raise self._closed_error(call)
            with self._unless_closed(call):
                return self._run(call, name, kwargs, positional, controls=controls)[1]

    @contextmanager
    def _unless_closed(self, call: Call) -> Iterator[None]:
        """A worker that is gone because the binding was closed meanwhile is told as that."""
        try:
            yield
        except WorkerCrashedError:
            if self._closed:
                raise self._closed_error(call) from None
            raise

    def _run(
        self, call: Call, name: str, arguments: dict[str, Any], positional: tuple[Any, ...] = (), *,
        worker: Worker | None = None, controls: bool = False,
    ) -> tuple[Json, Any]:  # fmt: skip
        """Ask a worker and wait: the last message, and its value."""
        if not self._shares_files:
            positional, arguments = without_files(positional), without_files(arguments)
        out: list[Buffer] = []
        message = {
            "type": protocol.CALL,
            "name": name,
            "positional": pack(positional, out),
            "arguments": pack(arguments, out),
            "controls": controls,
            "progress": controls and call.wants_progress,
        }
        if name == "set_settings" and not self._shares_files:
            message["here"] = paths_here(_named(positional[0]), type(self)._description["settings"])
        return self._request(call, message, out, worker)

    def _request(self, call: Call, message: Json, out: list[Buffer], worker: Worker | None = None) -> tuple[Json, Any]:
        with self._workers.taken(call, beyond=True) if worker is None else nullcontext(worker) as taken:
            request = Request(taken, call, message, out, grace=self._workers.spec.policy.grace)
            message, payloads = request.result()
            return message, unpack(message["value"], payloads)

    def _from_inside(self, what: str) -> BusyError:
        return BusyError(
            f"{self.binding_name}: {what} was asked for from inside one of its own calls.",
            hint="Ask when that has ended.",
        )


def _is_named(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get("name"), str)


def _named(settings: Any) -> dict[str, Any]:
    """Settings in either form as a dict; the worker says what is wrong with rows that are none."""
    if isinstance(settings, Mapping):
        return dict(settings)
    return {str(row["name"]): row["value"] for row in settings if isinstance(row, Mapping) and row.keys() >= _ROW}


_ROW = {"name", "value"}
_UNKNOWN: Any = object()


def _meant(new: Any, public: Any, given: Any) -> Any:
    """A setting, or a part of one, with what was given before wherever ``new`` only says how that was shown.

    ``_UNKNOWN`` where that was not given here: each worker has it by itself.
    """
    if hasattr(new, "get_secret_value"):
        new = new.get_secret_value()
    if new == MASK or (type(new) is type(public) and new == public):
        return given
    if isinstance(new, (list, tuple)):
        parts = _meant(dict(enumerate(new)), _numbered(public), _numbered(given))
        return list(parts.values())
    if isinstance(new, Mapping):
        shown = public if isinstance(public, Mapping) else {}
        held = given if isinstance(given, Mapping) else getattr(given, "__dict__", {})
        named = {k: _meant(v, shown.get(k), held.get(k, _UNKNOWN)) for k, v in new.items()}
        return {k: new[k] if part is _UNKNOWN else part for k, part in named.items()}
    return new


def _numbered(values: Any) -> dict[int, Any]:
    return dict(enumerate(values)) if isinstance(values, (list, tuple)) else {}


def _capabilities(told: Json) -> Capabilities:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
    known = Capabilities.__dataclass_fields__
    return Capabilities(**{k: v for k, v in fields.items() if k in known})
