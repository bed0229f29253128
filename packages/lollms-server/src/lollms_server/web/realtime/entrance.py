"""``/v1/realtime``: who may open a session, and of which model; and what is told to whoever asks by plain HTTP."""

from __future__ import annotations

from urllib.parse import parse_qs

from lollms_server.web.answers import Answer
from lollms_server.web.asked import Asked
from lollms_server.web.common import find_for
from lollms_server.web.entering import bearer
from lollms_server.web.errors import Refused
from lollms_server.web.guard import Headers
from lollms_server.web.realtime.session import Session
from lollms_server.web.sockets import Accepted, Link, Opening, Socket

PATH = "/v1/realtime"
_PROTOCOL = "realtime"
_KEY = "openai-insecure-api-key."  # as a subprotocol, where a browser puts the key: it can send no header


def key_of(headers: Headers) -> str | None:
    """The key of ``Authorization: Bearer KEY``, or of the subprotocol that ends with it.

    Raises:
        Refused: there are several keys, of which each program would take another.
    """
    key = bearer(headers)
    found = {name.removeprefix(_KEY) for name in _protocols(headers) if name.startswith(_KEY)}
    found |= {key} if key is not None else set()
    if len(found) > 1:
        raise Refused("There are several keys.", code="repeated_header", hint="Send one.")
    return found.pop() or None if found else None


def _protocols(headers: Headers) -> list[str]:
    said = ",".join(value for name, value in headers.all if name == "sec-websocket-protocol")
    return [name.strip() for name in said.split(",")]


def _accept(opening: Opening) -> Accepted:
    query = parse_qs(opening.scope["query_string"].decode("latin-1"), max_num_fields=100)
    said = {name: values[0] for name, values in query.items()}
    if said.get("intent", "transcription") != "transcription":
        raise Refused(
            f"There is no intent {said['intent']!r:.60}.", code="invalid_value", param="intent",
            hint="There is transcription.",
        )  # fmt: skip
    if "call_id" in said:
        raise Refused("There are no calls here.", code="unsupported", param="call_id")
    model = said.get("model")
    if model is not None:
        find_for(opening.app.room, opening.caller, opening.headers, model, "stt")
    old = "realtime=v1" in (opening.headers.get("openai-beta") or "")

    async def run(link: Link) -> tuple[int, str]:
        return await Session(opening, link, model, old=old).run()

    return Accepted(run, _PROTOCOL if _PROTOCOL in _protocols(opening.headers) else None)


async def upgrade(asked: Asked) -> Answer:
    """Tell a plain request that here is a WebSocket."""
    raise Refused(
        "This is a WebSocket.", status=426, code="upgrade_required", headers={"upgrade": "websocket"},
        hint="A proxy in between may have to pass the header Upgrade on.",
    )  # fmt: skip


REALTIME = Socket(PATH.encode(), "openai", _accept, key_of, pages=True)
