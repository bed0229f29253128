"""The methods of a binding that run its engine, each wrapped once.

A verb is a public method that runs the engine. The methods that the five ABCs declare are verbs wherever they are
overridden; others are marked with ``@verb``. Each is wrapped once, by ``LollmsBinding.__init_subclass__``, and each
gets an awaitable twin whose name has an ``a`` before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from lollms_modalities.calls.askers import asker
from lollms_modalities.calls.call import CURRENT, TELLING
from lollms_modalities.contract.running import run
from lollms_modalities.errors import BusyError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.contract.plan import Plan
    from lollms_modalities.settings.base import CallOptions


_F = TypeVar("_F", bound=Callable[..., Any])


class Verb(NamedTuple):
    """What is known of a verb.

    Attributes:
        name: of the method.
        returns: name of the class in ``media`` that its result, each item of its stream, or each element of the list
            that it returns is of.
        stream: whether it gives a stream of these.
        content: what the first argument is ("text", "texts", "prompt", "audio", "image", "images"), which decides how
            it is checked; "" where it is not.
        options: the pydantic class of its options; None for the binding's ``Options``.
        params: names of the documented arguments, in their order, without ``self``.
        required: those of them that have no default.
        kind: what it does to media: "generates" new ones, "edits" those it is given, or "transcribes" them.
    """

    name: str
    returns: str
    stream: bool
    content: str
    options: type[CallOptions] | None
    params: tuple[str, ...]
    required: tuple[str, ...]
    kind: str = "generates"


KINDS = ("generates", "edits", "transcribes")


def verb(
    returns: str,
    *,
    stream: bool = False,
    content: str = "",
    options: type[CallOptions] | None = None,
    kind: Literal["", "generates", "edits", "transcribes"] = "",
) -> Callable[[_F], _F]:
    """Mark a method of a binding as a verb: see ``Verb`` for the arguments.

    A ``kind`` that is left out follows from what the verb is given and gives: what gives text transcribes, what is
    given images or sound and gives media edits, anything else generates.
    """
    if kind and kind not in KINDS:
        raise TypeError(f"a verb's kind is one of {', '.join(KINDS)}, and not {kind!r}")

    def mark(fn: _F) -> _F:
        # Not with inspect, which would make importing the ABCs a third slower.
        params = fn.__code__.co_varnames[1 : fn.__code__.co_argcount]
        required = params[: len(params) - len(fn.__defaults__ or ())]
        spec = Verb(fn.__name__, returns, stream, content, options, params, required, kind or kind_of(returns, content))
        fn.__lollms_verb__ = spec  # type: ignore[attr-defined]
        return fn

    return mark


def kind_of(returns: str, content: str) -> str:
    """The kind of a verb that says none."""
    if returns in ("Transcript", "Segment"):
        return "transcribes"
    return "edits" if content in ("audio", "image", "images", "video") else "generates"


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
        outer = CURRENT.get()
        plan = type(self)._plans.get(fn) or type(self)._plan_class.of(type(self), fn, spec)
        if outer is not None and outer.holds(self) and _is_engine(self, outer, plan):
            return fn(self, *args, **kwargs)
        call, content, arguments = plan.prepare(self, outer, args, kwargs)
        if spec.stream:
            from lollms_modalities.contract.streams import Stream

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
    telling = TELLING.get()
    if outer.binding is binding and outer is not telling:
        return True
    if telling is not None and telling.holds(binding):
        raise BusyError(
            f"{binding.binding_name}: {plan.verb.name} was asked for from inside one of its own calls, by a progress "
            "callable or a plug-in.",
            hint="Ask when that has ended.",
        )
    return False


def check_arguments(binding: LollmsBinding, name: str, arguments: dict[str, Any]) -> None:
    """Raise what a call of the verb with these arguments would raise at once; nothing is run."""
    cls = type(binding)
    fn, spec = getattr(cls, name).__lollms_raw__, cls._verbs[name]
    plan = cls._plans.get(fn) or cls._plan_class.of(cls, fn, spec)
    plan.prepare(binding, None, (), arguments)[0].finish()


def _twin(name: str, spec: Verb, documented: Callable[..., Any]) -> Callable[..., Any]:
    def prepare(self: LollmsBinding, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        outer = CURRENT.get()
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
            from lollms_modalities.contract.async_streams import AsyncStream
            from lollms_modalities.contract.streams import Stream

            return AsyncStream(Stream(self, *prepare(self, args, kwargs)))

        twin: Callable[..., Any] = stream_twin
    else:

        async def call_twin(self: LollmsBinding, *args: Any, **kwargs: Any) -> Any:
            from lollms_modalities.contract.async_streams import run_in_thread

            plan, call, content, arguments = prepare(self, args, kwargs)
            return await run_in_thread(call, lambda: run(self, plan, call, content, arguments))

        twin = call_twin
    twin.__name__ = f"a{name}"
    twin.__module__ = documented.__module__
    twin.__qualname__ = documented.__qualname__.rpartition(".")[0] + f".a{name}"
    twin.__wrapped__ = documented  # type: ignore[attr-defined]  # for its signature
    twin.__doc__ = f"Awaitable twin of ``{name}``: same arguments; cancelling the task cancels the call."
    return twin
