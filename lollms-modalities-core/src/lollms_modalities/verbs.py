"""What happens around a binding's verb: arguments are checked, the call gets its context, the result its provenance.

A verb is a public method that runs the engine. The methods that the five ABCs declare are verbs wherever they are
overridden; others are marked with ``@verb``. Each is wrapped once, by ``LollmsBinding.__init_subclass__``, and each
gets an awaitable twin whose name has an ``a`` before it.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lollms_modalities import hooks
from lollms_modalities._askers import asker
from lollms_modalities._shown import secrets_in, shown
from lollms_modalities.call import Call, _current, _telling
from lollms_modalities.errors import BusyError, GenerationError, LollmsError, OptionError, said, without_secrets

if TYPE_CHECKING:
    from lollms_modalities.binding import LollmsBinding
    from lollms_modalities.settings import CallOptions

_log = logging.getLogger(__name__)
_F = TypeVar("_F", bound=Callable[..., Any])
_CONTROLS = ("progress", "cancel", "timeout")
_PLAIN = (str, int, bool, type(None))
_WHOLE_MEDIA = ("Audio", "Image", "Video")


class Verb(NamedTuple):
    """What is known of a verb.

    Attributes:
        name: of the method.
        returns: name of the class in ``media`` that its result, each item of its stream, or each element of the list
            that it returns is of.
        stream: whether it gives a stream of these.
        content: what the first argument is ("text", "prompt", "audio"), which decides how it is checked; "" where it
            is not.
        options: the pydantic class of its options; None for the binding's ``Options``.
        params: names of the documented arguments, in their order, without ``self``.
        required: those of them that have no default.
    """

    name: str
    returns: str
    stream: bool
    content: str
    options: type[CallOptions] | None
    params: tuple[str, ...]
    required: tuple[str, ...]


def verb(
    returns: str, *, stream: bool = False, content: str = "", options: type[CallOptions] | None = None
) -> Callable[[_F], _F]:
    """Mark a method of a binding as a verb: see ``Verb`` for the arguments."""

    def mark(fn: _F) -> _F:
        # Not with inspect, which would make importing the ABCs a third slower.
        params = fn.__code__.co_varnames[1 : fn.__code__.co_argcount]
        required = params[: len(params) - len(fn.__defaults__ or ())]
        spec = Verb(fn.__name__, returns, stream, content, options, params, required)
        fn.__lollms_verb__ = spec  # type: ignore[attr-defined]
        return fn

    return mark


def adopt(cls: type[LollmsBinding]) -> None:
    """Wrap the verbs that ``cls`` resolves to and that no ancestor has wrapped, and give them their twins."""
    declared: dict[str, Verb] = dict(getattr(cls, "_verbs", {}))
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if (spec := getattr(value, "__lollms_verb__", None)) is not None:
                declared[name] = spec
    cls._verbs = declared
    cls._plans = {}
    for name, spec in declared.items():
        fn = getattr(cls, name, None)
        if fn is None or hasattr(fn, "__lollms_raw__") or getattr(fn, "__isabstractmethod__", False):
            continue
        setattr(cls, name, _wrap(fn, spec))
    for name, spec in declared.items():
        twin = getattr(cls, f"a{name}", None)
        if twin is None or hasattr(twin, "__lollms_yields__"):
            setattr(cls, f"a{name}", _twin(name, spec, getattr(cls, name)))


def _wrap(fn: Callable[..., Any], spec: Verb) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call_verb(self: LollmsBinding, *args: Any, **kwargs: Any) -> Any:
        outer = _current.get()
        plan = type(self)._plans.get(fn) or type(self)._plan_class.of(type(self), fn, spec)
        if outer is not None and outer.holds(self) and _is_engine(self, outer, plan):
            return fn(self, *args, **kwargs)
        call, content, arguments = plan.prepare(self, outer, args, kwargs)
        if spec.stream:
            from lollms_modalities.streams import Stream

            return Stream(self, plan, call, content, arguments)
        return run(self, plan, call, content, arguments)

    call_verb.__lollms_raw__ = fn  # type: ignore[attr-defined]
    return call_verb


def _is_engine(binding: LollmsBinding, outer: Call, plan: Plan) -> bool:
    """Whether it is the engine code of ``outer`` that asks for another verb, such as with ``super()``.

    It knows what it does. Whoever else asks from inside a call of the same binding gets the checks of any call, or is
    refused where the engine is in the middle of something.
    """
    if not plan.begins_here:
        return True  # in another process: the raw verb refuses
    telling = _telling.get()
    if outer.binding is binding and outer is not telling:
        return True
    if telling is not None and telling.holds(binding):
        raise BusyError(
            f"{binding.binding_name}: {plan.verb.name} was asked for from inside one of its own calls, by a progress "
            "callable or a plug-in.",
            hint="Ask when that has ended.",
        )
    return False


def _twin(name: str, spec: Verb, documented: Callable[..., Any]) -> Callable[..., Any]:
    def prepare(self: LollmsBinding, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        outer = _current.get()
        if outer is not None and outer.holds(self):
            raise BusyError(
                f"a{name} was asked for from inside a call of the same binding.", hint=f"Call {name} there."
            )
        fn = getattr(type(self), name).__lollms_raw__
        plan = type(self)._plans.get(fn) or type(self)._plan_class.of(type(self), fn, spec)
        call, content, arguments = plan.prepare(self, outer, args, kwargs)
        call.asker = asker()
        return plan, call, content, arguments

    if spec.stream:

        def stream_twin(self: LollmsBinding, *args: Any, **kwargs: Any) -> Any:
            from lollms_modalities.streams import AsyncStream, Stream

            return AsyncStream(Stream(self, *prepare(self, args, kwargs)))

        twin: Callable[..., Any] = stream_twin
    else:

        async def call_twin(self: LollmsBinding, *args: Any, **kwargs: Any) -> Any:
            from lollms_modalities.streams import run_in_thread

            plan, call, content, arguments = prepare(self, args, kwargs)
            return await run_in_thread(call, lambda: run(self, plan, call, content, arguments))

        twin = call_twin
    twin.__name__ = f"a{name}"
    twin.__module__ = documented.__module__
    twin.__qualname__ = documented.__qualname__.rpartition(".")[0] + f".a{name}"
    twin.__wrapped__ = documented  # type: ignore[attr-defined]  # for its signature
    twin.__doc__ = f"Awaitable twin of ``{name}``: same arguments; cancelling the task cancels the call."
    return twin


class Plan:
    """How the arguments of one verb of one class become a call; worked out at its first call."""

    # Whether a call that holds its binding has begun; one in another process has when that process says so.
    begins_here = True

    def __init__(self, cls: type[LollmsBinding], fn: Callable[..., Any], spec: Verb) -> None:
        from lollms_modalities import media

        self.fn = fn
        self.verb = spec
        self.options = spec.options or cls.options_class()
        self.content = spec.params[0] if spec.params else ""
        self.names = frozenset(self.options.model_fields)
        self.documented = tuple(p for p in spec.params[1:] if p not in self.names)
        self.makes_media = spec.returns in _WHOLE_MEDIA and not spec.stream
        own = [n for n in ("output_path", "output_format") if self.makes_media and n not in self.names]
        self.known = {*self.names, *self.documented, *own}
        self.accepts = _accepted(fn)
        fields = cls.settings_class().model_fields
        # The setting that holds where an argument is left out has its name, or that with "default_" before it.
        self.defaults = tuple(
            (n, s) for n in (*self.documented, *self.names) for s in (f"default_{n}", n) if s in fields
        )
        self.seeded = "seed" in self.names
        self.empty: CallOptions | None = None
        self.returns: type = getattr(media, spec.returns)
        self.loads = cls.has_model()

    @classmethod
    def of(cls, binding: type[LollmsBinding], fn: Callable[..., Any], spec: Verb) -> Plan:
        """Make the plan and keep it."""
        plan = binding._plans[fn] = cls(binding, fn, spec)
        return plan

    def prepare(
        self, binding: LollmsBinding, outer: Call | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Call, Any, dict[str, Any]]:
        """The call, its first argument, and the keyword arguments for the engine code.

        Raises:
            OptionError: an unknown or wrong option, or nothing to say.
            TypeError: the first argument is missing, or an argument is given twice, as for any Python function.
        """
        self._name(args, kwargs)
        call = Call(self.verb.name, binding, None, outer)
        try:
            self._check(call, binding, kwargs)
            content = kwargs.pop(self.content) if self.content else None
            if self.verb.content:
                content = binding._check_content(self.verb.content, content)
            arguments = self._arguments(call, binding, kwargs)
        except BaseException:
            call.finish()
            raise
        return call, content, arguments

    def _name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        params = self.verb.params
        if len(args) > len(params):
            raise TypeError(f"{self.verb.name}() takes {len(params)} positional arguments but {len(args)} were given")
        for name, value in zip(params, args, strict=False):
            if name in kwargs:
                raise TypeError(f"{self.verb.name}() got multiple values for argument {name!r}")
            kwargs[name] = value
        for name in self.verb.required:
            if name not in kwargs:
                from lollms_modalities.older import ARGUMENTS

                if (older := ARGUMENTS.get(name)) in kwargs:
                    kwargs[name] = kwargs.pop(str(older))
                    continue
                raise TypeError(f"{self.verb.name}() missing 1 required positional argument: {name!r}")

    def _check(self, call: Call, binding: LollmsBinding, kwargs: dict[str, Any]) -> None:
        if self.content and len(kwargs) == 1:
            return  # the first argument alone: the common call
        progress, cancel, timeout = (kwargs.pop(name, None) for name in _CONTROLS)
        for name in kwargs:
            if name not in self.known and name != self.content:
                from lollms_modalities.settings import near_miss

                raise OptionError(
                    f"{binding.binding_name}: {self.verb.name} has no option {name!r}.",
                    hint=near_miss(name, sorted({*self.known, *_CONTROLS}), "options"),
                    names=[name],
                )
        if self.makes_media:
            output_format = (
                kwargs.get("output_format") if "output_format" in self.names else kwargs.pop("output_format", None)
            )
            self._output(call, kwargs.pop("output_path", None), output_format)
        if progress is not None or cancel is not None or timeout is not None:
            call.control(progress, cancel, timeout)

    def _output(self, call: Call, path: Any, output_format: Any) -> None:
        from lollms_modalities import media

        own = "output_format" in self.names  # the engine's, which may know more than we do
        if path is not None:
            call.output_path = media.check_output_path(path, self.returns)
            by_suffix = media.format_of(call.output_path, self.returns)
            known = output_format is not None and (not own or output_format in media.formats_of(self.returns))
            if known and media.check_format(output_format, self.returns) != by_suffix:
                raise OptionError(
                    f"output_path={call.output_path.name!r} stands for {by_suffix}, "
                    f"and output_format={output_format!r}.",
                    hint="Leave output_format out, or change the suffix.",
                    names=["output_path", "output_format"],
                )
            if not own:
                output_format = by_suffix
        if output_format is not None and not own:
            call.output_format = media.check_format(output_format, self.returns)

    def _arguments(self, call: Call, binding: LollmsBinding, kwargs: dict[str, Any]) -> dict[str, Any]:
        given = {k: v for k, v in kwargs.items() if v is not None} if kwargs else kwargs
        settings = binding.settings
        for name, default in self.defaults:
            if name not in given and (value := getattr(settings, default)) is not None:
                given[name] = value
                call.defaulted += (name,)
        if self.seeded and given.get("seed", -1) == -1:
            given["seed"] = int.from_bytes(os.urandom(4), "little")
            call.drawn = True
        arguments = {name: given.pop(name) for name in self.documented if name in given} if given else {}
        if given:
            call.options = self._validated(binding, given)
        else:
            if self.empty is None:
                self.empty = self._validated(binding, given)
            call.options = self.empty
        arguments.update(call.options.__dict__)
        if self.accepts is not None:
            arguments = {k: v for k, v in arguments.items() if k in self.accepts}
        return arguments

    def finished(self, binding: LollmsBinding, call: Call, result: Any, arguments: dict[str, Any]) -> Any:
        """The result as its class, in the format and place that was asked for, with its provenance."""
        if isinstance(result, list):
            _check_one(call, result)
            return [self.finished(binding, call, item, arguments) for item in result]
        if not isinstance(result, self.returns):
            result = _adopt_plain(binding.binding_name, self, result)
        result = _placed(call, result)
        result._provenance = self.stamp(binding, call, arguments)
        return result

    def stamp(self, binding: LollmsBinding, call: Call, arguments: dict[str, Any]) -> Callable[[], Any]:
        """What the provenance is made of, without the binding itself: a result must not keep a model in memory."""
        elapsed = call.elapsed or call.so_far()
        kept = {n: v if type(v) in _PLAIN else shown(v) for n, v in arguments.items()}
        return functools.partial(
            _provenance,
            type(binding),
            binding._binding_name,
            binding.settings,
            kept,
            call.recorded,
            call.started,
            elapsed,
        )

    def told(self, call: Call, content: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the verb was given, by name, as plug-ins see it."""
        return {self.content: content, **arguments} if self.content else dict(arguments)

    def answered(self, call: Call, answer: Any) -> Any:
        """A plug-in's answer, in the format and place that was asked for."""
        if isinstance(answer, list):
            _check_one(call, answer)
            return [self.answered(call, item) for item in answer]
        if not isinstance(answer, self.returns):
            answer = _adopt_plain(f"the plug-in {call.answered_by!r}", self, answer)
        return _placed(call, answer)

    def replaced(self, result: Any, plugin: str, another: Any) -> Any:
        """What a plug-in gives for a result, which must be of its kind."""
        if isinstance(result, list) and isinstance(another, list):
            return [self.replaced(None, plugin, item) for item in another]
        if isinstance(another, self.returns) and not isinstance(result, list):
            return another
        return _adopt_plain(f"the plug-in {plugin!r}", self, another)

    def _validated(self, binding: LollmsBinding, given: Mapping[str, Any]) -> CallOptions:
        from lollms_modalities.settings import validate

        return validate(self.options, given, OptionError, f"{binding.binding_name}: {self.verb.name}")


