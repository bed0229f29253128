"""A verb of a binding: called over HTTP, watched, cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

from lollms_modalities import Audio, Image, Transcript, Video, read_media
from pydantic import Field

from lollms_server.jobs.requests import Request
from lollms_server.web import sse
from lollms_server.web.answers import Answer, Streamed, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.bodies import read_json
from lollms_server.web.checking import RequestBody, checked, refuse_unknown
from lollms_server.web.common import Meant, begun, check_media, meant
from lollms_server.web.errors import Refused
from lollms_server.web.jobs import idempotency, prefers_job
from lollms_server.web.v2 import values
from lollms_server.web.v2.events import events_of
from lollms_server.web.v2.jobs import PATH, told


class CallBody(RequestBody):
    """Of a verb."""

    arguments: dict[str, Any] = Field(
        default_factory=dict, description="What the verb is given, by name; media as base64, or as files of a form."
    )
    keep_alive: float | None = Field(None, description="Seconds after which the model may be unloaded.", ge=0, le=86400)
    timeout: float | None = Field(None, description="Seconds that the call may take in all.", gt=0, le=86400)


async def call(asked: Asked) -> Answer:
    """Call a verb. With ``Accept: text/event-stream`` the answer is events: progress, items, the result.

    With ``Prefer: respond-async`` it is a job.
    """
    fields = await asked.fields()
    if texts := asked.form.fields.get("arguments"):
        if len(texts) > 1:
            raise Refused("The form holds 'arguments' twice.", code="invalid_form", param="arguments", hint="Send one.")
        fields["arguments"] = read_json(texts[0], asked.settings.limits.json_depth, "arguments")
    body = checked(CallBody, fields, form=asked.is_form)
    refuse_unknown(body.options, CallBody.model_fields, "A call")
    verb = asked.params["verb"]
    model = await meant(asked, asked.params["name"], asked.params["modality"], verb)
    if model.options.spec["content"] == "frames":
        raise Refused(
            f"{verb} is given its sound while it is called, which a request has no room for.", code="not_by_request",
            hint="Use a session: /lollms/v2/worker or /v1/realtime. A recording goes to transcribe_audio.",
        )  # fmt: skip
    arguments = await _arguments(asked, body, model)
    if prefers_job(asked):
        request = Request(
            arguments, model.options.content, bool(model.options.spec["stream"]), body.timeout, body.keep_alive
        )
        job = await asked.app.jobs.create(
            asked.caller, "call", model.chosen, verb, request, idempotency=idempotency(asked)
        )
        headers = {"location": f"{asked.settings.root_path}{PATH}/{job.id}", "preference-applied": "respond-async"}
        return json_answer(told(job), 202, {**model.headers, **headers})
    args = (arguments.pop(model.options.content),) if model.options.content else ()
    arguments |= {"request_id": asked.id, "keep_alive": body.keep_alive, "deadline": body.timeout}
    streams = bool(model.options.spec["stream"])
    headers = {**model.headers, "x-lollms-call": asked.id}
    if asked.headers.accepts("text/event-stream"):
        events = await begun(events_of(asked, model.chosen, verb, args, arguments, streams))
        return Streamed(sse.pinged(events, asked.settings.limits.ping_seconds), {**sse.HEADERS, **headers})
    if streams:
        raise Refused(
            f"{verb} gives its items as events.", status=406, code="not_acceptable",
            hint="Send Accept: text/event-stream.",
        )  # fmt: skip
    result = await asked.room.call(model.chosen, asked.caller, verb, *args, **arguments)
    return await _whole(result, headers)


async def _arguments(asked: Asked, body: CallBody, model: Meant) -> dict[str, Any]:
    """What the verb is given, with the files of the form in their places."""
    options, content = model.options, model.options.content
    kind = options.spec["content"]
    given: dict[str, Any] = dict(body.arguments)
    files: dict[str, Any] = {}
    for name, uploads in asked.form.files.items():
        if name not in options.media:
            raise Refused(f"{name!r:.100} is no file of this verb.", code="unknown_file", param=name[:100])
        paths = [upload.path for upload in uploads]
        files[name] = paths if len(paths) > 1 else paths[0]
        given.pop(name, None)
    made = (
        options.checked(given, also=[content] if content else (), what=f"{model.chosen.name}: this verb", form=False)
        | files
    )
    if content and made.get(content) is None:
        raise Refused(f"The argument {content!r} is missing.", code="missing_field", param=content)
    limits = asked.settings.limits
    if content and isinstance(text := made[content], str) and len(text) > limits.text:
        raise Refused(f"The {content} has {len(text)} characters, of {limits.text}.", code="too_long", param=content)
    for name in options.media & made.keys():
        await check_media(made[name], limits, model.chosen.served.modality)
    if content and kind == "images" and not isinstance(made[content], list):
        made[content] = [made[content]]
    return made


async def _whole(result: Any, headers: dict[str, str]) -> Answer:
    """A result for who reads no events: a file as it is, else JSON."""
    if isinstance(result, list) and len(result) == 1:
        result = result[0]
    if isinstance(result, (Audio, Image, Video)):
        # Bytes are not copied; those in a file have to be read.
        body = result if len(result) else await asyncio.to_thread(read_media, result)
        return Answer(body, 200, {**headers, "content-type": result.mime_type})
    if isinstance(result, Transcript):
        return await big_json_answer(result.to_dict(), headers)
    return await big_json_answer(await asyncio.to_thread(_json_of, result), headers)


def _json_of(result: Any) -> Any:
    payloads: list[bytes] = []
    told = values.to_json(result, payloads)
    return {**told, "payloads": ["".join(values.parts(payload)) for payload in payloads]}


async def list_calls(asked: Asked) -> Answer:
    """The calls under way: one's own, or for an admin all."""
    return json_answer({"object": "list", "data": [call.to_json() for call in asked.room.calls(asked.caller)]})


async def cancel(asked: Asked) -> Answer:
    """Cancel a call, in the queue or in the engine."""
    asked.room.cancel(asked.params["id"], asked.caller)
    return json_answer({"id": asked.params["id"], "cancelled": True})
