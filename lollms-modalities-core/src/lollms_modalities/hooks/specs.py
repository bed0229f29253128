"""The hooks that a plug-in may implement, marked with ``hookimpl``. ``binding`` is a ``LollmsBinding``.

All but ``lollms_binding_created`` and ``lollms_call_failed`` may raise ``PluginRefused``, which reaches the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

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
def lollms_result_encoded(
    binding: Any, call: Call | None, media: Any, sources: tuple[Any, ...], target: Path | None
) -> Any:
    """Media are encoded, as they will be in their file, and the file has not been put in place.

    It is asked of each sound, image and film that a call gives, whoever made it, of a plug-in's result that takes the
    place of another, of the head of an encoded stream, and outside of calls of what ``save`` (of a transcript, too),
    ``convert`` and ``Audio.from_chunks`` make. The instance is not held any more. After the call
    ``lollms_after_call`` follows.

    Args:
        binding: whose verb it is; None outside of calls.
        call: the call; None outside of calls.
        media: an ``Audio``, ``Image`` or ``Video``. One without bytes is in the file ``media.path``, under a temporary
            name: change that file itself and give None, or give other media. A ``StreamHead`` holds the first bytes of
            a stream, with all headers of its format; an ``EncodedText`` what the file of a transcript will hold.
        sources: what it was made of, as far as that is known: what a verb was given, what was converted.
        target: the file that it will be in, or None.

    Returns:
        None to leave it as it is; else other media of its kind, or bytes that become it. The next plug-in is given
        these.
    """


@_hookspec
def lollms_after_call(binding: Any, call: Call, result: Any) -> Any:
    """A call has ended; ``result`` is None for a stream.

    What it returns, unless None, takes the place of a whole result; it must be of its kind, and is what the next
    plug-in is given. ``call.answered_by`` names the plug-in that answered in the engine's place, in which case there
    was no ``lollms_before_call``.
    """


@_hookspec
def lollms_stream_chunk(binding: Any, call: Call, chunk: Any) -> Any:
    """A stream gives an item. What it returns, unless None, takes its place; it must be of its kind."""


@_hookspec
def lollms_call_failed(binding: Any, call: Call, error: BaseException) -> None:
    """A call raises ``error``."""
