"""One vocabulary of fields, so that an option means the same with every engine."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

Kind: TypeAlias = Literal["plain", "path", "program", "address", "environment", "secret", "media"]


def setting(
    default: Any = ..., *, description: str = "", reload: bool = False, shared: bool = False,
    env: str | tuple[str, ...] = (), kind: Kind | None = None, choices_from: str | None = None, **field: Any,
) -> Any:  # fmt: skip
    """One field of a ``BindingSettings``.

    Args:
        default: the value when none is given; leave it out and the setting is required.
        description: one sentence for forms, help and documentation.
        reload: a change of it makes the binding load its model again.
        shared: a value of this name that the application shares among its bindings may fill it.
        env: the environment variables that the binding reads for it. One whose name says that it is a secret is kept
            from a binding in another process unless it is declared so.
        kind: what the value is to whoever runs the program: "path" (also a name in whose place a path may stand),
            "program", "address", "environment", "secret", "media" or "plain". Where it is left out, the field's type
            and name tell. A server lets nobody set the first four from elsewhere.
        choices_from: name of the method that lists values, such as "list_voices"; "" for none. Where it is left out,
            the field's name tells.
        field: anything that pydantic's ``Field`` takes (``ge=1``, ``min_length=1``, ...).
    """
    marks: JsonDict = {"reload": reload, "shared": shared}
    if env:
        marks["env"] = [env] if isinstance(env, str) else list(env)
    marks |= _form_marks(kind, choices_from)
    return Field(default, description=description, json_schema_extra={"lollms": marks}, **field)


def option(
    default: Any = ..., *, description: str = "", kind: Kind | None = None, choices_from: str | None = None,
    **field: Any,
) -> Any:  # fmt: skip
    """One field of a ``CallOptions``; arguments as in ``setting``."""
    marks = _form_marks(kind, choices_from)
    return Field(default, description=description, json_schema_extra={"lollms": marks} if marks else None, **field)


def _form_marks(kind: str | None, choices_from: str | None) -> JsonDict:
    if kind is not None and kind not in get_args(Kind):
        raise TypeError(f"a setting's kind is one of {', '.join(get_args(Kind))}, and not {kind!r}")
    told: JsonDict = {"kind": kind, "choices_from": choices_from}
    return {name: value for name, value in told.items() if value is not None}


def _draw_when_negative(value: object) -> object:
    return None if value == -1 and not isinstance(value, bool) else value


LARGEST = 2**31 - 1  # of a whole number that engines are given: beyond it some of them fail, each in its own way


# One vocabulary, so that an option means the same with every engine.
Seed = Annotated[
    Annotated[int, Field(ge=0, le=2**63 - 1)] | None,
    BeforeValidator(_draw_when_negative),
    Field(description="Repeats a result. Drawn and recorded when not given (or -1)."),
]


Language = Annotated[str | None, Field(description="Language tag (BCP 47), such as en or pt-BR.", max_length=35)]
Speed = Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False, description="1.0 is the natural speed.")]
Duration = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False, description="Length of the result in seconds.")]
NumFrames = Annotated[int, Field(ge=1, le=LARGEST, description="Number of frames of the video.")]
Fps = Annotated[float, Field(gt=0, le=240, allow_inf_nan=False, description="Frames per second.")]
Width = Annotated[int, Field(ge=1, le=LARGEST, description="Width in pixels.")]
Height = Annotated[int, Field(ge=1, le=LARGEST, description="Height in pixels.")]
Scale = Annotated[
    Annotated[float, Field(gt=1, le=16, allow_inf_nan=False)] | None,
    Field(description="By how much each side of an image grows; the engine's own when empty."),
]
Count = Annotated[int, Field(ge=1, le=LARGEST, description="How many results to make.")]
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False, description="Randomness of sampling; 0 is none.")]
TopK = Annotated[int, Field(ge=0, le=LARGEST, description="Sample among the k likeliest; 0 is all.")]
TopP = Annotated[float, Field(ge=0, le=1, description="Sample among the likeliest that hold this probability.")]
GuidanceScale = Annotated[float, Field(ge=0, allow_inf_nan=False, description="How closely the prompt is followed.")]
NumInferenceSteps = Annotated[int, Field(ge=1, le=LARGEST, description="Number of denoising steps.")]
Track = Annotated[
    Annotated[int, Field(ge=0, le=LARGEST)] | None,
    Field(description="Which sound track of a film, from 0; the default one when empty."),
]


Consent = Annotated[
    Annotated[str, Field(max_length=1000)] | None,
    Field(description="Who attests, and when, that the person whose recording is the voice agrees to it."),
]


Timestamps = Annotated[Literal["none", "segment", "word"], Field(description="How fine the times are.")]
Diarize = Annotated[bool, Field(description="Tell who speaks.")]
NumSpeakers = Annotated[
    Annotated[int, Field(ge=1, le=100)] | None, Field(description="How many speak; found out when empty.")
]
WordTimes = Annotated[Literal["none", "word"], Field(description="Whether each spoken word has its times.")]
