"""``/v1/audio/transcriptions`` and ``/v1/audio/translations``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lollms_modalities import Segment

from lollms_server.web import errors, sse
from lollms_server.web.answers import Answer, Streamed, big_json_answer, text_answer
from lollms_server.web.asked import Asked
from lollms_server.web.common import Meant, begun, check_recording, ignored, meant
from lollms_server.web.errors import Refused
from lollms_server.web.openai import transcripts
from lollms_server.web.openai.bodies import TranscriptionBody
from lollms_server.web.options import decoded
from lollms_server.web.uploads import Upload

# What a model without them leaves out, told in a header: they say how, not what.
_HINTS = ("language", "initial_prompt", "prompt", "temperature", "hotwords")


async def transcribe(asked: Asked) -> Answer:
    """Write down what is said."""
    return await _answer(asked, "transcribe")


async def translate(asked: Asked) -> Answer:
    """Write down in English what is said."""
    return await _answer(asked, "translate")


async def _answer(asked: Asked, task: str) -> Answer:
    asked.fields_of = {"audio_path": "file", "initial_prompt": "prompt", "hotwords": "keywords"}
    body = await asked.body(TranscriptionBody)
    verb = "stream_transcript" if body.stream else "transcribe_audio"
    model = await meant(asked, body.model, "stt", verb)
    options, left_out = _options(asked, body, model, task)
    data = None if body.input_audio is None else body.input_audio.data
    path, seconds = await recording(asked, data, "input_audio")
    headers = model.headers | ignored(left_out)
    arguments: dict[str, Any] = {"request_id": asked.id, "keep_alive": body.keep_alive, **options}
    if body.stream:
        segments = asked.room.stream(model.chosen, asked.caller, verb, path, **arguments)
        events = _events(await begun(segments, may_be_empty=True), body.response_format, seconds)
        return Streamed(sse.pinged(events, asked.settings.limits.ping_seconds), {**sse.HEADERS, **headers})
    transcript = await asked.room.call(model.chosen, asked.caller, verb, path, **arguments)
    kind = body.response_format
    if kind in ("text", "srt", "vtt"):
        text, media_type = transcripts.as_text(transcript, kind)
        return await text_answer(text, {**headers, "content-type": media_type})
    if kind == "diarized_json":
        return await big_json_answer(transcripts.as_diarized(transcript, seconds), headers)
    if kind == "verbose_json":
        granularities = set(body.timestamp_granularities or ["segment"])
        return await big_json_answer(transcripts.as_verbose(transcript, seconds, task, granularities), headers)
    return await big_json_answer(transcripts.as_json(transcript, seconds), headers)


def _options(asked: Asked, body: TranscriptionBody, model: Meant, task: str) -> tuple[dict[str, Any], list[str]]:
    """The binding's options, and the names of what it cannot be told.

    Raises:
        Refused: something that would change what comes back, which the model cannot.
    """
    known = model.options
    if body.stream and body.response_format in ("srt", "vtt"):
        raise Refused(
            f"Events hold text, not {body.response_format}.", code="invalid_value", param="stream",
            hint="Leave stream out, or ask for json.",
        )  # fmt: skip
    # Clients write an object in a form as one field for each of its names.
    chunking = {name: value for name, value in body.options.items() if name.startswith("chunking_strategy[")}
    given = {name: value for name, value in body.options.items() if name not in chunking}
    own = known.checked(
        given, also=TranscriptionBody.model_fields, what=model.chosen.name, strict=not asked.is_form
    )  # fmt: skip
    language = body.language or (body.languages[0] if body.languages and len(body.languages) == 1 else None)
    asked_for: dict[str, Any] = {
        "language": language,
        "initial_prompt" if known.has("initial_prompt") else "prompt": body.prompt,
        "temperature": body.temperature,
        "hotwords": " ".join(body.keywords) if body.keywords else None,
    }
    asked_for = {name: value for name, value in asked_for.items() if value is not None}
    options = {name: value for name, value in asked_for.items() if known.has(name)}
    # 0 is what there is where nothing is random.
    left_out = [n for n, value in asked_for.items() if n not in options and not (n == "temperature" and not value)]
    left_out += ["languages"] if body.languages and len(body.languages) > 1 and not body.language else []
    left_out += ["include"] if body.include else []
    left_out += ["chunking_strategy"] if chunking or body.chunking_strategy not in (None, "auto") else []
    if task == "translate":
        _must(known.has("translate"), model, "translate", "translations")
        options["translate"] = True
    options |= _times(body, model)
    options |= _speakers(body, model)
    return options | own, [{"initial_prompt": "prompt", "hotwords": "keywords"}.get(n, n) for n in left_out]


def _times(body: TranscriptionBody, model: Meant) -> dict[str, Any]:
    wants_words = "word" in (body.timestamp_granularities or ())
    if wants_words and body.response_format != "verbose_json":
        raise Refused(
            "Times of words stand in verbose_json only.", code="invalid_value", param="timestamp_granularities",
            hint="Ask for response_format=verbose_json.",
        )  # fmt: skip
    if not model.options.has("timestamps"):
        if wants_words:
            _must(False, model, "times of words", "timestamp_granularities")
        return {}
    plain = body.response_format in ("json", "text") and not body.stream
    return {"timestamps": "word" if wants_words else "none" if plain else "segment"}


def _speakers(body: TranscriptionBody, model: Meant) -> dict[str, Any]:
    names, references = body.known_speaker_names or [], body.known_speaker_references or []
    if body.response_format != "diarized_json":
        if names or references:
            raise Refused("Speakers stand in diarized_json only.", code="invalid_value", param="known_speaker_names")
        return {}
    _must(model.options.has("diarize"), model, "speakers", "response_format")
    if len(names) != len(references):
        raise Refused(
            f"There are {len(names)} names of speakers and {len(references)} recordings of them.",
            code="invalid_value", param="known_speaker_references",
        )  # fmt: skip
    if len(set(names)) != len(names):
        raise Refused("Two speakers have one name.", code="invalid_value", param="known_speaker_names")
    options: dict[str, Any] = {"diarize": True}
    if names:
        _must(model.options.has("known_speakers"), model, "known speakers", "known_speaker_names")
        heard = [decoded("known_speaker_references", reference) for reference in references]
        options["known_speakers"] = dict(zip(names, heard, strict=True))
    return options


def _must(can: bool, model: Meant, what: str, param: str) -> None:
    if not can:
        raise Refused(f"The model {model.chosen.name} has no {what}.", code="unsupported", param=param)


async def recording(asked: Asked, data: str | None, field: str) -> tuple[Path, float]:
    """The recording that was sent, looked at, and its length in seconds.

    Args:
        data: the recording as base64, where it did not come as the form's file.
        field: which holds that.
    """
    if data is not None and not asked.form.files:
        upload = Upload(asked.app.uploads.folder)
        asked.form.files[field] = [upload]
        upload.write(await asyncio.to_thread(decoded, field, data))
        upload.finish()
    else:
        upload = asked.form.file("file")
    return upload.path, await check_recording(upload.path, asked.settings.limits.audio_seconds)


async def _events(segments: AsyncIterator[Segment], kind: str, seconds: float) -> AsyncIterator[bytes]:
    """The segments as events; joined, the deltas are the text."""
    text, number = "", 0
    try:
        async for segment in segments:
            said = segment.text.strip()
            if kind == "diarized_json":
                for row in transcripts.diarized_segments([segment], number):
                    yield sse.event(row)
                number += 1
            if not said:
                continue
            delta = f" {said}" if text else said
            text += delta
            if kind != "diarized_json":
                yield sse.event({"type": "transcript.text.delta", "delta": delta})
        yield sse.event({"type": "transcript.text.done", "text": text, **transcripts.usage_of(seconds)})
    except Exception as exc:
        yield sse.event(errors.told(exc).body)
    finally:
        await sse.close(segments)
