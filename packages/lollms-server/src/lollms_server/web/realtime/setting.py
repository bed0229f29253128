"""What a session is set to: OpenAI's object, checked; only what a change names is changed.

https://developers.openai.com/api/reference/resources/realtime/client-events
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lollms_server.web.checking import RequestBody
from lollms_server.web.errors import Refused

_M = TypeVar("_M", bound=BaseModel)
FIELDS = "session"
TRANSCRIPTION = f"{FIELDS}.audio.input.transcription"
G711 = {"audio/pcmu": 8000, "audio/pcma": 8000}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


class Format(_Part):
    """How sound comes. OpenAI takes PCM at 24 kHz alone."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int | None = Field(default=None, ge=8000, le=48000)

    @property
    def samples(self) -> int:
        """A second."""
        return G711.get(self.type) or self.rate or 24000

    @property
    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {"type": self.type} if self.type in G711 else {"type": self.type, "rate": self.samples}


class Transcription(RequestBody):
    """Who writes down, and how. What it does not name are options of the binding."""

    model: str | None = Field(default=None, max_length=200)
    language: str | None = Field(default=None, max_length=35, pattern=r"^[A-Za-z]+([-_][A-Za-z0-9]+)*$")
    languages: list[str] | None = Field(default=None, max_length=20)
    keywords: list[str] | None = Field(default=None, max_length=1000)
    prompt: str | None = Field(default=None, max_length=100_000)
    delay: str | None = Field(default=None, max_length=20)

    @field_validator("language", mode="before")
    @classmethod
    def _left_open(cls, value: Any) -> Any:
        return None if value == "" else value


class ServerVad(_Part):
    """Where a turn begins and ends, as voice activity has it."""

    type: Literal["server_vad"]
    threshold: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    prefix_padding_ms: int = Field(default=300, ge=0, le=5000)
    silence_duration_ms: int = Field(default=500, ge=30, le=30_000)
    # Of sessions that answer, which these are not.
    create_response: bool | None = Field(default=None, exclude=True)
    interrupt_response: bool | None = Field(default=None, exclude=True)
    idle_timeout_ms: int | None = Field(default=None, exclude=True)


class _Noise(_Part):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = Field(default=None, allow_inf_nan=False)


class _Input(_Part):
    format: Format = Format()
    noise_reduction: _Noise | None = None
    transcription: Transcription | None = None
    turn_detection: ServerVad | None = None


class _Audio(_Part):
    input: _Input = _Input()


class _Said(_Part):
    type: Literal["transcription"]
    audio: _Audio = _Audio()
    include: list[str] | None = Field(default=None, max_length=20)


@dataclass(frozen=True)
class Setting:
    """What a session is set to.

    Attributes:
        transcription: None where nothing is written down.
        turns: None where the client says where a turn ends.
    """

    format: Format = field(default_factory=Format)
    transcription: Transcription | None = field(default_factory=Transcription)
    turns: ServerVad | None = field(default_factory=lambda: ServerVad(type="server_vad"))

    def changed(self, said: Any) -> Setting:
        """With what a client says. Noise is not reduced and probabilities of tokens are not told: both are left out.

        Raises:
            Refused: what is wrong with it, and which field.
        """
        if not isinstance(said, Mapping):
            raise Refused(f"{FIELDS!r} is no object.", code="invalid_type", param=FIELDS)
        given = _checked(_Said, said, FIELDS).audio.input
        names, now = given.model_fields_set, self
        if "format" in names:
            now = replace(now, format=given.format)
        if "turn_detection" in names:
            now = replace(now, turns=given.turn_detection)
        if "transcription" in names:
            wanted = given.transcription
            if wanted is not None and self.transcription is not None:
                both = self.transcription.model_dump(exclude_unset=True) | wanted.model_dump(exclude_unset=True)
                wanted = _checked(Transcription, both, TRANSCRIPTION)
            now = replace(now, transcription=wanted)
        return now

    def told(self, transcription: Mapping[str, Any] | None) -> dict[str, Any]:
        """As OpenAI tells it, with what is told of the transcription."""
        return {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": self.format.told,
                    "noise_reduction": None,
                    "transcription": None if transcription is None else dict(transcription),
                    "turn_detection": None if self.turns is None else self.turns.model_dump(),
                }
            },
            "include": None,
        }


def _checked(model: type[_M], said: Mapping[str, Any], where: str) -> _M:
    try:
        return model.model_validate(said)
    except ValidationError as exc:
        item = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join((where, *map(str, item["loc"])))[:200]
        if item["type"] == "extra_forbidden":
            raise Refused(f"Unknown parameter: {param!r}.", code="unknown_parameter", param=param) from None
        if item["type"] == "missing":
            raise Refused(
                f"Missing required parameter: {param!r}.", code="missing_required_parameter", param=param
            ) from None
        code = "invalid_type" if item["type"].endswith("_type") else "invalid_value"
        raise Refused(f"Invalid value of {param!r}: {item['msg']}.", code=code, param=param) from None
