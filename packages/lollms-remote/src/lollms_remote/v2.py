"""``lollms serve``, by its own surface: any verb of any binding, with progress, streams and typed errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from urllib.parse import quote

from lollms_modalities import (
    Audio,
    AudioChunk,
    Image,
    LollmsError,
    MediaInput,
    Segment,
    ServiceError,
    ServiceResponseError,
    Transcript,
    Video,
    Word,
    current_call,
    report_progress,
    voice_row,
)
from lollms_modalities.kit import HttpClient, Upload
from lollms_modalities.kit.http.reading import decode_base64

_DEFAULT = "default"
_MEDIA: dict[str, Any] = {"audio": Audio, "image": Image, "video": Video}


def names(client: HttpClient, modality: str) -> list[str]:
    """The bindings that a server serves."""
    told = client.get_json("lollms/v2/bindings")
    rows = told.get("data") if isinstance(told, dict) else None
    return [
        str(row["name"])
        for row in rows or ()
        if isinstance(row, dict) and row.get("modality") == modality and "name" in row
    ]


def describe(client: HttpClient, modality: str, name: str | None) -> dict[str, Any]:
    """A binding as its server describes it."""
    with _typed():
        told = client.get_json(_path(modality, name))
    if not isinstance(told, dict) or not isinstance(told.get("verbs"), dict):
        raise ServiceResponseError("The server answered without a description of the binding.")
    return told


def voices(client: HttpClient) -> list[dict[str, Any]]:
    """What the default speech binding tells of its voices, as ``describe_voices`` has it."""
    with _typed():
        told = client.get_json(f"{_path('tts', None)}/voices")
        return [
            voice_row(
                str(row["name"]), language=str(row.get("language") or ""), gender=str(row.get("gender") or ""),
                default=row.get("default") is True,
            )
            for row in told["data"]
        ]  # fmt: skip


def call(
    client: HttpClient, modality: str, name: str | None, verb: str, arguments: Mapping[str, Any],
    files: Mapping[str, MediaInput | list[MediaInput]] | None = None,
) -> Any:  # fmt: skip
    """Call a verb and wait; its progress is the current call's."""
    for kind, value in _came(client, modality, name, verb, arguments, files):
        if kind == "result":
            return value
    raise ServiceResponseError(f"The server ended {verb} without a result.")


def stream(
    client: HttpClient, modality: str, name: str | None, verb: str, arguments: Mapping[str, Any],
    files: Mapping[str, MediaInput | list[MediaInput]] | None = None,
) -> Iterator[Any]:  # fmt: skip
    """Call a verb that gives a stream; closing this ends the call over there."""
    ended = False
    for kind, value in _came(client, modality, name, verb, arguments, files):
        if kind == "item":
            yield value
        ended = kind == "done"
    if not ended:
        raise ServiceResponseError(f"The server broke off {verb}.")


def takes(description: Mapping[str, Any], verb: str) -> frozenset[str]:
    """Names of what a verb takes."""
    spec = description["verbs"].get(verb, {})
    schema = spec.get("options") or description.get("options_schema") or {}
    return frozenset((*schema.get("properties", {}), *spec.get("params", ()), *spec.get("common", ())))


def _path(modality: str, name: str | None) -> str:
    return f"lollms/v2/bindings/{modality}/{quote(name or _DEFAULT, safe='')}"


def _came(
    client: HttpClient, modality: str, name: str | None, verb: str, arguments: Mapping[str, Any],
    files: Mapping[str, MediaInput | list[MediaInput]] | None,
) -> Iterator[tuple[str, Any]]:  # fmt: skip
    path = f"{_path(modality, name)}/verbs/{verb}"
    given = {name: value for name, value in arguments.items() if value is not None}
    with _typed(), ExitStack() as stack:
        if files:
            parts = {name: _uploads(name, media) for name, media in files.items() if media is not None}
            events = client.events(path, fields={"arguments": json.dumps(given)}, files=parts)
        else:
            events = client.events(path, json={"arguments": given})
        payloads: dict[int, list[bytes]] = {}
        stack.enter_context(closing(events))
        for event in events:
            kind = event.get("type") if isinstance(event, dict) else None
            if kind == "payload":
                payloads.setdefault(int(event["number"]), []).append(decode_base64(str(event["data"])))
                continue
            whole = {number: b"".join(parts) for number, parts in payloads.items()}
            payloads.clear()
            if kind == "progress":
                _report(event, whole)
            elif kind in ("item", "result", "done"):
                _record(event.get("provenance"))
                yield kind, _value(event["value"], whole) if "value" in event else None
            elif kind == "error" or (isinstance(event, dict) and "error" in event):
                raise _error(event)


