"""One vocabulary of fields, so that an option means the same with every engine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict


def setting(
    default: Any = ..., *, description: str = "", reload: bool = False, shared: bool = False,
    env: str | tuple[str, ...] = (), **field: Any,
) -> Any:  # fmt: skip
    """One field of a ``BindingSettings``.

    Args:
        default: the value when none is given; leave it out and the setting is required.
        description: one sentence for forms, help and documentation.
        reload: a change of it makes the binding load its model again.
        shared: a value of this name that the application shares among its bindings may fill it.
        env: the environment variables that the binding reads for it. One whose name says that it is a secret is kept
            from a binding in another process unless it is declared so.
        field: anything that pydantic's ``Field`` takes (``ge=1``, ``min_length=1``, ...).
    """
    marks: JsonDict = {"reload": reload, "shared": shared}
    if env:
        marks["env"] = [env] if isinstance(env, str) else list(env)
    return Field(default, description=description, json_schema_extra={"lollms": marks}, **field)


def option(default: Any = ..., *, description: str = "", **field: Any) -> Any:
    """One field of a ``CallOptions``; ``field`` as in ``setting``."""
    return Field(default, description=description, **field)


def _draw_when_negative(value: object) -> object:
    return None if value == -1 and not isinstance(value, bool) else value


# One vocabulary, so that an option means the same with every engine.
Seed = Annotated[
    Annotated[int, Field(ge=0, le=2**63 - 1)] | None,
    BeforeValidator(_draw_when_negative),
    Field(description="Repeats a result. Drawn and recorded when not given (or -1)."),
]


Language = Annotated[str | None, Field(description="Language tag (BCP 47), such as en or pt-BR.", max_length=35)]
Speed = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False, description="1.0 is the natural speed.")]
Duration = Annotated[float, Field(gt=0, allow_inf_nan=False, description="Length of the result in seconds.")]
NumFrames = Annotated[int, Field(ge=1, description="Number of frames of the video.")]
Fps = Annotated[float, Field(gt=0, le=240, allow_inf_nan=False, description="Frames per second.")]
Width = Annotated[int, Field(ge=1, description="Width in pixels.")]
Height = Annotated[int, Field(ge=1, description="Height in pixels.")]
Count = Annotated[int, Field(ge=1, description="How many results to make.")]
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False, description="Randomness of sampling; 0 is none.")]
TopK = Annotated[int, Field(ge=0, description="Sample among the k likeliest; 0 is all.")]
TopP = Annotated[float, Field(ge=0, le=1, description="Sample among the likeliest that hold this probability.")]
GuidanceScale = Annotated[float, Field(ge=0, allow_inf_nan=False, description="How closely the prompt is followed.")]
NumInferenceSteps = Annotated[int, Field(ge=1, description="Number of denoising steps.")]
Track = Annotated[
    Annotated[int, Field(ge=0)] | None,
    Field(description="Which sound track of a film, from 0; the default one when empty."),
]


Timestamps = Annotated[Literal["none", "segment", "word"], Field(description="How fine the times are.")]
WordTimes = Annotated[Literal["none", "word"], Field(description="Whether each spoken word has its times.")]
