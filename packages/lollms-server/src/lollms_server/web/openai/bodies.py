"""What OpenAI's requests hold. Whatever else a body has are options of the binding, by our names."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from lollms_server.web.checking import RequestBody

SPEECH_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "ogg")
TRANSCRIPT_FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")


class SpeechBody(RequestBody):
    """Of ``/v1/audio/speech``."""

    input: str = Field(description="What is to be spoken.")
    model: str | None = Field(None, description="A model of /v1/models; the default one where it is left out.")
    voice: str | dict[str, Any] | None = Field(None, description="A voice of /v1/audio/voices, or {id: ...}.")
    instructions: str | None = Field(None, description="How it is to be spoken, where the model can be told.")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "ogg"] = "mp3"
    speed: float | None = Field(None, description="1.0 is the natural speed.", ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"
    keep_alive: float | None = Field(None, description="Seconds after which the model may be unloaded.", ge=0, le=86400)


class InputAudio(RequestBody):
    """A recording within JSON."""

    data: str = Field(description="The file as base64.")
    format: str | None = Field(None, max_length=20)


class TranscriptionBody(RequestBody):
    """Of ``/v1/audio/transcriptions`` and ``/v1/audio/translations``."""

    model: str | None = Field(None, description="A model of /v1/models; the default one where it is left out.")
    input_audio: InputAudio | None = Field(None, description="The recording, where the body is JSON.")
    language: str | None = Field(None, max_length=35, pattern=r"^[A-Za-z]+([-_][A-Za-z0-9]+)*$")
    languages: list[str] | None = Field(None, max_length=20)
    keywords: list[str] | None = Field(None, max_length=1000)
    prompt: str | None = Field(None, max_length=100_000)
    temperature: float | None = Field(None, ge=0, le=2)
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    timestamp_granularities: list[Literal["word", "segment"]] | None = None
    include: list[str] | None = Field(None, max_length=20)
    stream: bool = False
    chunking_strategy: str | dict[str, Any] | None = None
    known_speaker_names: list[str] | None = Field(None, max_length=16)
    known_speaker_references: list[str] | None = Field(None, max_length=16)
    keep_alive: float | None = Field(None, description="Seconds after which the model may be unloaded.", ge=0, le=86400)

    @field_validator("language", mode="before")
    @classmethod
    def _left_open(cls, value: Any) -> Any:
        return None if value == "" else value
