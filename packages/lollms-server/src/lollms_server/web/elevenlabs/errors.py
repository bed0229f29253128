"""Errors as that API has them: what is wrong with fields as a list under ``detail``, all else as an object there."""

from __future__ import annotations

from typing import Any

from lollms_server.web.errors import Told

_OF_FIELDS = ("missing_field", "missing_file", "invalid_value", "invalid_json", "invalid_option", "too_long")
_IN_QUERY = ("output_format", "page_size", "next_page_token")
# Its SDK asks again twice after each status from 500 on, whatever headers say: an engine that failed is not asked to
# fail twice more.
_NOT_AGAIN = {500: 424, 504: 424}


def shaped(told: Told) -> Told:
    """The same error, for that SDK."""
    error = told.body["error"]
    message, code, param = error["message"], error["code"], error["param"]
    if told.status == 400 and code in _OF_FIELDS:
        where = ["query" if param in _IN_QUERY else "body", *([param] if param else [])]
        kind = "missing" if code in ("missing_field", "missing_file") else "value_error"
        return told._replace(status=422, body={"detail": [{"loc": where, "msg": message, "type": kind}]})
    detail: dict[str, Any] = {"type": error["type"], "code": code, "status": code, "message": message, "param": param}
    again = "retry-after" in told.headers
    status = told.status if again else _NOT_AGAIN.get(told.status, told.status)
    return told._replace(status=status, body={"detail": detail})
