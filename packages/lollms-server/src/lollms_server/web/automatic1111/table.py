"""The routes. Clients send a name and a password, of which the password is the key."""

from __future__ import annotations

from functools import partial
from typing import Any

from lollms_server.web.automatic1111 import checkpoints, drawing, progress
from lollms_server.web.entering import basic
from lollms_server.web.routes import Route

_OBJECT: dict[str, Any] = {"application/json": {"type": "object"}}
_ANY: dict[str, Any] = {"application/json": {}}
_LIST: dict[str, Any] = {"application/json": {"type": "array"}}
_route = partial(Route, key_of=basic)

AUTOMATIC1111 = (
    _route("GET", "/sdapi/v1/options", checkpoints.get_options, "Which model draws for you.", access="lists",
           answers=_OBJECT),
    _route("POST", "/sdapi/v1/options", checkpoints.set_options, "Choose the model that draws for you.",
           body=checkpoints.OptionsBody, answers=_ANY),
    _route("GET", "/sdapi/v1/sd-models", checkpoints.list_models, "The models that draw.", access="lists",
           answers=_LIST),
    _route("POST", "/sdapi/v1/txt2img", drawing.from_text, "Draw images.", body=drawing.TextBody, answers=_OBJECT),
    _route("POST", "/sdapi/v1/img2img", drawing.from_images, "Change images.", body=drawing.ImageBody,
           answers=_OBJECT),
    _route("GET", "/sdapi/v1/progress", progress.progress, "How far what is drawn for you is.",
           query={"skip_current_image": "true leaves the preview out."}, answers=_OBJECT),
    _route("POST", "/sdapi/v1/interrupt", progress.interrupt, "Cancel what is drawn for you.", answers=_OBJECT),
)  # fmt: skip