def _accepted(fn: Callable[..., Any]) -> frozenset[str] | None:
    """Names of the keyword arguments that a function takes; None for any."""
    import inspect

    params = inspect.signature(fn).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in params):
        return None
    return frozenset(p.name for p in params)


def run(binding: LollmsBinding, plan: Plan, call: Call, content: Any, arguments: dict[str, Any]) -> Any:
    """Run a verb that gives its result whole."""
    before = _current.get()
    try:
        _current.set(call)
        relay = hooks.relay()
        if relay is not None and (result := _answer(relay, binding, plan, call, content, arguments)) is not None:
            return relay.after_call(binding, call, result, functools.partial(plan.replaced, result))
        binding._enter(call, plan)
        if relay is not None and plan.begins_here:
            relay.before_call(binding, call)
        result = plan.fn(binding, content, **arguments) if plan.content else plan.fn(binding, **arguments)
        call.check()
        if plan.begins_here:
            result = binding._tidy(call, content, result)
        result = plan.finished(binding, call, result, arguments)
        if relay is not None:
            result = relay.after_call(binding, call, result, functools.partial(plan.replaced, result))
        return result
    except BaseException as exc:
        error = settle(binding, call, exc)
        if (relay := hooks.relay()) is not None:
            relay.call_failed(binding, call, error)
        if error is exc:
            raise
        raise error from error.__cause__ or exc
    finally:
        try:
            _current.set(before)
        finally:
            try:
                binding._leave(call)
            except BaseException:
                binding._leave(call)
                raise


