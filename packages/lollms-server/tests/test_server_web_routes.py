"""The table of routes, what routes, and the OpenAPI document: one thing."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import get_args

import lollms_server
import pytest
from lollms_server.room.configuration import Surface
from lollms_server.web import errors, sse
from lollms_server.web.entering import basic, bearer, header
from lollms_server.web.errors import Refused
from lollms_server.web.guard import Headers
from lollms_server.web.openapi import document
from lollms_server.web.routes import Route, Routes
from lollms_server.web.surfaces import ABOUT, OPERATING, SURFACES, routes_of
from serving import SERVE, Server, models, server_of

ROUTES = Routes(routes_of(SURFACES))
CONFIGURATION = SERVE + models(counting="tts")


server = server_of(CONFIGURATION)


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_the_document_holds_what_the_table_holds() -> None:
    told = document(ROUTES)
    in_document = {f"{method.upper()} {path}" for path, methods in told["paths"].items() for method in methods}
    assert in_document == {named(route).replace("*}", "}") for route in ROUTES.all}
    ids = [one["operationId"] for methods in told["paths"].values() for one in methods.values()]
    assert len(ids) == len(set(ids))


def test_every_status_that_is_answered_is_in_the_document() -> None:
    source = Path(lollms_server.__file__).parent
    texts = [path.read_text("utf-8") for folder in ("web", "room", "jobs") for path in (source / folder).rglob("*.py")]
    written = {int(found) for text in texts for found in re.findall(r"\bstatus=([45]\d\d)\b", text)}
    written |= {row.status for row in errors.TABLE}
    assert len(written) > 15
    told = document(ROUTES)["paths"]
    for methods in told.values():
        for operation in methods.values():
            assert written <= {int(status) for status in operation["responses"]}
    good = {(path, int(status)) for path, methods in told.items() for operation in methods.values()
            for status in operation["responses"] if status in ("101", "202", "206", "304")}  # fmt: skip
    assert good == {
        ("/v1/realtime", 101), ("/lollms/v2/bindings/{modality}/{name}/verbs/{verb}", 202), ("/", 304),
        ("/v1/videos/{id}/content", 206), ("/v1/music/{id}/content", 206), ("/lollms/v2/jobs/{id}/content", 206),
        ("/v1/images/results/{id}/{number}", 206),
    }  # fmt: skip


def test_every_reference_of_the_document_leads_somewhere() -> None:
    told = document(ROUTES)
    text = json.dumps(told)
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred
    assert referred <= told["components"]["schemas"].keys()


@pytest.mark.parametrize("route", ROUTES.all, ids=named)
def test_every_route_of_the_table_is_found(route: Route) -> None:
    path = "/".join("a%2Fb" if part.startswith("{") else part for part in route.path.split("/"))
    found, params = ROUTES.find(route.method, path.encode())
    assert found is route
    assert set(params.values()) <= {"a/b"}
    assert list(params) == route.parameters


def test_the_running_server_tells_of_what_it_routes(server: Server) -> None:
    told = server.ask("GET", "/openapi.json").json
    assert told["openapi"] == "3.1.0"
    for path, methods in told["paths"].items():
        for method in methods:
            reply = server.ask(method.upper(), path.replace("{", "").replace("}", ""))
            # Whatever it says of a body that is not there: the route is.
            assert reply.status != 405, (method, path)
            assert reply.status != 404 or reply.error["code"] != "not_found", (method, path)


def test_a_surface_that_is_switched_off_has_no_route() -> None:
    assert {route.path for route in routes_of(["openai"])}.isdisjoint({route.path for route in SURFACES["lollms"]})
    assert routes_of([]) == list(OPERATING)
    assert set(get_args(Surface)) == set(SURFACES), "the configuration takes those that there are"
    assert ABOUT.keys() == SURFACES.keys(), "and the page tells of them"


def _says(*values: str, name: str = "authorization") -> Headers:
    return Headers({"headers": [(name.encode(), value.encode()) for value in values]})


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_a_key_is_taken_from_where_the_routes_clients_put_it() -> None:
    assert (
        bearer(_says("Bearer abc")) == basic(_says("bearer abc")) == header("xi-api-key")(_says("Bearer abc")) == "abc"
    )
    assert basic(_says(_basic("me:abc"))) == basic(_says(_basic("abc"))) == "abc"
    assert header("xi-api-key")(_says("abc", name="xi-api-key")) == "abc"
    for key_of in (bearer, basic, header("xi-api-key")):
        assert key_of(_says()) is None
    for none in ("Basic ", "Basic", _basic(""), _basic("me:")):
        assert basic(_says(none)) is None
    for key_of, said in (
        (bearer, _basic("me:abc")),
        (bearer, "Bearer "),
        (basic, "Basic ?"),
        (basic, "Digest x"),
        (basic, "Basic /w=="),
    ):
        with pytest.raises(Refused) as refused:
            key_of(_says(said))
        assert refused.value.status == 401
    for key_of, name in ((bearer, "authorization"), (basic, "authorization"), (header("xi-api-key"), "xi-api-key")):
        with pytest.raises(Refused, match="2 headers"):
            key_of(_says("Bearer a", "Bearer b", name=name))


def test_a_path_is_matched_before_it_is_decoded() -> None:
    assert ROUTES.find("GET", b"/v1/models/a%2Fb")[1] == {"model": "a/b"}
    assert ROUTES.find("GET", b"/v1/models/a/b")[1] == {"model": "a/b"}
    assert ROUTES.find("GET", b"/lollms/v2/bindings/tts/a%2Fb")[1] == {"modality": "tts", "name": "a/b"}
    for path in (b"/v1%2Fmodels", b"v1/models", b"@x", b"/v1/models/", b"//v1/models", b"/v1/models/%ff", b""):
        with pytest.raises(Refused) as refused:
            ROUTES.find("GET", path)
        assert refused.value.status == 404


def test_another_method_is_told_which_there_are() -> None:
    with pytest.raises(Refused) as refused:
        ROUTES.find("PATCH", b"/v1/audio/speech")
    assert refused.value.status == 405
    assert refused.value.headers == {"allow": "POST"}


def test_no_text_can_end_an_event() -> None:
    hostile = "a\r\nb\n\ndata: {}\u2028c\u2029d\x85e\ud800"
    written = sse.event({"delta": hostile})
    assert written.startswith(b"data: ")
    assert written.endswith(b"\n\n")
    assert len(written[:-2].decode().splitlines()) == 1
    assert json.loads(written[6:])["delta"] == hostile


@pytest.mark.parametrize("name", ["lollms-faster-whisper", "lollms-modalities-core"])
def test_a_name_of_a_distribution_is_no_key(name: str) -> None:
    assert errors.masked(f"{name} 2.0.0") == f"{name} 2.0.0"


def test_folders_and_keys_are_masked() -> None:
    said = errors.masked(
        "No '/home/me/models/x.onnx', C:\\Users\\me\\x.onnx, ~/voices/a/b.bin or /etc/passwd with "
        "sk-abcdefghijklmnop, lollms-fWq3abcdefghijklmnop, Bearer xyz; see https://example.com/a/b and POST /v1/audio/speech, 3/4 of it"
    )
    assert "me" not in said.replace("example", "").replace("some", "")
    assert "abcdefghijklmnop" not in said
    assert "xyz" not in said
    assert "https://example.com/a/b" in said
    assert "3/4 of it" in said


def test_every_error_of_the_table_is_told_with_its_status() -> None:
    assert all(400 <= row.status < 600 and row.status not in (409, 501) for row in errors.TABLE)
    # A row that stands behind one of its bases would never be reached.
    for number, row in enumerate(errors.TABLE):
        assert not any(issubclass(row.error, before.error) for before in errors.TABLE[:number]), row
