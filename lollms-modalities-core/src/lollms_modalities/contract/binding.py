"""What the five kinds of binding share: settings, verbs, the life of the model, and who they are.

An author derives from one of the five ABCs, declares ``Settings`` and ``Options``, says how the model is loaded, and
writes the engine call. The rest is here and in ``verbs.py``.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lollms_modalities.calls import fork
from lollms_modalities.calls.askers import waits_for_this
from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.calls.locks import CallLock
from lollms_modalities.calls.scheduler import Scheduler
from lollms_modalities.contract import telemetry
from lollms_modalities.contract.plan import CONTROLS, WHOLE_MEDIA, Plan
from lollms_modalities.contract.running import not_an_end, settle
from lollms_modalities.contract.verbs import Verb, adopt
from lollms_modalities.entry_points.refs import Origin, installed_bindings
from lollms_modalities.errors import BindingClosedError, BusyError, GenerationError, SettingsError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.progress import ProgressCallback
    from lollms_modalities.calls.scheduler import Ticket
    from lollms_modalities.contract.capabilities import Capabilities
    from lollms_modalities.errors import LollmsError
    from lollms_modalities.settings.base import BindingSettings, CallOptions


_reaper = Scheduler("lollms-reaper")


_UNLOADED: Any = object()


_all: weakref.WeakSet[LollmsBinding] = weakref.WeakSet()


class _Config:
    """The settings as a dict. Has no setter, so that a class may still keep a ``config`` of its own."""

    def __get__(self, binding: LollmsBinding | None, cls: type[LollmsBinding]) -> _Config | dict[str, Any]:
        from lollms_modalities.settings.forms import dump_public

        return self if binding is None else dump_public(binding.settings)


class LollmsBinding(ABC):
    """Base of the five ABCs. Give it settings as keyword arguments, or in the order in which ``Settings`` has them.

    Attributes:
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        engine: name of the distribution that does the work, such as "piper-tts"; its version goes into provenance.
        concurrency: how many calls may run at once on one instance.
        settings: the checked settings; immutable, ``set_settings`` puts others in their place.
        config: a copy of them as a dict of JSON values, to read; secrets are masked.
    """

    modality: ClassVar[str] = ""
    engine: ClassVar[str] = ""
    concurrency: ClassVar[int] = 1
    settings: BindingSettings
    config: dict[str, Any] = _Config()  # type: ignore[assignment]
    if TYPE_CHECKING:
        # Annotations only: the classes are pydantic's, which is not imported before a binding is.
        Settings: ClassVar[type[BindingSettings]]
        Options: ClassVar[type[CallOptions]]

    _verbs: ClassVar[dict[str, Verb]] = {}
    _plans: ClassVar[dict[Callable[..., Any], Plan]] = {}
    _plan_class: ClassVar[type[Plan]] = Plan
    _origin: ClassVar[Origin | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._origin = None
        adopt(cls)
        if "Settings" in cls.__dict__:
            cls.__signature__ = _signature(cls)  # type: ignore[attr-defined]

    def __init__(self, *args: Any, binding_name: str | None = None, **settings: Any) -> None:
        telemetry.switch_off()
        self._binding_name = binding_name
        self.settings = self._checked(args, settings)
        self._begin()

    def _begin(self) -> None:
        self._lock = CallLock(self.concurrency)
        self._loading = CallLock()
        self._settling = threading.RLock()
        self._model: Any = _UNLOADED
        self._loaded_in = 0  # the generation of the process that loaded the model
        self._loader: int | None = None  # the thread that loads it now
        self._closed = False  # close was asked for
        self._ended = False  # and has ended
        self._reaping: Ticket | None = None
        _all.add(self)

    @classmethod
    def from_settings(cls, settings: BindingSettings) -> Self:
        """Make a binding from a ``Settings`` object, which a type checker can check."""
        from lollms_modalities.settings.forms import dump_secrets

        if not isinstance(settings, cls.settings_class()):
            raise SettingsError(
                f"{cls.__name__} was given {type(settings).__qualname__}.",
                hint=f"Give {cls.settings_class().__qualname__}.",
            )
        return cls(**dump_secrets(settings))

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            from lollms_modalities.settings.older import refuse_name

            refuse_name(self, name)
            return object.__getattribute__(self, name)  # for the error that Python has, of a property its own

    # -- who it is ---------------------------------------------------------------------------------------------------

    @property
    def binding_name(self) -> str:
        """Canonical name of the entry point; the class's name where no installed distribution offers the class."""
        return self._binding_name or self.origin().name

    @classmethod
    def origin(cls) -> Origin:
        """The distribution whose entry point names this class."""
        if cls._origin is None:
            cls._origin = _find_origin(cls)
        return cls._origin

    @staticmethod
    def engine_version(engine: str) -> str:
        """Version of the engine's distribution; "" where it is not installed."""
        return _version_of(engine) if engine else ""

    @property
    def capabilities(self) -> Capabilities:
        """What this binding can do. Never loads a model. A class attribute of the same name may take its place."""
        from lollms_modalities.contract.capabilities import Capabilities

        return Capabilities()

    def supports(self, name: str) -> bool:
        """Whether a call takes this option ("speed"), or the binding has this capability ("streaming")."""
        if name in self.options_class().model_fields or name in CONTROLS:
            return True
        if name in ("output_path", "output_format"):
            return any(v.returns in WHOLE_MEDIA and not v.stream for v in self._verbs.values())
        if any(v.options is not None and name in v.options.model_fields for v in self._verbs.values()):
            return True
        return bool(getattr(self.capabilities, name, False))

    @classmethod
    def describe(cls) -> dict[str, Any]:
        """The class as JSON values: settings and options as JSON schemas, verbs, engine. Makes no instance."""
        from lollms_modalities.settings.forms import schema_of

        return {
            "modality": cls.modality,
            "class": f"{cls.__module__}:{cls.__qualname__}",
            "description": (cls.__doc__ or "").strip().split("\n")[0],
            "engine": cls.engine,
            "engine_version": cls.engine_version(cls.engine),
            "settings": schema_of(cls.settings_class()),
            "options": schema_of(cls.options_class()),
            "concurrency": cls.concurrency,
            "verbs": {v.name: _described(cls, v) for v in cls._verbs.values()},
            "methods": _other_methods(cls),
        }

    def list_models(self, **kwargs: Any) -> list[str]:
        """Names of the models that the binding knows; empty where there is no choice."""
        return []

    def __reduce_ex__(self, protocol: object) -> Any:
        raise UnsupportedError(
            f"{self.binding_name}: a binding cannot be pickled or copied, since its model and its locks cannot.",
            hint="Give the other process its name and its settings, and make one there (create_binding).",
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.binding_name!r}{' closed' if self._closed else ''}>"

    # -- settings ----------------------------------------------------------------------------------------------------

    @classmethod
    def settings_class(cls) -> type[BindingSettings]:
        """The pydantic class of the settings."""
        from lollms_modalities.settings.base import BindingSettings

        return getattr(cls, "Settings", BindingSettings)

    @classmethod
    def options_class(cls) -> type[CallOptions]:
        """The pydantic class of the main verb's options."""
        from lollms_modalities.settings.base import CallOptions

        return getattr(cls, "Options", CallOptions)

    @classmethod
    def shared_settings(cls) -> frozenset[str]:
        """Names of the settings that the application's shared values may fill."""
        from lollms_modalities.settings.types import is_marked

        return frozenset(n for n, f in cls.settings_class().model_fields.items() if is_marked(f, "shared"))

    @classmethod
    def with_shared(cls, shared: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
        """``config`` with the application's shared values where the class takes them and ``config`` has none.

        The shared key goes only where the shared address goes: another service must not receive it.
        """
        taken = {name: shared[name] for name in cls.shared_settings() & shared.keys()}
        if config.get("host_address", taken.get("host_address")) != taken.get("host_address"):
            taken.pop("service_key", None)
        return {**taken, **config}

    def get_settings(self, **kwargs: Any) -> list[dict[str, Any]]:
        """The settings as a list of ``{name, type, value, description, options?, is_secret?}``; secrets are masked."""
        from lollms_modalities.settings.forms import to_form

        return to_form(self.settings)

    def set_settings(self, settings: Iterable[Mapping[str, Any]] | Mapping[str, Any], **kwargs: Any) -> bool:
        """Change settings: a dict, or rows of the list that ``get_settings`` gives. All or nothing; gives True.

        A masked secret stays as it was. When a setting changes that the model depends on, the model is loaded anew,
        after the calls under way have ended; if that fails, the old model and the old settings stay.

        Raises:
            SettingsError: an unknown name or a wrong value.
            LollmsError: what the loading of the model raised.
        """
        if not isinstance(settings, Mapping):
            settings = list(settings)  # read twice below
        with self._settling:
            reload = self._model is not _UNLOADED and self._needs_reload(self._changed(settings))
            if not reload:
                self.settings = self._changed(settings)
                self._reap_when_idle()
                return True
        with self._alone("set_settings") as call, self._settling:
            new = self._changed(settings)
            if self._model is _UNLOADED or not self._needs_reload(new):
                self.settings = new
            else:
                self._reload(call, new)
        return True

    def _changed(self, settings: Any) -> BindingSettings:
        from lollms_modalities.settings.changing import changed

        return changed(self.settings, settings, self.binding_name)

    def _needs_reload(self, new: BindingSettings) -> bool:
        from lollms_modalities.settings.changing import differing
        from lollms_modalities.settings.types import is_marked

        fields = type(new).model_fields
        return any(is_marked(fields[name], "reload") for name in differing(self.settings, new))

    def _reload(self, call: Call, new: BindingSettings) -> None:
        self._usable(call)
        old_settings, self.settings = self.settings, new
        try:
            model = fork.load_apart(self.load_model)
        except BaseException as exc:
            self.settings = old_settings
            error = settle(self, call, exc)
            if error is exc:
                raise
            raise error from error.__cause__ or exc
        old_model, self._model = self._model, model
        self._free(old_model)

    def _checked(self, args: tuple[Any, ...], settings: dict[str, Any]) -> BindingSettings:
        from lollms_modalities.settings.checking import validate
        from lollms_modalities.settings.forms import ordered_fields
        from lollms_modalities.settings.older import settled

        cls = self.settings_class()
        what = self._binding_name or type(self).__name__
        if args:
            names = ordered_fields(cls)
            if len(args) > len(names):
                raise TypeError(f"{type(self).__name__}() takes {len(names)} settings but {len(args)} were given")
            for name, value in zip(names, args, strict=False):
                if name in settings:
                    raise TypeError(f"{type(self).__name__}() got multiple values for setting {name!r}")
                settings[name] = value
        if cls.model_config.get("extra") == "forbid":
            settings = settled(settings, cls.model_fields, what)
        return validate(cls, settings, SettingsError, what)

    def _without_secrets(self, text: str) -> str:
        from lollms_modalities.settings.shown import MASK, secrets_in

        for secret in sorted(secrets_in(self.settings), key=len, reverse=True):
            text = text.replace(secret, MASK) if secret else text
        return text

    # -- the model ---------------------------------------------------------------------------------------------------

    def load_model(self) -> Any:
        """Load the model by the current settings and return it. For authors.

        A ``SharedModel`` or a ``ModelCache`` in its place is let go of by the core.

        Changes nothing else, so that a failure leaves all as it was. Runs once at a time, at the first call or
        ``load()``.
        """
        return None

    def free_model(self, model: Any) -> None:  # noqa: B027 - nothing to do is the common case
        """Free what ``load_model`` returned beyond dropping it; not asked where the core lets go of it. For authors."""

    def translate_error(self, error: Exception) -> LollmsError | None:
        """The typed error for one of the engine's; None leaves it a ``GenerationError``. For authors."""
        return None

    @classmethod
    def has_model(cls) -> bool:
        """Whether the class says how a model is loaded."""
        return cls.load_model is not LollmsBinding.load_model

    @property
    def model(self) -> Any:
        """The loaded model; loads it if need be."""
        if self._model is not _UNLOADED and self._loaded_in == fork.generation:
            return _value(self._model)
        outer = CURRENT.get()
        if outer is not None:
            return _value(self._usable(outer))
        call = Call("load", self)
        with self._within(call):
            while self._model is _UNLOADED and (loader := self._loader) is not None and loader != threading.get_ident():
                # A thread that load_model has started does not know of the call that it works for.
                if waits_for_this(loader):
                    raise self._asks_for_itself()
                time.sleep(0.01)
            return _value(self._usable(call))

    def _usable(self, call: Call) -> Any:
        """The model, loaded if need be, unless it is another process's."""
        if self._closed:
            raise self._closed_error(call)
        if self._model is _UNLOADED:
            return self._load(call)
        if self._loaded_in != fork.generation:
            raise UnsupportedError(
                f"{self.binding_name}: {call.verb} needs the model that the process which this one was forked from has "
                "loaded. Its engine's threads are not here.",
                hint="Make a binding of its own in this process, or fork before the model is loaded.",
            )
        return self._model

    @property
    def loaded(self) -> bool:
        """Whether the model is loaded."""
        return self.is_loaded()

    def is_loaded(self) -> bool:
        """As ``loaded``."""
        return self._model is not _UNLOADED and self._loaded_in == fork.generation

    def load(
        self,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> None:
        """Load the model now rather than at the first call. Does nothing if it is loaded."""
        outer = CURRENT.get()
        if outer is not None and outer.holds(self):
            self._usable(outer)
            return
        call = Call("load", self, None, outer)
        call.control(progress, cancel, timeout)
        with self._during(call, exclusive=False):
            self._usable(call)

    def unload(self) -> None:
        """Free the model, after the calls under way have ended; the next call loads it again.

        Raises:
            BusyError: the asker is itself inside a call or has a stream open.
        """
        with self._alone("unload"):
            self._unload()

    def close(self) -> None:
        """Cancel the calls under way, wait for their end, free the model. Later calls raise ``BindingClosedError``.

        What has been interrupted may be asked for again; of two threads that close, both wait for the end.
        """
        if self._ended:
            return
        outer = CURRENT.get()
        if outer is not None and outer.holds(self):
            raise BusyError(f"{self.binding_name}: close was asked for from inside one of its own calls.")
        self._closed = True
        for call in self._lock.holders:
            call.cancel("the binding was closed")
        with self._alone("close"):
            if not self._ended:
                self._unload()
                self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, call: Call) -> Any:
        if self._loading.held_by(call):
            raise self._asks_for_itself()
        try:
            self._loading.acquire(call)
            if self._model is _UNLOADED:
                model = fork.load_apart(self._do_load)
                self._model, self._loaded_in = model, fork.generation
            return self._model
        finally:
            try:
                self._loading.release(call)
            except BaseException:  # interrupted
                self._loading.release(call)
                raise

    def _do_load(self) -> Any:
        self._loader = threading.get_ident()
        try:
            return self.load_model()
        finally:
            self._loader = None

    def _asks_for_itself(self) -> GenerationError:
        return GenerationError(
            f"{type(self).__name__}.load_model() asks for the model that it is to load.",
            hint="This is a fault of the binding; tell its authors.",
        )

    def _unload(self) -> None:
        model, self._model = self._model, _UNLOADED
        if model is not _UNLOADED and self._loaded_in == fork.generation:
            self._free(model)

    def _free(self, model: Any) -> None:
        from lollms_modalities.models import ModelCache, SharedModel

        if isinstance(model, SharedModel):
            model.release()
        elif isinstance(model, ModelCache):
            model.clear()
        else:
            self.free_model(model)

    # -- around calls ------------------------------------------------------------------------------------------------

    def _enter(self, call: Call, plan: Plan) -> None:
        """Hold what the call needs: the instance, the model, and the model's own lock where others share it."""
        call.begin()
        call.check()
        self._hold(call, self._lock)
        if self._closed:
            raise self._closed_error(call)
        if self._reaping is not None:
            self._reaping.cancel()
            self._reaping = None
        if plan.loads:
            model = self._usable(call)
            lock = getattr(model, "lock", None)
            if isinstance(lock, CallLock) and self.concurrency == 1:
                self._hold(call, lock)

    def _leave(self, call: Call) -> None:
        """Let go of all. Each part may be done twice: whoever was interrupted here, or on the way, asks again."""
        call.run_ends()
        for lock in reversed(call.locks):
            lock.release(call)
        call.locks.clear()
        call.finish()
        self._reap_when_idle()

    def _hold(self, call: Call, lock: CallLock, *, exclusive: bool = False) -> None:
        # Noted first, so that nothing can come between holding it and knowing that.
        call.locks.append(lock)
        lock.acquire(call, exclusive=exclusive)

    def _closed_error(self, call: Call) -> BindingClosedError:
        return BindingClosedError(
            f"{self.binding_name}: {call.verb} was asked for after close().", hint="Make a new binding."
        )

    @contextmanager
    def task(
        self,
        name: str,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> Iterator[Call]:
        """Work beside the engine, such as a download: a call that holds nothing, but reports and can be stopped."""
        call = Call(name, self, None, CURRENT.get())
        call.control(progress, cancel, timeout)
        with self._within(call):
            yield call

    @contextmanager
    def _alone(self, verb: str) -> Iterator[Call]:
        """Hold the instance with no call under way."""
        call = Call(verb, self, None, CURRENT.get())
        with self._during(call, exclusive=True):
            yield call

    @contextmanager
    def _during(self, call: Call, *, exclusive: bool) -> Iterator[None]:
        with self._within(call):
            self._hold(call, self._lock, exclusive=exclusive)
            if self._closed and call.verb != "close":
                raise self._closed_error(call)
            yield

    @contextmanager
    def _within(self, call: Call) -> Iterator[None]:
        before = CURRENT.get()
        try:
            CURRENT.set(call)
            call.begin()
            call.check()
            yield
        except BaseException as exc:
            error = settle(self, call, exc)
            if error is not exc:
                error = not_an_end(call, error)  # which this generator could not raise
            if error is exc:
                raise
            raise error from error.__cause__ or exc
        finally:
            try:
                CURRENT.set(before)
            finally:
                try:
                    self._leave(call)
                except BaseException:
                    self._leave(call)
                    raise

    def _reap_when_idle(self) -> None:
        """Count anew the time after which the model is unloaded, as the settings have it now."""
        keep_alive = self.settings.keep_alive
        if keep_alive is not None and self._model is not _UNLOADED:
            self._reap_in(keep_alive)
        elif self._reaping is not None:
            self._reaping.cancel()
            self._reaping = None

    def _reap_in(self, seconds: float) -> None:
        if self._reaping is not None:
            self._reaping.cancel()
        self_ = weakref.ref(self)

        def reap() -> None:
            binding = self_()
            if binding is not None:
                binding._reap()

        self._reaping = _reaper.at(time.monotonic() + seconds, reap)

    def _reap(self) -> None:
        call = Call("unload", self)
        try:
            if self._lock.try_acquire(call, exclusive=True) and self.settings.keep_alive is not None:
                self._unload()
        finally:
            self._lock.release(call)

    def _check_content(self, kind: str, value: Any) -> Any:
        """Check the first argument of a verb; the modality's ABC knows what it is."""
        return value

    def _tidy(self, call: Call, content: Any, result: Any) -> Any:
        """The engine code's result as every caller may rely on it; the modality's ABC knows how that is."""
        return result

    def _tidy_item(self, call: Call, content: Any, item: Any) -> list[Any]:
        """The same for an item of a stream, which may become several."""
        return [item]


def _after_fork() -> None:
    for binding in list(_all):
        binding._settling = threading.RLock()
        binding._reaping = None
        binding._loader = None
        if binding._model is not _UNLOADED:
            fork.keep(binding._model)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _described(cls: type[LollmsBinding], spec: Verb) -> dict[str, Any]:
    from lollms_modalities.settings.forms import schema_of

    schema = schema_of(spec.options or cls.options_class())
    # Which arguments take a path, bytes or a file: whoever sends a call elsewhere must know.
    media = [n for n, p in schema.get("properties", {}).items() if "lollms-media" in str(p)]
    described = {
        "doc": getattr(cls, spec.name).__doc__ or "",
        "returns": spec.returns,
        "stream": spec.stream,
        "content": spec.content,
        "params": list(spec.params),
        "required": list(spec.required),
        "media": [*(spec.params[:1] if spec.content in ("audio", "images") else ()), *media],
    }
    return described | ({"options": schema} if spec.options is not None else {})


def _other_methods(cls: type[LollmsBinding]) -> dict[str, Any]:
    """Public methods beyond the verbs and what every binding has; ``list_...`` among them."""
    from inspect import isfunction, signature

    found: dict[str, Any] = {}
    for name in dir(cls):
        fn = getattr(cls, name)
        is_twin = name[:1] == "a" and name[1:] in cls._verbs
        if name.startswith("_") or name in cls._verbs or is_twin or not isfunction(fn):
            continue
        if name in LollmsBinding.__dict__ and name != "list_models":
            continue
        if name in _FOR_AUTHORS or fn.__module__ == f"lollms_modalities.contract.{cls.modality}":
            continue  # what the ABC does by way of verbs, it does everywhere
        params = signature(fn).parameters
        found[name] = {"doc": fn.__doc__ or "", "controls": all(n in params for n in CONTROLS)}
    return found


_FOR_AUTHORS = ("load_model", "free_model", "translate_error")


def _value(model: Any) -> Any:
    from lollms_modalities.models import SharedModel

    return model.value if isinstance(model, SharedModel) else model


def _signature(cls: type[LollmsBinding]) -> Any:
    """The constructor's signature, from the settings, for ``help()`` and editors."""
    from inspect import Parameter, Signature

    from lollms_modalities.settings.forms import ordered_fields

    settings = cls.settings_class()
    if not hasattr(settings, "model_fields"):
        raise TypeError(f"{cls.__qualname__}.Settings is no BindingSettings")
    # Python wants arguments without a default first.
    fields = [(name, settings.model_fields[name]) for name in ordered_fields(settings)]
    fields.sort(key=lambda item: not item[1].is_required())
    parameters = []
    for name, field in fields:
        default = Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
        parameters.append(
            Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=field.annotation)
        )
    return Signature(parameters)


@functools.cache
def _version_of(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _find_origin(cls: type[LollmsBinding]) -> Origin:
    import sys

    for ref in installed_bindings(cls.modality):
        module, _, attribute = ref.target.partition(":")
        if getattr(sys.modules.get(module), attribute, None) is cls:
            return ref.identity
    return Origin(cls.__name__, "", "")
