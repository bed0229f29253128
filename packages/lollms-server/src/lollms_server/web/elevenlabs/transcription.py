"""``/v1/speech-to-text``: a transcript as words, blanks and speakers."""

from __future__ import annotations

import asyncio
import math
import shutil
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from lollms_modalities import Segment, Transcript, Word
from pydantic import Field

from lollms_server.web.answers import Answer, big_json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.bodies import read_json
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import Meant, check_recording, in_header
from lollms_server.web.elevenlabs.asking import model_of
from lollms_server.web.elevenlabs.languages import code_of, tag_of
from lollms_server.web.errors import Refused
from lollms_server.web.uploads import Upload

_VERB = "transcribe_audio"
_FORMATS = {"srt": "application/x-subrip", "txt": "text/plain"}
# What would change what comes back, and is not there; all else that nobody knows is left out, as there.
_NOT_HERE = ("cloud_storage_url", "source_url", "webhook", "use_multi_channel", "transcript_edit")
_DEEPEST = 4  # of a list of objects
_NO = (None, "", "false", "False", False)


class HearBody(RequestBody):
    """A recording and what is wanted of it."""

    model_id: str | None = Field(None, description="A transcription model; one of ElevenLabs' own is the default.")
    language_code: str | None = Field(None, max_length=35)
    diarize: bool = False
    num_speakers: int | None = Field(None, ge=1, le=32)
    timestamps_granularity: Literal["none", "word", "character"] | None = None
    file_format: Literal["pcm_s16le_16", "other"] = "other"
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    keyterms: list[str] | None = Field(None, max_length=1000)
    additional_formats: str | None = Field(None, max_length=10_000)


async def hear(asked: Asked) -> Answer:
    """Write down what is said."""
    asked.fields_of = {"audio_path": "file", "language": "language_code", "hotwords": "keyterms"}
    body = await asked.body(HearBody)
    for name in _NOT_HERE:
        said = body.options.get(name)
        if (said[0] if isinstance(said, list) and len(said) == 1 else said) not in _NO:
            raise Refused(f"{name!r} is not for this server.", code="unsupported", param=name,
                          hint="Send the recording itself, and wait for its transcript.")  # fmt: skip
    formats = _formats(body.additional_formats)
    chosen = model_of(asked, body.model_id, "stt")
    model = Meant(chosen, await asked.app.descriptions.of(chosen, asked.caller, _VERB))
    options, left_out = _options(body, model)
    path, seconds = await _recording(asked, body.file_format)
    transcript = await asked.room.call(chosen, asked.caller, _VERB, path, request_id=asked.id, **options)
    headers = model.headers | ({"x-lollms-ignored": ", ".join(map(in_header, left_out))} if left_out else {})
    return await big_json_answer({
        "language_code": code_of(transcript.language),
        "language_probability": _probability(transcript, body),
        "text": str(transcript),
        "words": list(_words(transcript.as_segments(), by_character=body.timestamps_granularity == "character")),
        "transcription_id": asked.id,
        "audio_duration_secs": round(seconds, 3),
        **({"additional_formats": [_additional(transcript, name) for name in formats]} if formats else {}),
    }, headers)  # fmt: skip


def _options(body: HearBody, model: Meant) -> tuple[dict[str, Any], list[str]]:
    known = model.options
    asked_for: dict[str, Any] = {
        "language": tag_of(body.language_code) if body.language_code else None,
        "temperature": body.temperature,
        "seed": body.seed,
        "hotwords": " ".join(body.keyterms) if body.keyterms else None,
    }
    asked_for = {name: value for name, value in asked_for.items() if value is not None}
    options = {name: value for name, value in asked_for.items() if known.has(name)}
    left_out = [name for name in asked_for if name not in options]
    if body.timestamps_granularity != "none":
        if "word" in _times_of(model):
            options["timestamps"] = "word"
        elif body.timestamps_granularity is not None:
            _must(False, model, "times of words", "timestamps_granularity")
    if body.diarize:
        _must(known.has("diarize"), model, "speakers", "diarize")
        options["diarize"] = True
        if body.num_speakers is not None:
            options["num_speakers"] = body.num_speakers
    return options, left_out