def _answer(
    relay: hooks.Relay, binding: LollmsBinding, plan: Plan, call: Call, content: Any, arguments: dict[str, Any]
) -> Any:
    """A plug-in's result in the place of the engine's; None where none answers."""
    call.begin()
    call.check()
    answer = relay.answer_call(binding, call, plan.told(call, content, arguments))
    if answer is None:
        return None
    if binding._closed:
        raise binding._closed_error(call)
    try:
        return plan.answered(call, answer)
    except Exception:  # such as a damaged file of a cache: the engine does it
        relay.reject_answer(call)
        return None


def _check_one(call: Call, results: list[Any]) -> None:
    if call.output_path is not None and len(results) != 1:
        raise OptionError(
            f"{call.verb} made {len(results)} results for one output_path.", hint="Save each yourself with .save()."
        )


def _placed(call: Call, result: Any) -> Any:
    """The result in the place and the format that was asked for."""
    if call.output_path is None:
        wanted = call.output_format
        return result if wanted is None or result.format == wanted else result.convert(wanted)
    if result._held_by == call.output_path:
        return result  # the engine has written it there
    for part in call.parts:
        if result._held_by == part.part:
            part.keep()
            result.path = call.output_path
            return result
    return result.moved_to(call.output_path)


def _adopt_plain(maker: str, plan: Plan, result: Any) -> Any:
    plain = str if issubclass(plan.returns, str) else (bytes, bytearray, memoryview)
    if isinstance(result, plain):
        return plan.returns(result)
    raise GenerationError(
        f"{maker}: {plan.verb.name} gave {type(result).__name__}, not {plan.verb.returns}.",
        hint="This is a fault of the binding; tell its authors.",
    )


