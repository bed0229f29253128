"""The hooks that a plug-in may implement, marked with ``hookimpl``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from lollms_modalities.binding import LollmsBinding
    from lollms_modalities.call import Call

PROJECT = "lollms_modalities"
_hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@_hookspec
def lollms_binding_created(binding: LollmsBinding) -> None:
    """A manager has made a binding."""


@_hookspec
def lollms_before_call(binding: LollmsBinding, call: Call) -> None:
    """A call begins: its options are checked, the instance is held, the model is loaded."""


@_hookspec
def lollms_after_call(binding: LollmsBinding, call: Call, result: Any) -> Any:
    """A call has ended. What the first implementation returns, unless None, takes the place of a whole result."""


@_hookspec
def lollms_stream_chunk(binding: LollmsBinding, call: Call, chunk: Any) -> None:
    """A stream gives an item."""


@_hookspec
def lollms_call_failed(binding: LollmsBinding, call: Call, error: BaseException) -> None:
    """A call raises ``error``."""
