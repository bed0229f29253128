"""The protocols, and how it is found out which of them a server speaks: once for each address."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, Literal

from lollms_modalities import ServiceAuthError, ServiceError, ServiceResponseError
from lollms_modalities.kit import Answer, HttpClient
from lollms_modalities.kit.http.reading import parse_json

Protocol = Literal["classic", "modern", "openai", "v2"]
FINDING = threading.Lock()  # held while it is found out
_found: dict[str, Protocol] = {}
_ROUTES = ("v1/audio/speech", "v1/audio/transcriptions", "v1/images/generations")


def protocol_at(address: str, find: Callable[[], Protocol]) -> Protocol:
    """What the server at an address speaks; ``find`` finds it out where nobody has."""
    with FINDING:
        if address not in _found:
            _found[address] = find()
        return _found[address]


def forget_protocols() -> None:
    """Find out anew what each server speaks."""
    _found.clear()


def find_protocol(client: HttpClient, with_key: HttpClient) -> Protocol:
    """Find out what a server speaks.

    Args:
        client: that asks it without credentials.
        with_key: that asks it with the key, where there is one; else the same.

    Raises:
        ServiceAuthError: it lets nobody in, so that nothing can be found out.
        ServiceResponseError: it speaks none of them.
    """
    answered: dict[str, int] = {}

    def probe(asker: HttpClient, path: str, body: Any = None) -> tuple[int, Any]:
        answered[path], json = _probe(asker, path, body)
        return answered[path], json

    status, json = probe(client, "lollms/v2")
    if status == 200 and isinstance(json, dict) and json.get("protocol") == "lollms/v2":
        return "v2"
    capabilities = "lollms/v1/capabilities"
    modern = _is_modern(*probe(client, capabilities))
    if modern and with_key is client:
        return "modern"
    status, json = probe(client, "tts_is_ready")
    if status in (401, 403) and with_key is not client:
        # This one lets nobody in without a key, whatever is asked for, so that a 401 tells nothing.
        modern = _is_modern(*probe(with_key, capabilities))
    if modern:
        return "modern"
    if status == 200 and isinstance(json, dict) and isinstance(json.get("status"), bool):
        return "classic"
    askers = tuple(dict.fromkeys((client, with_key)))
    for asker in askers:  # some fail where no key is given
        if _is_openai(*probe(asker, "v1/models")):
            return "openai"
    no_list = answered["v1/models"] in (404, 405)
    for asker, path in itertools.product(askers, _ROUTES):
        # Some have no list of models. Nothing is made of nothing, but a route that is there says what is wrong with it.
        status, json = probe(asker, path, {})
        said = isinstance(json, dict)
        if said and (status in (400, 401, 403, 415, 422) or (no_list and status == 500 and "error" in json)):
            return "openai"
    if all(status in (401, 403) for status in answered.values()):
        raise ServiceAuthError(
            f"The server at {client.address} lets nobody in without the right key, so what it speaks is not known.",
            hint="Give service_key, or check it.", status=min(answered.values()),
        )  # fmt: skip
    by_status: dict[int, list[str]] = {}
    for path, status in answered.items():
        by_status.setdefault(status, []).append(path)
    raise ServiceResponseError(
        f"The server at {client.address} speaks none of the protocols classic, modern, openai and v2: it answers "
        + "; ".join(f"{status} to {', '.join(paths)}" for status, paths in by_status.items())
        + ".",
        hint="Check the address, or say which with protocol=.",
    )


def _probe(client: HttpClient, path: str, body: Any = None) -> tuple[int, Any]:
    """The status, and the JSON of the answer; of one that says failure its keys alone, None where it is no JSON."""
    try:
        method = "GET" if body is None else "POST"
        answer: Answer = client.request(method, path, json=body, retries=0, max_bytes=1 << 20)
        status, body, content_type = answer.status, answer.body, answer.content_type
    except ServiceError as exc:
        if exc.status is None and exc.retryable:
            raise  # nobody is there
        keys = getattr(exc, "keys", ())
        return exc.status or 0, dict.fromkeys(keys) if keys else None
    # Some answer any GET with 200 and a web page: JSON it must be.
    if content_type and "json" not in content_type:
        return status, None
    try:
        return status, parse_json(body, content_type, "The server")
    except ServiceResponseError:
        return status, None


def _is_modern(status: int, json: Any) -> bool:
    if not isinstance(json, dict):
        return False
    return (status == 200 and "capabilities" in json) or (status in (401, 403) and "detail" in json)


def _is_openai(status: int, json: Any) -> bool:
    if isinstance(json, list):  # of some the list stands alone
        return status == 200 and bool(json) and all(isinstance(row, dict) and "id" in row for row in json)
    if not isinstance(json, dict):
        return False
    # 400: what a proxy without a database says to a key that it does not know.
    listed = isinstance(json.get("data"), list) or json.get("object") == "list"
    return (status == 200 and listed) or (status in (400, 401, 403) and "error" in json)
