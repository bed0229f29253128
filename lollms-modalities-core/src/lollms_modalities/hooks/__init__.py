"""The registry of plug-ins, which pluggy finds in the entry-point group ``lollms_client.plugins``.

Begin with ``specs``: the hooks. The registry knows no type but the call; what it passes on are objects of rooms above.
Imports ``errors``, ``calls`` and ``entry_points``.

Without a plug-in nothing is imported and a call pays one comparison. A hook that raises is logged, and the call goes on
as if it had not been there; unless it raises ``PluginRefused``, or its plug-in says in ``required_hooks`` that without
this hook nothing is to pass.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.failures import said
from lollms_modalities.calls.handlers import raised_by_handler
from lollms_modalities.calls.logs import log_failure
from lollms_modalities.entry_points.metadata import read_entry_points
from lollms_modalities.errors import PluginRefused
from lollms_modalities.hooks.around import run_as_plugin, wrapped

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from lollms_modalities.calls.call import Call
    from lollms_modalities.hooks.limits import Limits

GROUP = "lollms_client.plugins"
_REFUSE = frozenset({
    "lollms_answer_call", "lollms_before_call", "lollms_stream_chunk", "lollms_result_encoded", "lollms_after_call",
})  # fmt: skip
Usable = Callable[[Any, str, Any], Any]
_relay: Relay | None = None
_looked = False
_limits: Limits | None = None
_left_out: frozenset[str] = frozenset()
# Who looks for the plug-ins: they are made once, however many threads make the first call.
_looking = threading.RLock()


def relay() -> Relay | None:
    """What passes events on to the plug-ins, or None where there are none."""
    return _relay if _looked else _look()


def _look() -> Relay | None:
    global _relay, _looked
    with _looking:
        if not _looked:
            found = Relay.load() if _switched_on() else None
            if not _looked:  # a plug-in that is being loaded may have registered another
                _relay, _looked = found, True
        return _relay


def _switched_on() -> list[EntryPoint]:
    entries = read_entry_points(GROUP)
    if not entries:
        return []
    from lollms_modalities.hooks.settings import switched_off

    return [entry for entry in entries if entry.name not in _left_out and not switched_off(entry.name)]


def register(plugin: object, name: str = "") -> None:
    """Add a plug-in by hand: an object whose methods are marked with ``hookimpl``.

    Args:
        name: that errors and logs call it by; without one it is that of its class or module.

    Raises:
        ValueError: it is registered already, or another one has that name.
    """
    global _relay, _looked
    from lollms_modalities.hooks.settings import name_for

    with _looking:
        relay_ = relay() or Relay.load()
        relay_.manager.register(plugin, name=name or name_for(plugin, relay_.manager.has_plugin))
        _relay, _looked = relay_, True


def unregister(plugin: object) -> None:
    """Take back what ``register`` added."""
    if _relay is not None:
        _relay.manager.unregister(plugin)


def replace(relay: Relay | None) -> None:
    """Put another in the place of the plug-ins; None looks for them again. For workers, whose host has the plug-ins."""
    global _relay, _looked
    _relay, _looked = relay, relay is not None


def plugin_names() -> list[str]:
    """The plug-ins that are installed and on, each as ``name (distribution version)``, by metadata."""
    return sorted(
        f"{entry.name} ({entry.dist.name} {entry.dist.version})" if entry.dist else entry.name
        for entry in _switched_on()
    )


def plugin_settings(name: str) -> dict[str, Any] | None:
    """What the configuration says of the plug-in of that name; None where it is switched off.

    Raises:
        ConfigurationError: it cannot be read.
    """
    from lollms_modalities.hooks.settings import plugin_settings, switched_off

    return None if name in _left_out or switched_off(name) else plugin_settings(name)


def limit(
    seconds: float | None, failed: Callable[[str, str, BaseException], object] = lambda plugin, hook, error: None, *,
    own: Mapping[str, float] | None = None, without: Iterable[str] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:  # fmt: skip
    """From now on hooks may take so many seconds each, after which the call goes on without; None: as long as they do.

    For programs that serve others: each hook then runs in a thread of its own.

    Args:
        seconds: that a hook may take.
        failed: called when a hook raises or takes too long, or a plug-in cannot be loaded: with the plug-in, the hook
            ("load" for that) and the error. It may be called in any thread.
        own: other limits, by plug-in.
        without: plug-ins that are left out. Those that have been loaded are let go of.
        settings: of plug-ins by their names, in the place of what the usual configuration file says.
    """
    global _limits, _left_out
    from lollms_modalities.hooks import settings as configured
    from lollms_modalities.hooks.limits import Limits

    configured.given = settings
    _limits = None if seconds is None else Limits(seconds, own or {}, failed)
    _left_out = frozenset(without)
    if _relay is not None:
        for name in _left_out:
            if _relay.manager.has_plugin(name):
                _relay.manager.unregister(name=name)


def _guarded(impl: Any, event: dict[str, Any], fn: Callable[..., Any], *args: Any) -> Any:
    """Run code of an implementation, as long as it may take."""
    if _limits is None:
        return run_as_plugin(event, fn, *args)
    return _limits.run(impl.plugin_name, run_as_plugin, event, fn, *args)


def _failed(plugin: str, hook: str, error: BaseException) -> None:
    """Log, in an ``except`` clause, what a plug-in raised, and tell whoever wants to know."""
    log_failure(__name__, "plug-in %r failed in %s", plugin, hook)
    if _limits is not None:
        _limits.failed(plugin, hook, error)


class Relay:
    """Calls the hooks of every plug-in.

    Attributes:
        answers: whether it wants to hear more than that calls begin and fail.
    """

    answers = True

    def __init__(self, manager: Any) -> None:
        self.manager = manager

    @classmethod
    def load(cls) -> Relay:
        """Find the plug-ins: modules, objects, or classes, of which one object is made.

        A class that takes ``settings`` is given those of its name. One that is switched off is left out, and one that
        cannot be loaded is logged and left out.
        """
        import pluggy

        from lollms_modalities.hooks import specs
        from lollms_modalities.hooks.settings import made

        manager = pluggy.PluginManager(specs.PROJECT)
        manager.add_hookspecs(specs)
        for entry in _switched_on():
            try:
                manager.register(made(entry.load(), entry.name), name=entry.name)
            except Exception as exc:
                log_failure(__name__, "plug-in %r (%s) cannot be loaded and is left out", entry.name, entry.value)
                if _limits is not None:
                    _limits.failed(entry.name, "load", exc)
        return cls(manager)

    def binding_created(self, binding: Any) -> None:
        """Tell that a manager has made a binding."""
        self._tell("lollms_binding_created", binding=binding)

    def answer_call(self, binding: Any, call: Call, arguments: Mapping[str, Any]) -> Any:
        """What the first plug-in that answers gives in the engine's place; None where none does."""
        event = {"binding": binding, "call": call, "arguments": arguments}
        for plugin, answer in self._each("lollms_answer_call", event):
            call.answered_by = plugin
            return answer
        return None

    def reject_answer(self, call: Call) -> None:
        """Log, in an ``except`` clause, that what a plug-in answered cannot be used."""
        log_failure(__name__, "plug-in %r answered %s with what cannot be used", call.answered_by, call.verb)
        call.answered_by = ""

    def before_call(self, binding: Any, call: Call) -> None:
        """Tell that a call begins."""
        self._tell("lollms_before_call", binding=binding, call=call)

    @property
    def encodes(self) -> bool:
        """Whether a plug-in wants to be told of encoded media."""
        return self.manager is not None and bool(self.manager.hook.lollms_result_encoded.get_hookimpls())

    def result_encoded(self, media: Any, usable: Usable, **event: Any) -> Any:
        """Tell that media are encoded; they, or what the plug-ins want in their place."""
        return self._chained("lollms_result_encoded", "media", usable, {**event, "media": media})

    def after_call(self, binding: Any, call: Call, result: Any, usable: Usable | None = None) -> Any:
        """Tell that a call has ended; the result, or what the plug-ins want in its place.

        ``usable`` makes a result of the one before, a plug-in's name, and what that plug-in gives; or raises.
        """
        event = {"binding": binding, "call": call, "result": result}
        return self._chained("lollms_after_call", "result", usable, event)

    def stream_chunk(self, binding: Any, call: Call, chunk: Any, usable: Usable) -> Any:
        """Tell that a stream gives an item; that, or what the plug-ins want in its place."""
        event = {"binding": binding, "call": call, "chunk": chunk}
        return self._chained("lollms_stream_chunk", "chunk", usable, event)

    def call_failed(self, binding: Any, call: Call, error: BaseException) -> None:
        """Tell that a call raises."""
        self._tell("lollms_call_failed", binding=binding, call=call, error=error)

    def _tell(self, hook: str, **event: Any) -> None:
        for _ in self._each(hook, event):
            pass

    def _chained(self, hook: str, key: str, usable: Usable | None, event: dict[str, Any]) -> Any:
        """Call all, each with what the one before gave in the place of ``event[key]``; what stands there in the end."""
        first = event[key]

        def take(plugin: str, answer: Any) -> Any:
            try:
                event[key] = answer = usable(event[key], plugin, answer) if usable is not None else None
            except Exception:
                verb = "" if (call := event.get("call")) is None else f" of {call.verb}"
                log_failure(__name__, "plug-in %r gave another %s%s that cannot be used", plugin, key, verb)
                return None
            return answer

        try:
            given = list(self._each(hook, event, take))
        except PluginRefused as refusal:
            if refusal.result is None and key != "chunk":
                refusal.result = event[key]
            raise
        if not given:  # or a wrapper wants none of it
            return first
        plugin, last = given[-1]
        if last is not event[key]:  # a wrapper's
            take(plugin, last)
        return event[key]

    def _each(
        self, hook: str, event: dict[str, Any], take: Callable[[str, Any], Any] | None = None
    ) -> Iterator[tuple[str, Any]]:
        """Call one implementation after the other: its plug-in's name and what it gave, unless that is None.

        ``take`` is asked at once what to make of that. What is around the implementations (``hookimpl(wrapper=True)``)
        is given the list of what they gave and may give another. It sees all of them, so that they are then called
        before the first answer is taken.
        """
        impls = list(reversed(getattr(self.manager.hook, hook).get_hookimpls()))
        wrappers = [impl for impl in impls if impl.wrapper or impl.hookwrapper]
        plain = self._plain([impl for impl in impls if impl not in wrappers], hook, event, take)
        if not wrappers:
            yield from plain
            return
        yield from wrapped(wrappers, event, plain, _guarded, lambda impl, exc: _pass_over(impl, hook, exc))

    def _plain(
        self, impls: list[Any], hook: str, event: dict[str, Any], take: Callable[[str, Any], Any] | None
    ) -> Iterator[tuple[str, Any]]:
        # Each on its own: pluggy would stop at the first that raises.
        for impl in impls:
            try:
                answer = _guarded(impl, event, impl.function, *(event[name] for name in impl.argnames))
                if isinstance(answer, CoroutineType):
                    answer.close()
                    raise TypeError("a hook is called and not awaited: write it with def, not with async def")
            except Exception as exc:
                _pass_over(impl, hook, exc)
                continue
            if answer is not None and take is not None:
                answer = take(impl.plugin_name, answer)
            if answer is not None:
                yield impl.plugin_name, answer


