"""How the arguments of one verb of one class become a call, and what becomes of its result."""

from __future__ import annotations

import functools
import math
import operator
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.call import Call
from lollms_modalities.errors import GenerationError, OptionError
from lollms_modalities.settings.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.contract.verbs import Verb
    from lollms_modalities.settings.base import CallOptions


CONTROLS = ("progress", "cancel", "timeout")
_PLAIN = (str, int, bool, type(None))
_UNCHANGING = (*_PLAIN, float)
WHOLE_MEDIA = ("Audio", "Image", "Video")


class Plan:
    """How the arguments of one verb of one class become a call; worked out at its first call."""

    # Whether a call that holds its binding has begun; one in another process has when that process says so.
    begins_here = True

    def __init__(self, cls: type[LollmsBinding], fn: Callable[..., Any], spec: Verb) -> None:
        from lollms_modalities import media
        from lollms_modalities.settings.types import empty_is_none

        self.fn = fn
        self.verb = spec
        self.options = spec.options or cls.options_class()
        self.content = spec.params[0] if spec.params else ""
        self.names = frozenset(self.options.model_fields)
        self.documented = tuple(p for p in spec.params[1:] if p not in self.names)
        self.makes_media = spec.returns in WHOLE_MEDIA and not spec.stream
        own = [n for n in ("output_path", "output_format") if self.makes_media and n not in self.names]
        common = cls._common_options(spec)
        # Those that the core takes; a binding that declares one is given it.
        self.common = tuple(n for n in common if n not in self.names)
        self.declares_common = any(n in self.names for n in common)
        self.known = {*self.names, *self.documented, *own, *self.common}
        self.accepts = _accepted(fn)
        fields = cls.settings_class().model_fields
        # The setting that holds where an argument is left out has its name, or that with "default_" before it.
        self.defaults = tuple(
            (n, s) for n in (*self.documented, *self.names) for s in (f"default_{n}", n) if s in fields
        )
        # Options of which "" stands for None, and so for what was left out.
        self.empties = frozenset(n for n, f in self.options.model_fields.items() if empty_is_none(f))
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
        if binding._chosen is not None:
            call.record(extra={"chosen": dict(binding._chosen)})
        try:
            self._check(call, binding, kwargs)
            content = kwargs.pop(self.content) if self.content else None
            if self.verb.content:
                content = binding._check_content(self.verb.content, content)
                if self.verb.content == "frames":
                    call.at_end(content.close)
            common = {n: kwargs.pop(n) for n in self.common if n in kwargs} if kwargs else None
            arguments = self._arguments(call, binding, kwargs)
            if common or self.declares_common:
                call.step = binding._step_of(content, arguments, common or {})
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
                from lollms_modalities.settings.older import ARGUMENTS

                if (older := ARGUMENTS.get(name)) in kwargs:
                    kwargs[name] = kwargs.pop(str(older))
                    continue
                raise TypeError(f"{self.verb.name}() missing 1 required positional argument: {name!r}")

    def _check(self, call: Call, binding: LollmsBinding, kwargs: dict[str, Any]) -> None:
        if self.content and len(kwargs) == 1:
            return  # the first argument alone: the common call
        pop = kwargs.pop
        progress, cancel, timeout = pop("progress", None), pop("cancel", None), pop("timeout", None)
        for name in kwargs:
            if name not in self.known and name != self.content:
                from lollms_modalities.settings.checking import near_miss

                raise OptionError(
                    f"{binding.binding_name}: {self.verb.name} has no option {name!r}.",
                    hint=near_miss(name, sorted({*self.known, *CONTROLS}), "options"),
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
        if path is None and output_format is None:
            return
        from lollms_modalities import media

        own = "output_format" in self.names  # the engine's, which may know more than we do
        if path is not None:
            call.output_path = media.check_output_path(path, self.returns)
            by_suffix = checked_output(call.output_path, output_format, self.returns, own=own)
            if not own:
                output_format = by_suffix
        if output_format is not None and not own:
            call.original = output_format == media.ORIGINAL
            call.output_format = None if call.original else media.check_format(output_format, self.returns)

    def _arguments(self, call: Call, binding: LollmsBinding, kwargs: dict[str, Any]) -> dict[str, Any]:
        given = kwargs
        if kwargs:
            empties = self.empties
            given = {
                k: v for k, v in kwargs.items() if v is not None and (v.__class__ is not str or v or k not in empties)
            }
        settings = binding.settings
        for name, default in self.defaults:
            if name not in given and (value := getattr(settings, default)) is not None:
                given[name] = value
                call.defaulted += (name,)
        if self.seeded and given.get("seed", -1) == -1:
            given["seed"] = int.from_bytes(os.urandom(4), "little")
            call.drawn = True
        arguments = {name: _number(name, given.pop(name)) for name in self.documented if name in given} if given else {}
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
        """The result as its class, with its provenance."""
        if isinstance(result, list):
            return [self.finished(binding, call, item, arguments) for item in result]
        result = result if isinstance(result, self.returns) else self.adopted(binding, result)
        result._provenance = self.stamp(binding, call, arguments)
        return result

    def adopted(self, binding: LollmsBinding, result: Any) -> Any:
        """The result as its class; a list of them as such a list."""
        if isinstance(result, list):
            return [self.adopted(binding, item) for item in result]
        return result if isinstance(result, self.returns) else adopt_plain(binding.binding_name, self, result)

    def stamp(self, binding: LollmsBinding, call: Call, arguments: dict[str, Any]) -> Callable[[], Any]:
        """What the provenance is made of, without the binding itself: a result must not keep a model in memory."""
        elapsed = call.elapsed or call.so_far()
        kept = {n: v if type(v) in _PLAIN else shown(v) for n, v in arguments.items()}
        if call.step is not None:
            kept |= call.step.told()
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
        told = {self.content: content, **arguments} if self.content else dict(arguments)
        return told if call.step is None else told | call.step.told()

    def answered(self, call: Call, answer: Any) -> Any:
        """A plug-in's answer as the verb's results."""
        if isinstance(answer, list):
            return [self.answered(call, item) for item in answer]
        if not isinstance(answer, self.returns):
            answer = adopt_plain(f"the plug-in {call.answered_by!r}", self, answer)
        return answer

    def replaced(self, result: Any, plugin: str, another: Any) -> Any:
        """What a plug-in gives for a result, which must be of its kind."""
        if isinstance(result, list) and isinstance(another, list):
            return [self.replaced(None, plugin, item) for item in another]
        if isinstance(another, self.returns) and not isinstance(result, list):
            return another
        return adopt_plain(f"the plug-in {plugin!r}", self, another)

    def _validated(self, binding: LollmsBinding, given: Mapping[str, Any]) -> CallOptions:
        from lollms_modalities.settings.checking import validate

        return validate(self.options, given, OptionError, f"{binding.binding_name}: {self.verb.name}")


def _accepted(fn: Callable[..., Any]) -> frozenset[str] | None:
    """Names of the keyword arguments that a function takes; None for any."""
    import inspect

    params = inspect.signature(fn).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in params):
        return None
    return frozenset(p.name for p in params)


