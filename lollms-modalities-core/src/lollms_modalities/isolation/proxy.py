"""A binding whose engine is in another process: a class made from the modality's ABC and the worker's description.

What the application sees is as in place. Here are the locks that calls wait for, their progress, their stopping and the
plug-ins; the worker checks settings and options, holds the model and makes the results.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, Field, SecretStr, create_model
from pydantic.config import JsonDict

from lollms_modalities import _sweeping, _threads, hooks, verbs
from lollms_modalities._files import move_whole, part_folder, part_name
from lollms_modalities._locks import CallLock
from lollms_modalities._shown import veiled
from lollms_modalities.binding import LollmsBinding, Origin
from lollms_modalities.call import Call, CancelToken, ProgressCallback, _current
from lollms_modalities.capabilities import Capabilities
from lollms_modalities.errors import BusyError, LollmsError, OptionError, UnsupportedError, WorkerCrashedError
from lollms_modalities.isolation import protocol
from lollms_modalities.isolation.checks import check_interpreter, explain_start
from lollms_modalities.isolation.host import Request, Spec, Worker, WorkerPolicy, Workers
from lollms_modalities.isolation.protocol import Buffer, Json
from lollms_modalities.media_input import check_media
from lollms_modalities.older import new_name, renamed, settled
from lollms_modalities.settings import MASK, BindingSettings, CallOptions

if TYPE_CHECKING:
    from lollms_modalities.media import Provenance

_PATIENCE = 0.05  # seconds that whoever closes a stream waits for its engine


class IsolatedBinding(LollmsBinding):
    """What the generated classes share. Made by ``isolation.open_binding`` and ``create_binding(environment=...)``.

    Attributes:
        environment: where the binding runs: an environment's name, or the path of an interpreter.
    """

    environment: str
    _description: Json

    def __init__(self, workers: Workers) -> None:
        ready = workers.ready
        self._binding_name = ready["name"]
        self.environment = workers.spec.place
        self._workers = workers
        self._public: Json = ready["settings"]
        self.settings = self._mirror(self._public)
        self._capabilities = _capabilities(ready["capabilities"])
        # The rest is as in any binding, whose constructor would check settings that only the worker can check.
        self._begin()
        self._lock = CallLock(workers.spec.policy.pool * type(self).concurrency)
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
                return self._set(Call("set_settings", self), settings, kwargs)
        with self._alone("set_settings") as call, self._settling:
            return self._set(call, settings, kwargs)

    def _set(self, call: Call, settings: Any, kwargs: dict[str, Any]) -> bool:
        workers = self._workers
        with workers.taken(call, beyond=True) as first:
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
        from lollms_modalities.settings import is_marked

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

    # -- the model ---------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Any:
        """Not to be had: it is in another process."""
        raise UnsupportedError(
            f"{self.binding_name}: the model is in another process.", hint="Make the binding without environment=."
        )

    def is_loaded(self) -> bool:
        """Whether a worker has the model loaded."""
        with self._workers.asked() as workers:
            for worker in workers:
                with suppress(WorkerCrashedError):  # then that one has it no more
                    if self._run(Call("is_loaded", self), "is_loaded", {}, worker=worker)[1]:
                        return True
        return False

    def load(
        self, *, progress: bool | ProgressCallback | None = None, cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> None:  # fmt: skip
        """Load the model now rather than at the first call, in as many workers as there may be."""
        outer = _current.get()
        if outer is not None and outer.holds(self):
            raise self._from_inside("load")
        call = Call("load", self, None, outer)
        call.control(progress, cancel, timeout)
        with self._during(call, exclusive=False):
            asked: list[Worker] = []
            # One at a time, as a call has one place. Those that are busy load with what they are busy with.
            with suppress(LookupError):
                while len(asked) < self._workers.spec.policy.pool:
                    with self._workers.taken(call, other_than=asked) as worker:
                        asked.append(worker)
                        self._run(call, "load", {}, worker=worker, controls=True)

    def _unload(self) -> None:
        if self._closed:
            self._workers.close()
            return
        with self._workers.asked() as workers:
            for worker in workers:
                with suppress(WorkerCrashedError):  # then that one has no model any more
                    self._run(Call("unload", self), "unload", {}, worker=worker)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _ask(self, name: str, kwargs: dict[str, Any], positional: tuple[Any, ...] = ()) -> Any:
        """Run a method that is no verb."""
        outer = _current.get()
        controls = type(self)._description["methods"].get(name, {}).get("controls", False)
        call = Call(name, self, None, outer)
        given = {n: kwargs.pop(n, None) for n in verbs._CONTROLS} if controls else {}
        if controls:
            call.control(given["progress"], given["cancel"], given["timeout"])
        with self._within(call):
            if self._closed:
                raise self._closed_error(call)
            try:
                return self._run(call, name, kwargs, positional, controls=controls)[1]
            except WorkerCrashedError:
                if self._closed:  # meanwhile, which has ended the worker
                    raise self._closed_error(call) from None
                raise

    def _run(
        self, call: Call, name: str, arguments: dict[str, Any], positional: tuple[Any, ...] = (), *,
        worker: Worker | None = None, controls: bool = False,
    ) -> tuple[Json, Any]:  # fmt: skip
        """Ask a worker and wait: the last message, and its value."""
        out: list[Buffer] = []
        message = {
            "type": protocol.CALL,
            "name": name,
            "positional": protocol.pack(positional, out),
            "arguments": protocol.pack(arguments, out),
            "controls": controls,
            "progress": controls and call.wants_progress,
        }
        with self._workers.taken(call, beyond=True) if worker is None else nullcontext(worker) as taken:
            request = Request(taken, call, message, out, grace=self._workers.spec.policy.grace)
            message, payloads = request.result()
            return message, protocol.unpack(message["value"], payloads)

    def _from_inside(self, what: str) -> BusyError:
        return BusyError(
            f"{self.binding_name}: {what} was asked for from inside one of its own calls.",
            hint="Ask when that has ended.",
        )


class RemotePlan(verbs.Plan):
    """How the arguments of a verb become a request."""

    begins_here = False

    def __init__(self, cls: type[IsolatedBinding], fn: Callable[..., Any], spec: verbs.Verb) -> None:
        from lollms_modalities import media

        self.fn = fn
        self.verb = spec
        self.content = "request"
        self.loads = False
        self.returns = getattr(media, spec.returns)
        described = cls._description["verbs"][spec.name]
        self._media = tuple(described["media"])
        schema = described.get("options") or cls._description["options"]
        definitions = schema.get("$defs", {})
        self._secret = [n for n, p in schema.get("properties", {}).items() if _has_password(p, definitions, set())]
        self._secrets = schema if self._secret else None
        self._path = "output_path" if spec.returns in verbs._WHOLE_MEDIA and not spec.stream else ""

    def prepare(
        self, binding: LollmsBinding, outer: Call | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Call, Any, dict[str, Any]]:
        """The call, and the message with its payloads in the place of the first argument."""
        self._name(args, kwargs)
        call = Call(self.verb.name, binding, None, outer)
        from lollms_modalities import media

        try:
            progress, cancel, timeout = (kwargs.pop(name, None) for name in verbs._CONTROLS)
            call.control(progress, cancel, timeout)
            for name in self._media:
                if kwargs.get(name) is not None:
                    kwargs[name] = self._checked(name, kwargs[name])
            if self._path and kwargs.get(self._path) is not None:
                path = call.output_path = media.check_output_path(kwargs[self._path], self.returns).absolute()
                kwargs[self._path] = part_name(path) / path.name
            if self._secrets is not None:
                cast(IsolatedBinding, binding)._workers.spec.secrets.note(kwargs, self._secrets)
            out: list[Buffer] = []
            message = {
                "type": protocol.CALL,
                "name": self.verb.name,
                "arguments": protocol.pack(kwargs, out),
                "controls": True,
                "progress": call.wants_progress,
                "stream": self.verb.stream,
                "tell": hooks.relay() is not None,
            }
        except BaseException:
            call.finish()
            raise
        return call, (message, out), {}

    def told(self, call: Call, content: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the caller gave: the worker checks it and fills in the defaults."""
        message, out = content
        given: dict[str, Any] = protocol.unpack(message["arguments"], out)
        if call.output_path is not None:
            given["output_path"] = call.output_path
        return {name: veiled(value) if name in self._secret else value for name, value in given.items()}

    def _checked(self, name: str, value: Any) -> Any:
        content = self.verb.params[0] if self.verb.params else ""
        if self.verb.content == "images" and name == content:
            from lollms_modalities.editing import check_images

            # The worker's current folder is not ours.
            return [v.absolute() if isinstance(v, Path) else v for v in check_images(value)]
        if isinstance(value, (list, tuple)):
            return [self._checked(name, v) for v in value]
        if isinstance(value, Mapping):
            return {k: self._checked(name, v) for k, v in value.items()}
        role = self.verb.content if name == content else "media"
        try:
            checked = check_media(value, role=role or "media")
        except (OptionError, LookupError):
            raise
        except Exception:
            if name == content:
                raise
            return value  # an option: the worker says what is wrong with it, as it does in place
        return checked.absolute() if isinstance(checked, Path) else checked

    def finished(self, binding: LollmsBinding, call: Call, result: Any, arguments: dict[str, Any]) -> Any:
        """The worker has done all that is to be done to a result."""
        return result

    def stamp(self, binding: LollmsBinding, call: Call, arguments: dict[str, Any]) -> Callable[[], Provenance | None]:
        """A stream's provenance, as the worker told it at the end."""
        return lambda: (call.recorded or {}).get("provenance")


