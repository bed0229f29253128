"""Common names of what music may be asked for: words that are sung, a piece that goes on, a part that is made anew."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from lollms_modalities.media.input import MediaInput
from lollms_modalities.settings.base import CallOptions
from lollms_modalities.settings.fields import option

Lyrics = Annotated[
    Annotated[str, Field(max_length=20_000)] | None, Field(description="Words that are sung; none when empty.")
]
NegativePrompt = Annotated[str, Field(description="What the result should not be like.")]


class ContinueOptions(CallOptions):
    """Base of the options of what goes on from a given piece."""

    audio: MediaInput | None = option(
        None, description="Music to go on from: the result begins with it, and duration counts it."
    )


class RepaintOptions(ContinueOptions):
    """Base of the options of what also makes a part of a given piece anew.

    With ``start`` or ``end`` the result is ``audio`` with another sound from ``start`` (its beginning where that is
    left out) to ``end`` (its end); without these it goes on from ``audio``.
    """

    start: float | None = option(
        None, description="Second of the given music at which a part begins that is made anew.", ge=0,
        allow_inf_nan=False,
    )  # fmt: skip
    end: float | None = option(
        None, description="Second of the given music at which that part ends.", gt=0, allow_inf_nan=False
    )

    @field_validator("start", "end")
    @classmethod
    def _of_given_music(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None:
            return value
        if "audio" in info.data and info.data["audio"] is None:
            raise PydanticCustomError("no_audio", "it is a place in given music: give audio, too")
        start = info.data.get("start")
        if info.field_name == "end" and start is not None and value <= start:
            raise PydanticCustomError("end", "it must come after start, {start} s", {"start": start})
        return value
