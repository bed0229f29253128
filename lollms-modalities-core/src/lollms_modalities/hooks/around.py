"""What is around the implementations of a hook: ``hookimpl(wrapper=True)``, and that they are no engine's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lollms_modalities.calls.call import TELLING
from lollms_modalities.errors import PluginRefused


def run_as_plugin(event: dict[str, Any], fn: Callable[..., Any], *args: Any) -> Any:
    """Run code of a plug-in. It is not the engine's, and may not ask for the verbs that the engine may ask for."""
    token = TELLING.set(event.get("call"))
    try:
        return fn(*args)
    finally:
        TELLING.reset(token)


def wrapped(
    wrappers: list[Any], event: dict[str, Any], plain: Iterator[tuple[str, Any]], run: Callable[..., Any],
    failed: Callable[[Any, Exception], None],
) -> Iterator[tuple[str, Any]]:  # fmt: skip
    """The names and answers that ``plain`` gives, as those around it want them.

    Args:
        wrappers: the implementations, the outermost first.
        event: the hook's arguments.
        plain: calls the others, while it is iterated over.
        run: called with an implementation, the event, and what of its code to run.
        failed: is told, in an ``except`` clause, of an implementation that raises.
    """
    begun = []
    for impl in wrappers:
        try:
            around = impl.function(*(event[name] for name in impl.argnames))
            run(impl, event, next, around)
        except Exception as exc:
            failed(impl, exc)
        else:
            begun.append((impl, around))
    try:
        answers = list(plain)
    except PluginRefused:
        for _, around in reversed(begun):
            around.close()
        raise
    for impl, around in reversed(begun):
        given = [answer for _, answer in answers]
        try:
            wanted = run(impl, event, _sent, impl, around, given)
        except Exception as exc:
            failed(impl, exc)
            continue
        if wanted is not given:
            several = wanted if isinstance(wanted, list) else [wanted]
            names = {id(answer): name for name, answer in answers}
            answers = [(names.get(id(a), impl.plugin_name), a) for a in several if a is not None]
    return iter(answers)


def _sent(impl: Any, around: Any, given: list[Any]) -> Any:
    """Give a wrapper what the others gave: what it makes of that."""
    import pluggy

    outcome = pluggy.Result(given, None) if impl.hookwrapper else None
    try:
        around.send(given if outcome is None else outcome)
    except StopIteration as end:
        return end.value if outcome is None else outcome.get_result()
    around.close()
    raise RuntimeError("a wrapper yields once")