def _has_password(schema: Any, definitions: Json, seen: set[str]) -> bool:
    """Whether there is room for a secret in what a JSON schema describes."""
    if isinstance(schema, list):
        return any(_has_password(part, definitions, seen) for part in schema)
    if not isinstance(schema, dict):
        return False
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen:
        seen.add(name)
        if _has_password(definitions.get(name), definitions, seen):
            return True
    return schema.get("format") == "password" or _has_password(list(schema.values()), definitions, seen)


def _whole(binding: IsolatedBinding, request: tuple[Json, list[Buffer]]) -> Any:
    call = cast(Call, _current.get())
    workers = binding._workers
    message, out = request
    written = message["arguments"].get("output_path", {}).get("path") if call.output_path is not None else None
    # What a worker that dies leaves of a file is in a folder of its own.
    folder = nullcontext() if written is None else part_folder(Path(written).parent)
    with workers.taken(call) as worker, folder:
        message, payloads = Request(worker, call, message, out, grace=workers.spec.policy.grace).result()
        result = protocol.unpack(message["value"], payloads)
        if written is not None:
            call.check()  # a call that was stopped leaves no file
            assert call.output_path is not None
            move_whole(Path(written), call.output_path)
            for made in result if isinstance(result, list) else [result]:
                made.path = call.output_path
        return result


