"""A result is brought into the format and the place that its call asked for; plug-ins are told on the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import OptionError
from lollms_modalities.media.encoded import WrittenFile, encodes, told

if TYPE_CHECKING:
    from lollms_modalities import hooks
    from lollms_modalities.calls.call import Call
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.contract.plan import Plan


def delivered(
    binding: LollmsBinding, plan: Plan, call: Call, result: Any, content: Any, arguments: dict[str, Any]
) -> Any:
    """The engine's result, or each of several, where and as it was asked for.

    Where plug-ins want to be told of it, the instance is let go of before.
    """
    tells = encodes()
    if not tells and call.output_path is None and call.output_format is None:
        return result  # most are
    if isinstance(result, list):
        check_one(call, result)
    if tells and plan.makes_media:
        binding._let_go(call)
        call.sources = _sources_in(plan.told(call, content, arguments))
    return [placed(call, each) for each in result] if isinstance(result, list) else placed(call, result)


def after(relay: hooks.Relay, binding: LollmsBinding, plan: Plan, call: Call, result: Any) -> Any:
    """Tell the plug-ins that the call has ended; the result, or what they want in its place."""
    last = relay.after_call(binding, call, result, plan.replaced)
    if last is result or not plan.makes_media:
        return last
    return [told(each) for each in last] if isinstance(last, list) else told(last)


def _sources_in(given: Mapping[str, Any]) -> tuple[Any, ...]:
    """The media among what a verb was given: paths and bytes."""
    found: list[Any] = []
    for name, value in given.items():
        if name == "output_path":
            continue
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(each, (Path, bytes)):
                found.append(each)
    return tuple(found)


def check_one(call: Call, results: list[Any]) -> None:
    if call.output_path is not None and len(results) != 1:
        raise OptionError(
            f"{call.verb} made {len(results)} results for one output_path.", hint="Save each yourself with .save()."
        )


def placed(call: Call, result: Any) -> Any:
    """The result in the place and the format that was asked for."""
    path = call.output_path
    if path is None:
        wanted = call.output_format
        as_it_is = wanted is None or result.format == wanted
        return told(result) if as_it_is else result.convert(wanted)
    if result._held_by == path:
        result = WrittenFile(_There(path), path).told(result)  # the engine has written it there
        result.path = path
        return result
    for part in call.parts:
        if result._held_by == part.part:
            if isinstance(part, WrittenFile):
                result = part.told(result)
            part.keep()
            result.path = path
            return result
    return result.moved_to(path)


class _There:
    """A file that is in its place."""

    def __init__(self, path: Path) -> None:
        self.part = path

    def keep(self) -> None:
        pass

    def drop(self) -> None:
        pass
