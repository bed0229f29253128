"""A verb is run: the call gets its context, plug-ins are told, errors become typed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lollms_modalities import hooks
from lollms_modalities.calls.call import CURRENT
from lollms_modalities.calls.failures import said, without_secrets
from lollms_modalities.calls.handlers import raised_by_handler
from lollms_modalities.calls.logs import log_failure
from lollms_modalities.contract.delivering import after, delivered
from lollms_modalities.errors import GenerationError, LollmsError, PluginRefused
from lollms_modalities.settings.shown import secrets_in

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.contract.holding import Holding
    from lollms_modalities.contract.plan import Plan


def run(binding: LollmsBinding, plan: Plan, call: Call, content: Any, arguments: dict[str, Any]) -> Any:
    """Run a verb that gives its result whole."""
    before = CURRENT.get()
    try:
        CURRENT.set(call)
        relay = hooks.relay()
        told = relay if relay is not None and relay.answers else None
        if told is not None and (result := _answer(told, binding, plan, call, content, arguments)) is not None:
            return after(told, binding, plan, call, result)
        binding._enter(call, plan)
        if relay is not None and plan.begins_here:
            relay.before_call(binding, call)
        result = plan.fn(binding, content, **arguments) if plan.content else plan.fn(binding, **arguments)
        call.check()
        if plan.begins_here:
            result = binding._tidy(call, content, result)
        if call.step is not None:
            result = stepped(call, plan.adopted(binding, result))
        result = plan.finished(binding, call, result, arguments)
        if plan.makes_media:
            result = delivered(binding, plan, call, result, content, arguments)
        return result if told is None else after(told, binding, plan, call, result)
    except BaseException as exc:
        error = settle(binding, call, exc)
        if (relay := hooks.relay()) is not None:
            relay.call_failed(binding, call, error)
        if error is exc:
            raise
        raise error from error.__cause__ or exc
    finally:
        # Written out, as in ``holding``: an interrupt at the entry of a function that does it would leave all held.
        try:
            CURRENT.set(before)
        finally:
            try:
                binding._leave(call)
            except BaseException:
                binding._leave(call)
                raise


def stepped(call: Call, result: Any) -> Any:
    """The result, or each of several, with what the call asked for beside it."""
    if call.step is None:
        return result
    if isinstance(result, list):
        return [call.step.whole(call, each) for each in result]
    return call.step.whole(call, result)


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
        result = stepped(call, plan.answered(call, answer))
        if plan.makes_media:
            result = delivered(binding, plan, call, result, content, arguments)
        return result
    except PluginRefused:
        raise
    except Exception:  # such as a damaged file of a cache: the engine does it
        relay.reject_answer(call)
        return None


def settle(binding: Holding, call: Call, exc: BaseException) -> BaseException:
    """The exception that the caller of a failed call is to see. Its cause is set where ``exc`` must not be shown."""
    if call._error is not None:
        return call._error
    if not isinstance(exc, Exception) or raised_by_handler(exc):
        return exc
    secrets = [*secrets_in(binding.settings), *secrets_in(call.options)]
    cause = without_secrets(exc, secrets)
    error = _settled(binding, call, exc, secrets)
    if cause is not exc and error is not exc:
        error.__cause__ = cause
    return error


def _settled(binding: Holding, call: Call, exc: Exception, secrets: list[str]) -> BaseException:
    if call._stop is not None:
        return call._stop
    if isinstance(exc, LollmsError):
        return exc
    try:
        translated = binding.translate_error(exc)
    except Exception:  # as when the error cannot even be shown
        log_failure(__name__, "%s: its translate_error failed", binding.binding_name)
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
        f"{call.verb}: its progress callable, or a signal's handler, raised {type(error).__name__}, which would pass "
        "for an end.",
        hint="Let it raise something else.",
    )
    told.__cause__ = error
    return told