class _Items(Iterator[Any]):
    """The items of a stream. No generator, which the garbage collector would end in the middle of whatever it
    interrupts: a stream that nobody has is closed by ``Stream``."""

    _request: Request | None = None

    def __init__(self, binding: IsolatedBinding, request: tuple[Json, list[Buffer]]) -> None:
        call = self._call = cast(Call, _current.get())
        self._workers = binding._workers
        self._worker = self._workers.take(call)
        try:
            message, out = request
            self._request = Request(self._worker, call, message, out, grace=self._workers.spec.policy.grace)
        except BaseException:
            self._workers.give(self._worker, call)
            raise

    def __next__(self) -> Any:
        if self._request is None:
            raise StopIteration
        try:
            message, payloads = self._request.next()
            if message["type"] == protocol.ITEM:
                return protocol.unpack(message["value"], payloads)
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def close(self) -> None:
        """End it. An engine that does not listen is waited for elsewhere: whoever cancels must not be held up."""
        request = self._request
        if request is None:
            return
        if request.ended:
            self._workers.give(self._worker, self._call)
            self._request = None
            return
        stopped = threading.Event()

        def stop() -> None:
            try:
                request.stop("its stream was closed")
            finally:
                self._workers.give(self._worker, self._call)
                stopped.set()

        try:
            _threads.start(stop)
        except RuntimeError:  # the interpreter ends, and starts no threads any more
            stop()
        self._request = None  # now that this is in good hands
        stopped.wait(_PATIENCE)  # mostly it has listened by then, and its worker is free again

    def __del__(self) -> None:
        if self._request is not None and not sys.is_finalizing():  # its ``close`` was interrupted
            _sweeping.soon(self.close)


# --- the class ------------------------------------------------------------------------------------------------------


def make_class(base: type[LollmsBinding], ready: Json, place: str) -> type[IsolatedBinding]:
    """The class of an isolated binding: ``base`` is the modality's ABC, ``ready`` what the worker told."""
    description = ready["description"]
    name = description["class"].rpartition(":")[2].rpartition(".")[2]
    members: dict[str, Any] = {
        "__doc__": description["description"],
        "__module__": __name__,
        "_description": {**description, "environment": place},
        "_plan_class": RemotePlan,
        "concurrency": description["concurrency"],
        "engine": description["engine"],
        "Settings": _model("Settings", BindingSettings, description["settings"]),
        "Options": _model("Options", CallOptions, description["options"]),
    }
    for verb_name, verb in description["verbs"].items():
        members[verb_name] = _verb(verb_name, verb)
    for method_name, method in description["methods"].items():
        members[method_name] = _method(method_name, method["doc"])
    cls = cast(type[IsolatedBinding], type(f"Isolated{name}", (IsolatedBinding, base), members))
    cls._origin = Origin(ready["name"], ready["distribution"], ready["version"])
    return cls


