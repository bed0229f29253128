"""What servers answer: bodies of bounded size, and the words of their errors."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from lollms_modalities.errors import ServiceAuthError, ServiceError, ServiceRateLimitError, ServiceResponseError

SHOWN = 300  # characters of a server's words that an error repeats
_MEMBER = b"\x1f\x8b"  # begins each member of a gzip, which may have several
_LONGEST_WAIT = 1e9  # seconds; a number that is infinite as a float is no time to wait for
RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 529})


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def content_type(self) -> str:
        """Without its parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def bounded(chunks: Iterator[bytes], encoding: str, limit: int) -> bytes:
    """The whole body, decompressed if it came compressed.

    Raises:
        ServiceResponseError: it is larger than ``limit`` bytes, or compressed in a way that nobody asked for.
    """
    kind = encoding.strip().lower()
    if kind not in ("", "identity", "gzip", "deflate", "x-gzip"):
        raise ServiceResponseError(f"The answer came in the encoding {encoding[:40]!r}, which was not asked for.")
    packed = kind in ("gzip", "deflate", "x-gzip")
    parts: list[bytes] = []
    size = 0
    for part in _inflated(chunks, kind) if packed else chunks:
        size += len(part)
        if size > limit:
            raise ServiceResponseError(
                f"The answer is larger than {limit} bytes.", hint="Ask for less, or write to a file in parts."
            )
        parts.append(part)
    return b"".join(parts)


def _inflated(chunks: Iterator[bytes], kind: str) -> Iterator[bytes]:
    """What was compressed, a little at a time: a few kilobytes may stand for gigabytes."""
    inflate, rest = None, b""
    for chunk in chunks:
        data, rest = rest + chunk, b""
        while data:
            if inflate is not None and inflate.eof:
                if data == _MEMBER[:1]:
                    rest = data
                if not data.startswith(_MEMBER):
                    break  # what follows is nobody's
                inflate = None
            if inflate is None:
                # Some servers take "deflate" at its word, and leave out the header that begins with an 8.
                inflate = zlib.decompressobj(-15 if kind == "deflate" and data[0] & 15 != 8 else 47)
            try:
                part = inflate.decompress(data, 1 << 20)
            except zlib.error as exc:
                raise ServiceResponseError(f"The answer's compression is damaged ({exc}).") from exc
            data = inflate.unconsumed_tail or inflate.unused_data
            yield part
    if inflate is not None and not inflate.eof:
        raise ServiceResponseError("The answer's compression is damaged (it ends early).", retryable=True)


def parse_json(body: bytes, content_type: str, what: str) -> Any:
    """The JSON of an answer.

    Raises:
        ServiceResponseError: it is none; the first words are shown.
    """
    if "html" in content_type.lower() or body.lstrip()[:1] == b"<":
        raise ServiceResponseError(
            f"{what} answered with a web page where JSON is due: {first_words(body)!r}.",
            hint="Check the address: this is the page of something else.",
        )
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ServiceResponseError(
            f"{what} answered with {content_type or 'unknown data'} where JSON is due: {first_words(body)!r}."
        ) from None


def decode_base64(text: str) -> bytes:
    """The bytes of base64, in lines or in one, with or without ``data:image/png;base64,`` before it.

    Raises:
        ValueError: it is none.
    """
    _, mark, rest = text.partition("base64,")
    packed = rest if mark and text.startswith("data:") else text
    return base64.b64decode("".join(packed.splitlines()).strip(), validate=True)


def first_words(body: bytes) -> str:
    """The beginning of a body as one line of text."""
    text = " ".join(body[: 4 * SHOWN].decode("utf-8", "replace").split())
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def words_of(value: Any) -> str:
    """What a server says went wrong, from the shapes that servers use; "" where it says nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        # FastAPI's list of complaints; the input that it echoes is left out.
        return "; ".join(filter(None, (words_of(item) for item in value[:5])))
    if isinstance(value, Mapping):
        place = value.get("loc")
        where = f"{'.'.join(map(str, place))}: " if isinstance(place, list) else ""
        for key in ("message", "msg", "detail", "error", "description", "reason"):
            if value.get(key):
                return where + words_of(value[key])
    return ""


def failure_in(answer: Any) -> str | None:
    """What a 200 says went wrong: ``status`` false, or an ``error``; None where nothing did."""
    if not isinstance(answer, Mapping):
        return None
    if answer.get("error") or answer.get("status") is False:
        return words_of(answer.get("error")) or words_of(answer) or "the service says that it failed"
    return None


def error_of(status: int, headers: Mapping[str, str], body: bytes, what: str) -> ServiceError:
    """The typed error for a status that is no success."""
    content_type = headers.get("Content-Type", "")
    said, keys = "", list[str]()
    if "json" in content_type.lower() or body[:1] in (b"{", b"["):
        try:
            answer = json.loads(body)
            said = words_of(answer)
            keys = sorted(map(str, answer)) if isinstance(answer, dict) else []
        except (ValueError, RecursionError):
            said = ""
    said = said or first_words(body)
    said = said if len(said) <= SHOWN else said[:SHOWN] + "..."
    message = f"{what} answered {status}{': ' + said if said else ''}."
    kind, hint = ServiceError, ""
    if status in (401, 403):
        kind, hint = ServiceAuthError, "Check the key, and what it may be used for."
    elif status == 429:
        kind, hint = ServiceRateLimitError, "Wait, or ask for less."
    return kind(
        message,
        hint=hint,
        status=status,
        retryable=status in RETRYABLE or status >= 500,
        retry_after=retry_after(headers),
        code=_told(body, "code"),
        param=_told(body, "param"),  # which was refused
        keys=keys,  # by which servers can be told apart
        told=_ours(body),
    )


def _told(body: bytes, key: str) -> str | None:
    try:
        error = json.loads(body).get("error")
        return str(error[key]) if isinstance(error, dict) and error.get(key) else None
    except (ValueError, AttributeError, RecursionError):
        return None


def _ours(body: bytes) -> Any:
    """The error as one of ours, where the server says it as JSON values of our own (``LollmsError.to_json``)."""
    try:
        found = json.loads(body)["error"]["lollms"]
        return found if isinstance(found["types"], list) and isinstance(found["fields"], dict) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3: seconds, or a date)."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), _LONGEST_WAIT)
    try:
        import datetime

        until = parsedate_to_datetime(text)
        return max(0.0, (until - datetime.datetime.now(until.tzinfo or datetime.UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
