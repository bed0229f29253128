"""What is done to a call's result where it arrives, when the engine may be in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call


class Step(Protocol):
    """What a call does to its result where that arrives. Each may add to the call's record."""

    def heard(self, source: Any, samples: Any, rate: int) -> None:
        """A recording that was decoded meanwhile: a path or bytes, float samples of shape (n, channels), their rate."""

    def whole(self, call: Call, result: Any) -> Any:
        """A result that came whole."""

    def item(self, call: Call, item: Any) -> list[Any]:
        """What a stream can give now that this item has come."""
        ...

    def rest(self, call: Call) -> list[Any]:
        """What it gives after its last item has come. Asked again it has nothing."""
        ...

    def told(self) -> dict[str, Any]:
        """The options that it is for, as provenance tells them."""
        ...
