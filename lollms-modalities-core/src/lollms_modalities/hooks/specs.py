"""The hooks that a plug-in may implement, marked with ``hookimpl``. ``binding`` is a ``LollmsBinding``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call

PROJECT = "lollms_modalities"
_hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@_hookspec
def lollms_binding_created(binding: Any) -> None:
    """A manager has made a binding."""


@_hookspec
def lollms_answer_call(binding: Any, call: Call, arguments: Mapping[str, Any]) -> Any:
    """Answer a call in the place of the engine. Asked before the instance is held and the model is loaded.

    Args:
        binding: whose verb it is.
        call: its ``verb``; ``call.drawn`` says that no seed was given and one was drawn.
        arguments: all that the verb was given, by name, checked, with defaults filled in. Of an isolated binding: what
            the caller gave, since its worker checks and fills in.

    Returns:
        None to leave it to the engine; else what the verb gives: its result, or the items of its stream. The first
        plug-in that answers is taken. The result is brought into the format and the file that the call asks for, and
        keeps the provenance that it has.
    """


@_hookspec
def lollms_before_call(binding: Any, call: Call) -> None:
    """A call begins: its options are checked, the instance is held, the model is loaded."""


@_hookspec
def lollms_after_call(binding: Any, call: Call, result: Any) -> Any:
    """A call has ended; ``result`` is None for a stream.

    What the first implementation returns, unless None, takes the place of a whole result; it must be of its kind.
    ``call.answered_by`` names the plug-in that answered in the engine's place, in which case there was no
    ``lollms_before_call``.
    """


@_hookspec
def lollms_stream_chunk(binding: Any, call: Call, chunk: Any) -> None:
    """A stream gives an item."""


@_hookspec
def lollms_call_failed(binding: Any, call: Call, error: BaseException) -> None:
    """A call raises ``error``."""