def _verb(name: str, described: Json) -> Callable[..., Any]:
    run = _Items if described["stream"] else _whole

    def fn(self: IsolatedBinding, request: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or not isinstance(request, tuple):
            raise self._from_inside(name)  # called raw: from a progress function or a plug-in
        return run(self, request)

    own = described.get("options")
    options = None if own is None else _model(f"{name}_options", CallOptions, own)
    fn.__name__, fn.__doc__ = name, described["doc"]
    fn.__lollms_verb__ = verbs.Verb(  # type: ignore[attr-defined]
        name, described["returns"], described["stream"], described["content"], options,
        tuple(described["params"]), tuple(described["required"]),
    )  # fmt: skip
    return fn


def _method(name: str, doc: str) -> Callable[..., Any]:
    def fn(self: IsolatedBinding, *args: Any, **kwargs: Any) -> Any:
        return self._ask(name, kwargs, args)

    fn.__name__, fn.__doc__ = name, doc
    return fn


def _model(name: str, base: type[BaseModel], schema: Json) -> Any:
    """A pydantic class with the fields of a JSON schema, for those who look at names, types, defaults and marks."""
    required = schema.get("required", ())
    fields: dict[str, Any] = {}
    for field, described in schema.get("properties", {}).items():
        marks: JsonDict = {"lollms": described.get("lollms", {})}
        default = ... if field in required else described.get("default")
        fields[field] = (
            _annotation(described, schema.get("$defs", {})),
            Field(default, description=described.get("description", ""), json_schema_extra=marks),
        )
    return create_model(name, __base__=base, **fields)


def _is_named(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get("name"), str)


_TYPES: dict[str, Any] = {
    "integer": int, "number": float, "boolean": bool, "array": list, "object": dict, "null": None, "string": str,
}  # fmt: skip


def _annotation(described: Json, definitions: Json) -> Any:
    if "$ref" in described:
        return _annotation(definitions.get(described["$ref"].rpartition("/")[2], {}), definitions)
    if "const" in described:
        return Literal[described["const"]]
    if "enum" in described:
        return Literal[tuple(described["enum"])]
    if "anyOf" in described:
        union: Any = None
        for n, part in enumerate(described["anyOf"]):
            annotation = _annotation(part, definitions)
            union = annotation if n == 0 else union | annotation
        return union
    if described.get("format") == "path":
        return Path
    if described.get("format") == "password":
        return SecretStr
    return _TYPES.get(described.get("type", ""), Any)


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


class Opener:
    """A worker that has found the binding's class, and makes the binding when it is given the settings.

    Args: as of ``open_binding``; ``place`` is what messages call the interpreter, ``directory`` an extra folder of
        installed distributions, ``distribution`` the one that is meant where several claim the name, ``lock`` a file
        that keeps the environment from being taken away, ``cancel`` ends the worker before it has found the class.

    Raises: as ``open_binding``, but for what making the binding raises.
    """

    def __init__(
        self, modality: str, name: str, *, python: str | Path | None = None, place: str = "",
        directory: str | None = None, distribution: str | None = None, policy: WorkerPolicy | None = None,
        lock: Path | None = None, cancel: CancelToken | None = None,
    ) -> None:  # fmt: skip
        path = Path(sys.executable if python is None else python)
        policy = policy or WorkerPolicy()
        what = modality, name, path, place or str(path), directory, policy, distribution, lock

        def workers() -> Workers:
            return Workers(Spec(*what), own=python is None)

        self._workers_of = workers
        self._spec, self._made = self._open(cancel), False

    def _open(self, cancel: CancelToken | None = None) -> Spec:
        self._workers = self._workers_of()
        spec = self._workers.spec
        check_interpreter(spec)
        # When nobody has this object any more, and no binding was made, its worker ends.
        self._dropped = weakref.finalize(self, self._workers.kill)
        with explain_start(spec):
            self._workers.open(cancel)
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
        self._workers.make(settings, shared or {})
        self._made = True
        self._dropped.detach()
        modality = self._spec.modality
        base = getattr(import_module(f"lollms_modalities.{modality}"), f"Lollms{modality.upper()}Binding")
        return make_class(base, self._workers.ready, self._spec.place)(self._workers)
