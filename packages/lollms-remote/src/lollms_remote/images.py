"""Images from a server."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lollms_modalities import (
    CallOptions,
    EditOptions,
    Image,
    LollmsTTIBinding,
    ServiceResponseError,
    UnsupportedError,
    current_call,
    option,
    report_progress,
    verb,
)
from lollms_modalities.http import Upload
from lollms_modalities.media import sniff

from lollms_remote.server import Remote, RemoteSettings, Server


class ChangeOptions(EditOptions):
    """Of ``edit_images``."""

    width: int | None = option(None, description="Width in pixels.", ge=1, le=16384)
    height: int | None = option(None, description="Height in pixels.", ge=1, le=16384)
    size: str | None = option(None, description="Such as 512x512; in the place of width and height.")


class LollmsTTIBinding_Impl(Remote, LollmsTTIBinding):
    """Images from a LoLLMs server, or from one that speaks as OpenAI's does."""

    Settings = RemoteSettings

    class Options(CallOptions):
        width: int = option(512, description="Width in pixels.", ge=1, le=16384)
        height: int = option(512, description="Height in pixels.", ge=1, le=16384)
        quality: str | None = option(None, description="As the model has it; not with a classic server.")
        style: str | None = option(None, description="As the model has it; not with a classic server.")
        client_id: str | None = option(None, description="The client's id with a classic server.")

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        options = self.Options(width=width, height=height, **kwargs)
        server: Server = self.model
        model = self.settings.model_name
        current_call().record(model=model or "", extra={"protocol": server.protocol})
        report_progress(0, 1)
        if server.protocol == "classic":
            body = {"prompt": prompt, "negative_prompt": negative_prompt, "width": width, "height": height}
            image = _image(server.client.post_json("generate_image", body).get("image"))
        else:
            asked = {
                "prompt": _without(prompt, negative_prompt), "model": model, "n": 1, "size": f"{width}x{height}",
                "quality": options.quality, "style": options.style, "response_format": "b64_json",
            }  # fmt: skip
            given = {k: v for k, v in asked.items() if v is not None}
            image = _first(server.client.post_json("v1/images/generations", given))
        report_progress(1, 1)
        return image

    @verb("Image", content="images", options=ChangeOptions)
    def edit_images(
        self, images: list[Path | bytes], prompt: str, negative_prompt: str = "", mask: Path | bytes | None = None,
        width: int | None = None, height: int | None = None, size: str | None = None, **kwargs: Any,
    ) -> list[Image]:  # fmt: skip
        """``images`` changed as ``prompt`` says: a list of one. A classic server cannot (``UnsupportedError``)."""
        server: Server = self.model
        if server.protocol == "classic":
            raise UnsupportedError("A classic server does not edit images.")
        uploads = [Upload(image, "image.png", "image/png") for image in images]
        files: dict[str, Upload | list[Upload]] = {"image": uploads[0]} if len(uploads) == 1 else {"image[]": uploads}
        if mask is not None:
            files["mask"] = Upload(mask, "mask.png", "image/png")
        if size is None and (width or height):
            size = f"{width or height}x{height or width}"
        asked = {"prompt": _without(prompt, negative_prompt), "model": self.settings.model_name, "size": size}
        fields = {k: v for k, v in asked.items() if v is not None}
        if server.protocol == "modern":
            fields["response_format"] = "b64_json"
        report_progress(0, 1)
        image = _first(server.client.post_json("v1/images/edits", fields=fields, files=files))
        report_progress(1, 1)
        return [image]

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        """The services or models that the server tells of."""
        with self.asked() as server:
            if server.protocol == "classic":
                found = server.client.post_json("list_tti_services", _as_client(server, kwargs))
                rows = [s for s in found if isinstance(s, dict)]
                return [{k: str(row.get(k, "")) for k in ("name", "caption", "help")} for row in rows]
            models = server.client.get_json("v1/models").get("data") or []
        return [{"name": str(m["id"]), "caption": str(m["id"]), "help": ""} for m in models if isinstance(m, dict)]

    def get_settings(self, **kwargs: Any) -> list[dict[str, Any]]:
        """The settings of a classic server's image service; with other servers those of this binding."""
        with self.asked() as server:
            if server.protocol != "classic":
                return super().get_settings(**kwargs)
            found = server.client.post_json("get_active_tti_settings", _as_client(server, kwargs))
        return [dict(row) for row in found] if isinstance(found, list) else []

    def set_settings(self, settings: Iterable[Mapping[str, Any]] | Mapping[str, Any], **kwargs: Any) -> bool:
        """Change the settings of a classic server's image service; with other servers those of this binding."""
        with self.asked() as server:
            if server.protocol != "classic":
                return super().set_settings(settings)
            rows = settings if isinstance(settings, Mapping) else [dict(row) for row in settings]
            answer = server.client.post_json(
                "set_active_tti_settings", {**_as_client(server, kwargs), "settings": rows}
            )
        return bool(answer.get("status")) if isinstance(answer, dict) else False


def _without(prompt: str, negative_prompt: str) -> str:
    """A prompt that says what to leave out, for services that have no negative prompt."""
    return f"{prompt}\n\nLeave out: {negative_prompt}" if negative_prompt.strip() else prompt


def _as_client(server: Server, kwargs: dict[str, Any]) -> dict[str, Any]:
    client_id = server.client_id(kwargs.get("client_id"))
    return {} if client_id is None else {"client_id": client_id}


def _first(answer: Any) -> Image:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        raise ServiceResponseError("The server answered without an image.")
    if data[0].get("revised_prompt"):
        current_call().record(extra={"revised_prompt": data[0]["revised_prompt"]})
    return _image(data[0].get("b64_json"))


def _image(text: Any) -> Image:
    if not isinstance(text, str) or not text:
        raise ServiceResponseError("The server answered without an image.")
    try:
        data = base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ServiceResponseError(f"The server answered with an image that is damaged ({exc}).") from None
    if sniff(data[:64]) not in ("png", "jpeg", "webp"):
        raise ServiceResponseError(f"The server answered with {len(data)} bytes that are no image.")
    image = Image(data)
    image.to_pil()  # whole, and no bomb
    return image.convert("png") if current_call().output_format is None else image