def _times_of(model: Meant) -> Iterable[str]:
    """How fine the times may be that the model is asked for."""
    schema = model.options.properties.get("timestamps", {})
    found: Iterable[str] = schema.get("enum", ())
    return found


def _must(can: bool, model: Meant, what: str, param: str) -> None:
    if not can:
        raise Refused(f"The model {model.chosen.name} has no {what}.", code="unsupported", param=param)


def _formats(said: str | None) -> list[str]:
    """Names of further formats of the transcript."""
    try:
        wanted = read_json(said, _DEEPEST) if said else []
        names = [each["format"] for each in wanted or ()]
    except (ValueError, TypeError, KeyError):  # what is no JSON is a ValueError, too
        raise Refused("additional_formats is a list of objects that have a format.", code="invalid_value",
                      param="additional_formats") from None  # fmt: skip
    for name in names:
        if name not in _FORMATS:
            raise Refused(f"There is no further format {name!r:.40}.", code="invalid_value",
                          param="additional_formats", hint=f"There are {' and '.join(_FORMATS)}.")  # fmt: skip
    return names[:10]


async def _recording(asked: Asked, file_format: str) -> tuple[Path, float]:
    """The file that was sent, looked at, and its length in seconds."""
    upload = asked.form.file("file")
    if file_format == "pcm_s16le_16":
        whole = Upload(asked.app.uploads.folder)
        asked.form.files["whole"] = [whole]
        whole.finish()
        await asyncio.to_thread(_with_header, upload.path, whole.path)
        upload = whole
    return upload.path, await check_recording(upload.path, asked.settings.limits.audio_seconds)


def _with_header(samples: Path, target: Path) -> None:
    size = samples.stat().st_size // 2 * 2
    with samples.open("rb") as source, target.open("wb") as file, wave.open(file, "wb") as header:
        header.setparams((1, 2, 16000, size // 2, "NONE", ""))
        header.writeframesraw(b"")
        shutil.copyfileobj(source, file)


def _probability(transcript: Transcript, body: HearBody) -> float:
    known = transcript.language_probability
    return float(known) if known is not None else 1.0 if body.language_code else 0.0


def _words(segments: Iterable[Segment], *, by_character: bool) -> Iterator[dict[str, Any]]:
    """The words, with what lies between them. Where their times are not known they have none."""
    numbers: dict[str, str] = {}
    before: float | None = None
    first = True
    for segment in segments:
        words = segment.words or [Word(text, math.nan, math.nan) for text in segment.text.split()]
        for word in words:
            text = word.text.strip()
            if not text:
                continue
            speaker = getattr(word, "speaker", None) or segment.speaker
            if speaker:
                speaker = numbers.setdefault(speaker, f"speaker_{len(numbers)}")
            start, end = _time(word.start), _time(word.end)
            if not first:
                yield {"text": " ", "start": before, "end": start, "type": "spacing", "speaker_id": speaker or None,
                       "logprob": 0.0}  # fmt: skip
            first, before = False, end
            told: dict[str, Any] = {
                "text": text, "start": start, "end": end, "type": "word", "speaker_id": speaker or None,
                "logprob": _logprob(word),
            }  # fmt: skip
            if by_character and start is not None and end is not None:
                step = (end - start) / len(text)
                told["characters"] = [
                    {"text": c, "start": round(start + n * step, 3), "end": round(start + (n + 1) * step, 3)}
                    for n, c in enumerate(text)
                ]
            yield told


def _time(seconds: float) -> float | None:
    return None if math.isnan(seconds) else round(float(seconds), 3)


def _logprob(word: Word) -> float:
    probability = getattr(word, "probability", None)
    return round(math.log(max(probability, 1e-6)), 4) if probability is not None else 0.0


def _additional(transcript: Transcript, name: str) -> dict[str, Any]:
    content = transcript.to_srt() if name == "srt" else f"{transcript}\n"
    return {"requested_format": name, "file_extension": name, "content_type": _FORMATS[name],
            "is_base64_encoded": False, "content": content}  # fmt: skip