def _pass_over(impl: Any, hook: str, exc: Exception) -> None:
    """Log, in an ``except`` clause, what an implementation raised, unless that ends the call."""
    if raised_by_handler(exc):
        raise exc
    if isinstance(exc, PluginRefused) and hook in _REFUSE:
        exc.plugin = exc.plugin or impl.plugin_name
        raise exc
    _failed(impl.plugin_name, hook, exc)
    if hook in _REFUSE and hook in getattr(impl.plugin, "required_hooks", ()):
        raise PluginRefused(
            f"The plug-in {impl.plugin_name!r} failed in {hook}, without which it lets nothing pass: {said(exc)}",
            hint="Mend its cause, or change what the plug-in requires.",
            plugin=impl.plugin_name,
        ) from exc


def told(call: Call, fn: Callable[..., Any], *args: Any) -> Any:
    """Run code of the plug-in that answers a call, such as a step of its items; as long as a hook may take.

    Raises:
        TimeoutError: it takes longer.
        Exception: what it raises.
    """
    event = {"call": call}
    if _limits is None:
        return run_as_plugin(event, fn, *args)
    try:
        return _limits.run(call.answered_by, run_as_plugin, event, fn, *args)
    except Exception as exc:
        if not call.stopped:
            _limits.failed(call.answered_by, "lollms_answer_call", exc)
        raise


def _after_fork() -> None:
    global _looking
    _looking = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
