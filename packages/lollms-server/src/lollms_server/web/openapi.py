"""The OpenAPI document, made of the table that routes."""

from __future__ import annotations

from typing import Any

from lollms_server import __version__
from lollms_server.web.routes import Route, Routes

_ERROR = {
    "type": "object",
    "required": ["error", "detail"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        },
        "detail": {"type": "string"},
    },
}
# Of every route: what the guard, the limits, the queue and the engine may say.
_ALWAYS = {
    400: "Something about the request is wrong; param says what.",
    401: "No key, or an unknown one.",
    403: "Not for this caller, host or page.",
    404: "There is no such model, voice, call, job or path, or the job is not done; see Retry-After.",
    405: "Another method is for this path.",
    406: "It gives its items as events: ask for them with Accept.",
    408: "The body came too slowly.",
    413: "More than is taken.",
    415: "The body is of another type.",
    416: "There is no such part of the content.",
    422: "The Idempotency-Key has been used for something else.",
    426: "It is a WebSocket.",
    429: "The queue is full, or the key has used what it may; see Retry-After.",
    431: "The headers are too large.",
    499: "The call was cancelled.",
    500: "The engine failed.",
    502: "A service behind a model failed.",
    503: "Not now; see Retry-After.",
    504: "The call took too long.",
    507: "No room on the disk.",
    508: "Servers that ask each other in a circle.",
}


# Of those routes that say so: what else may be a good answer.
_ALSO = {202: "A job, as Prefer: respond-async asks for.", 206: "The part that Range asks for.", 304: "It is known."}


def document(routes: Routes) -> dict[str, Any]:
    """The document of all routes, in OpenAPI 3.1."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    for route in routes.all:
        paths.setdefault(route.path.replace("*}", "}"), {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lollms serve",
            "version": __version__,
            "description": "Speech, transcription, images, videos as OpenAI's API has them, and every binding's verbs.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in route.parameters
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "description": what, "schema": {"type": "string"}}
        for name, what in route.query.items()
    ]
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "summary": route.summary,
        "responses": _responses(route),
    }
    if route.access != "open":
        operation["security"] = [{"key": []}, {}]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None or route.form:
        operation["requestBody"] = _body(route, schemas)
    return operation


def _body(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    reference: dict[str, Any] = {"type": "object"}
    properties: dict[str, Any] = {}
    required: list[str] = []
    if route.body is not None:
        schema = route.body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[route.body.__name__] = schema
        properties, required = schema.get("properties", {}), schema.get("required", [])
        reference = {"$ref": f"#/components/schemas/{route.body.__name__}"}
    content["application/json"] = {"schema": reference}
    if route.form:
        files = {name: {"type": "string", "format": "binary"} for name in route.form}
        content["multipart/form-data"] = {
            "schema": {"type": "object", "properties": {**properties, **files}, "required": [*required, *route.needed]}
        }
    return {"required": True, "content": content}


def _responses(route: Route) -> dict[str, Any]:
    fine = {"description": "As asked for.", "content": {kind: {"schema": dict(s)} for kind, s in route.answers.items()}}
    responses: dict[str, Any] = {str(route.status): fine}
    for status in route.also:
        responses[str(status)] = (
            {**fine, "description": _ALSO[status]} if status != 304 else {"description": _ALSO[304]}
        )
    for status, what in _ALWAYS.items():
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        responses[str(status)] = {"description": what, "content": content}
    return responses