def _provenance(
    cls: type[LollmsBinding], name: str | None, settings: Any, arguments: dict[str, Any],
    recorded: dict[str, Any] | None, started: float, elapsed: float,
) -> Any:  # fmt: skip
    from lollms_modalities.media import Provenance
    from lollms_modalities.settings import dump_public

    origin = cls.origin()
    said = recorded or {}
    engine = said.get("engine", cls.engine)
    return Provenance(
        binding=name or origin.name,
        modality=cls.modality,
        distribution=origin.distribution,
        distribution_version=origin.version,
        engine=engine,
        engine_version=said.get("engine_version") or cls.engine_version(engine),
        model=said.get("model") or str(getattr(settings, "model_name", None) or ""),
        settings=dump_public(settings),
        options=arguments,
        seed=arguments.get("seed"),
        started=started,
        elapsed=elapsed,
        usage=said.get("usage", {}),
        extra=said.get("extra", {}),
    )


def settle(binding: LollmsBinding, call: Call, exc: BaseException) -> BaseException:
    """The exception that the caller of a failed call is to see. Its cause is set where ``exc`` must not be shown."""
    if call._error is not None:
        return call._error
    if not isinstance(exc, Exception):
        return exc
    secrets = [*secrets_in(binding.settings), *secrets_in(call.options)]
    cause = without_secrets(exc, secrets)
    error = _settled(binding, call, exc, secrets)
    if cause is not exc and error is not exc:
        error.__cause__ = cause
    return error


def _settled(binding: LollmsBinding, call: Call, exc: Exception, secrets: list[str]) -> BaseException:
    if call._stop is not None:
        return call._stop
    if isinstance(exc, LollmsError):
        return exc
    try:
        translated = binding.translate_error(exc)
    except Exception:  # as when the error cannot even be shown
        _log.exception("%s: its translate_error failed", binding.binding_name)
        translated = None
    if translated is not None:
        return translated.hide(secrets)
    text = f"{binding.binding_name}: {call.verb} failed in its engine: {said(exc)}"
    return GenerationError(text).hide(secrets)


def not_an_end(call: Call, error: BaseException) -> BaseException:
    """``error``, unless whoever takes items, or a generator on its way, would see it as an end."""
    if not isinstance(error, (StopIteration, StopAsyncIteration)):
        return error
    told = GenerationError(
        f"{call.verb}: its progress callable raised {type(error).__name__}, which would pass for an end.",
        hint="Let it raise something else.",
    )
    told.__cause__ = error
    return told