def checked_output(path: Path, output_format: Any, returns: type, *, own: bool) -> str:
    """The format that the suffix of an ``output_path`` stands for.

    Args:
        own: whether ``output_format`` is the engine's own option, which may be one that we do not know.

    Raises:
        OptionError: ``output_format`` is another.
    """
    from lollms_modalities import media

    by_suffix = media.format_of(path, returns)
    if output_format == media.ORIGINAL and not own:
        raise OptionError(
            f"output_path={path.name!r} stands for {by_suffix}, and output_format='original' for whatever comes.",
            hint="Leave one out: a result that comes in the format of the suffix is written as it is.",
            names=["output_path", "output_format"],
        )
    known = output_format is not None and (not own or output_format in media.formats_of(returns))
    if known and media.check_format(output_format, returns) != by_suffix:
        raise OptionError(
            f"output_path={path.name!r} stands for {by_suffix}, and output_format={output_format!r}.",
            hint="Leave output_format out, or change the suffix.",
            names=["output_path", "output_format"],
        )
    return by_suffix


def _number(name: str, value: Any) -> Any:
    """An argument that is no option, and so has no type: whatever it is to be, it is not infinity or NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(f"{name}={value!r} is not a finite number.", names=[name])
    return value


def adopt_plain(maker: str, plan: Plan, result: Any) -> Any:
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
    from lollms_modalities.media.result import Provenance

    origin = cls.origin()
    said = recorded or {}
    public, model = _told_of(settings)
    engine = said.get("engine", cls.engine)
    return Provenance(
        binding=name or origin.name,
        modality=cls.modality,
        distribution=origin.distribution,
        distribution_version=origin.version,
        engine=engine,
        engine_version=said.get("engine_version") or cls.engine_version(engine),
        model=said.get("model") or model,
        settings=dict(public),
        options=arguments,
        seed=arguments.get("seed"),
        started=started,
        elapsed=elapsed,
        usage=said.get("usage", {}),
        extra=said.get("extra", {}),
    )


# Of the settings that were told last: they, their values, these as they are shown, the model's name.
_latest: tuple[Any, tuple[Any, ...], dict[str, Any], str] = (None, (), {}, "")


def _told_of(settings: Any) -> tuple[dict[str, Any], str]:
    """The settings as they are shown, and their model's name.

    A worker tells the same with each result. They are worked out anew unless every value is the very one of before,
    and of a kind that nobody changes in place.
    """
    global _latest
    from lollms_modalities.settings.forms import dump_public

    values = tuple(settings.__dict__.values())
    latest = _latest
    if latest[0] is settings and len(values) == len(latest[1]) and all(map(operator.is_, values, latest[1])):
        return latest[2], latest[3]
    public, model = dump_public(settings), str(getattr(settings, "model_name", None) or "")
    if all(type(value) in _UNCHANGING for value in values):
        _latest = settings, values, public, model
    return public, model