def _uploads(name: str, media: MediaInput | list[MediaInput]) -> list[Upload]:
    return [Upload(one, name) for one in (media if isinstance(media, list) else [media])]


def _report(event: Mapping[str, Any], payloads: dict[int, bytes]) -> None:
    done, total = event.get("done"), event.get("total")
    if not isinstance(done, (int, float)):
        return
    preview = event.get("preview")
    report_progress(
        done, total if isinstance(total, (int, float)) else None, stage=str(event.get("stage") or ""),
        unit=str(event.get("unit") or ""), preview=_value(preview, payloads) if isinstance(preview, dict) else None,
    )  # fmt: skip


def _record(made: Any) -> None:
    """How the server's engine made it is a part of how it was made."""
    if isinstance(made, dict):
        extra = {"remote": {name: made[name] for name in sorted(made) if name not in ("settings", "usage")}}
        current_call().record(
            model=str(made.get("model") or ""), usage=made["usage"] if isinstance(made.get("usage"), dict) else None,
            extra=extra,
        )  # fmt: skip


def _value(told: Any, payloads: dict[int, bytes]) -> Any:
    """A result made again from JSON values and payloads."""
    kind = told.get("kind") if isinstance(told, dict) else None
    if kind in _MEDIA:
        made = _MEDIA[kind](payloads[told["payload"]])
        words = _words(told.get("words"))
        return made.with_words(words) if words else made
    if kind == "chunk":
        return AudioChunk(
            payloads[told["payload"]], int(told["sample_rate"]), int(told["channels"]), str(told["text"]),
            _words(told.get("words")),
        )  # fmt: skip
    if kind == "segment":
        return _segment(told)
    if kind == "transcript":
        return Transcript(
            str(told["text"]), segments=map(_segment, told.get("segments") or ()), language=told.get("language"),
            language_probability=told.get("language_probability"), duration=told.get("duration"),
        )  # fmt: skip
    if kind == "list":
        return [_value(item, payloads) for item in told["items"]]
    if kind == "json":
        return told["value"]
    raise ServiceResponseError(f"The server answered with a result of the kind {kind!r:.40}.")


def _segment(told: Mapping[str, Any]) -> Segment:
    known = {name: told[name] for name in Segment.__dataclass_fields__ if name in told}
    return Segment(**known | {"words": _words(told.get("words"))})


def _words(rows: Any) -> tuple[Word, ...]:
    fields = Word.__dataclass_fields__
    return tuple(Word(**{name: row[name] for name in fields if name in row}) for row in rows or ())


@contextmanager
def _typed() -> Iterator[None]:
    """An error that the server tells as one of ours is raised as that; an answer that makes no sense as what it is."""
    try:
        yield
    except ServiceError as exc:
        if isinstance(told := getattr(exc, "told", None), dict):
            raise _rebuilt(told) from exc
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        if isinstance(exc, LollmsError):
            raise
        raise ServiceResponseError(f"The server answered with what makes no sense ({type(exc).__name__}).") from exc


def _error(event: Mapping[str, Any]) -> LollmsError:
    error = event.get("error")
    if isinstance(error, dict) and isinstance(told := error.get("lollms"), dict):
        return _rebuilt(told)
    message = error.get("message") if isinstance(error, dict) else error
    return ServiceResponseError(f"The server failed: {str(message)[:300]}")


def _rebuilt(told: Mapping[str, Any]) -> LollmsError:
    fields = told.get("fields")
    given = fields if isinstance(fields, dict) else {}
    safe = {name: value for name, value in given.items() if name.isidentifier() and name[:1] != "_"}
    return LollmsError.from_json({"types": [str(t) for t in told.get("types") or ()], "fields": safe})
