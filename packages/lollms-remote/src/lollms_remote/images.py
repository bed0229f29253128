"""Images from a server."""

from __future__ import annotations

import difflib
import threading
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from lollms_modalities import (
    CallOptions,
    EditOptions,
    Image,
    LollmsTTIBinding,
    OptionError,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    UnsupportedError,
    current_call,
    option,
    read_media,
    report_progress,
    verb,
)
from lollms_modalities.kit import Upload, image_upload, sniff
from lollms_modalities.kit.http.image_models import UNKNOWN, Rules, nearest_size, rules_of, size_of
from lollms_modalities.kit.http.reading import decode_base64

from lollms_remote import v2
from lollms_remote.answers import refuses
from lollms_remote.binding import Remote, tell_unused
from lollms_remote.server import RemoteSettings, Server

_LARGEST = 100_000_000  # bytes of one image
_settling = threading.Lock()  # of two at once, the one would undo what the other did


class ChangeOptions(EditOptions):
    """Of ``edit_images``."""

    width: int | None = option(None, description="Width in pixels.", ge=1, le=16384)
    height: int | None = option(None, description="Height in pixels.", ge=1, le=16384)
    size: str | None = option(None, description="Such as 512x512; in the place of width and height.")
    strict: bool = option(False, description="What the server or its model does not take is an error, not a warning.")


class LollmsTTIBinding_Impl(Remote, LollmsTTIBinding):
    """Images from a LoLLMs server, or from one that speaks as OpenAI's does."""

    Settings = RemoteSettings

    class Options(CallOptions):
        width: int = option(512, description="Width in pixels.", ge=1, le=16384)
        height: int = option(512, description="Height in pixels.", ge=1, le=16384)
        quality: str | None = option(None, description="As the model has it; not with a classic server.")
        style: str | None = option(None, description="As the model has it; not with a classic server.")
        extra: dict[str, Any] | None = option(None, description="Further options of the server's binding; v2 only.")
        client_id: str | None = option(None, description="The client's id with a classic server.")
        strict: bool = option(
            False, description="What the server or its model does not take is an error, not a warning."
        )

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        options = self.Options(width=width, height=height, **kwargs)
        model = self.settings.model_name
        with self.asking() as server:
            current_call().record(model=model or "", extra={"protocol": server.protocol})
            if server.protocol == "v2":
                tell_unused(server, options.strict, client_id=options.client_id)
                given = {"negative_prompt": negative_prompt or None, "width": width, "height": height,
                         "quality": options.quality, "style": options.style}  # fmt: skip
                name, arguments = server.called("tti", model, "generate_image", options.strict, options.extra, **given)
                made: Image = v2.call(server.client, "tti", name, "generate_image", {"prompt": prompt, **arguments})
                return made
            tell_unused(server, options.strict, extra=options.extra)
            report_progress(0, 1)
            if server.protocol == "classic":
                tell_unused(server, options.strict, quality=options.quality, style=options.style)
                body = {"prompt": prompt, "negative_prompt": negative_prompt, "width": width, "height": height}
                answer = server.client.post_json("generate_image", body)
                image = _image(answer.get("image") if isinstance(answer, dict) else None)
            else:
                tell_unused(server, options.strict, client_id=options.client_id)
                rules = _rules(server, model)
                asked = {
                    "prompt": _prompt(rules, prompt, negative_prompt, options.strict), "model": model, "n": 1,
                    "size": _size(rules, model, f"{width}x{height}", options.strict, told=_size_was_given()),
                    "quality": _known(rules.qualities, model, options.strict, quality=options.quality),
                    "style": _known(rules.styles, model, options.strict, style=options.style),
                    "response_format": _asks_for(rules),
                }  # fmt: skip
                image = _made(server, "v1/images/generations", asked)
            report_progress(1, 1)
        return image

    @verb("Image", content="images", options=ChangeOptions)
    def edit_images(
        self, images: list[Path | bytes], prompt: str, negative_prompt: str = "", mask: Path | bytes | None = None,
        width: int | None = None, height: int | None = None, size: str | None = None, strict: bool = False,
        **kwargs: Any,
    ) -> list[Image]:  # fmt: skip
        """``images`` changed as ``prompt`` says: a list of one. A classic server cannot (``UnsupportedError``)."""
        model = self.settings.model_name
        with self.asking() as server:
            if server.protocol == "classic":
                raise UnsupportedError("A classic server does not edit images.")
            if server.protocol == "v2":
                given = {"negative_prompt": negative_prompt or None, "width": width, "height": height, "size": size}
                name, arguments = server.called("tti", model, "edit_images", strict, None, **given)
                media: dict[str, Any] = {"images": list(images), "mask": mask}
                changed = v2.call(server.client, "tti", name, "edit_images", {"prompt": prompt, **arguments}, media)
                return list(changed)
            if size is None and (width or height):
                size = f"{width or height}x{height or width}"
            modern, rules = server.protocol == "modern", _rules(server, model)
            uploads = [image_upload(image, "image") for image in images]
            files: dict[str, Upload | list[Upload]] = {"image" if modern or len(uploads) == 1 else "image[]": uploads}
            if mask is not None:
                files["mask"] = image_upload(mask, "mask")
            if size is None and modern:
                size = "{}x{}".format(*_pixels(uploads[0]))  # else it makes one of 1024x1024 of any
            asked = {
                "prompt": _prompt(rules, prompt, negative_prompt, strict), "model": model,
                "size": size and _size(rules, model, size, strict),
            }  # fmt: skip
            if modern or rules is not UNKNOWN:
                asked["response_format"] = _asks_for(rules)
            report_progress(0, 1)
            image = _made(server, "v1/images/edits", asked, files)
            report_progress(1, 1)
        return [image]

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        """The services or models that the server tells of."""
        with self.asked() as server:
            if server.protocol == "classic":
                found = server.client.post_json("list_tti_services", _as_client(server, kwargs))
                rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
                return [{k: str(row.get(k, "")) for k in ("name", "caption", "help")} for row in rows]
            names = server.models("tti")
        return [{"name": name, "caption": name, "help": ""} for name in names]

    def get_settings(self, **kwargs: Any) -> list[dict[str, Any]]:
        """The settings of a classic server's image service; with other servers those of this binding."""
        with self.asked() as server:
            if server.protocol != "classic":
                return super().get_settings(**kwargs)
            found = server.client.post_json("get_active_tti_settings", _as_client(server, kwargs))
        return [dict(row) for row in found] if isinstance(found, list) else []

    def set_settings(self, settings: Iterable[Mapping[str, Any]] | Mapping[str, Any], **kwargs: Any) -> bool:
        """Change the settings of a classic server's image service; with other servers those of this binding.

        Args:
            settings: name to value, or rows such as ``get_settings`` gives; what is not named stays as it is.

        Raises:
            SettingsError: the service has no setting of a name.
        """
        with self.asked() as server, _settling:
            if server.protocol != "classic":
                return super().set_settings(settings)
            # The server replaces all that it has, its key included, by what it is sent.
            client = _as_client(server, kwargs)
            kept = server.client.post_json("get_active_tti_settings", client)
            body = {**client, "settings": _merged(kept, _values(settings))}
            answer = server.client.post_json("set_active_tti_settings", body)
        return bool(answer.get("status")) if isinstance(answer, dict) else False


def _values(settings: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> dict[str, Any]:
    """Name to value."""
    if isinstance(settings, Mapping):
        return {str(name): value for name, value in settings.items()}
    values = {}
    for row in settings if isinstance(settings, Iterable) else (settings,):
        if not isinstance(row, Mapping) or "name" not in row or "value" not in row:
            raise SettingsError("A setting was given without name or value.", hint='Such as {"steps": 30}.')
        values[str(row["name"])] = row["value"]
    return values


def _merged(kept: Any, values: dict[str, Any]) -> Any:
    """What the service has, with new values."""
    by_name: dict[str, Any] = {}
    rows: Any
    if isinstance(kept, list):
        rows = [dict(row) if isinstance(row, dict) else row for row in kept]
        by_name = {str(row["name"]): row for row in rows if isinstance(row, dict) and "name" in row}
    elif isinstance(kept, dict):
        rows = by_name = {name: dict(row) if isinstance(row, dict) else row for name, row in kept.items()}
    else:
        raise ServiceResponseError("The server answered without the settings of its image service.")
    if unknown := [name for name in values if name not in by_name]:
        close = difflib.get_close_matches(unknown[0], by_name, n=1)
        has = f"It has: {', '.join(by_name)}." if by_name else "It has none: no image service is active."
        raise SettingsError(
            f"The server's image service has no setting {', '.join(map(repr, unknown))}.",
            hint=f"Did you mean {close[0]!r}?" if close else has,
        )
    for name, value in values.items():
        row = by_name[name]
        if isinstance(row, dict) and (isinstance(rows, list) or "value" in row):
            row["value"] = value
        else:
            rows[name] = value
    return rows


def _rules(server: Server, model: str | None) -> Rules:
    """What the model takes; of a modern server's own models that is unknown."""
    return UNKNOWN if server.protocol == "modern" or model is None else rules_of(model)


def _asks_for(rules: Rules) -> str | None:
    """What is asked of one whose model is not known: without it many answer with an address."""
    return "b64_json" if rules is UNKNOWN else rules.asks_for or None


def _size_was_given() -> bool:
    given = current_call().options
    return given is None or not given.model_fields_set.isdisjoint(("width", "height"))


def _size(rules: Rules, model: str | None, size: str, strict: bool, told: bool = True) -> str:
    """The nearest that the model makes; told unless nobody asked for that very size."""
    if rules is UNKNOWN or (size == "auto" and rules.sizes is None):
        return size
    nearest = nearest_size(rules, *size_of(size))
    if told and nearest != size:
        _told(f"The model {model} does not make images of {size}", f"the nearest that it makes is {nearest}", strict)
    return nearest


def _known(known: tuple[str, ...] | None, model: str | None, strict: bool, **given: str | None) -> str | None:
    ((name, value),) = given.items()
    if value is None or known is None or value in known:
        return value
    has = f"it has {', '.join(known)}" if known else "it has none"
    _told(f"The model {model} has no {name} {value!r:.60}", f"{has}, and does without", strict)
    return None


def _prompt(rules: Rules, prompt: str, negative_prompt: str, strict: bool) -> str:
    if not negative_prompt.strip():
        return prompt
    if not rules.negative:
        _told("The model has no negative prompt", "it is ignored", strict)
        return prompt
    return f"{prompt}\n\nLeave out: {negative_prompt}"


def _told(what: str, instead: str, strict: bool) -> None:
    if strict:
        raise OptionError(f"{what}; {instead}.", hint="Ask for that, or leave strict out.")
    warnings.warn(f"{what}; {instead}.", stacklevel=3)


def _pixels(upload: Upload) -> tuple[int, int]:
    image = Image(read_media(upload.media))
    return image.width, image.height


def _made(
    server: Server, path: str, asked: dict[str, Any], files: dict[str, Upload | list[Upload]] | None = None
) -> Image:
    given = {k: v for k, v in asked.items() if v is not None}

    def ask() -> Any:
        if files is None:
            return server.client.post_json(path, given)
        return server.client.post_json(path, fields={k: str(v) for k, v in given.items()}, files=files)

    try:
        answer = ask()
    except ServiceError as exc:
        # A model that is not in the table, behind a name of the server's own, may refuse to be asked for base64.
        if not refuses(exc, "response_format") or "response_format" not in given:
            raise
        del given["response_format"]
        answer = ask()
    return _first(answer, server)


def _as_client(server: Server, kwargs: dict[str, Any]) -> dict[str, Any]:
    client_id = server.client_id(kwargs.get("client_id"))
    return {} if client_id is None else {"client_id": client_id}


def _first(answer: Any, server: Server) -> Image:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        raise ServiceResponseError("The server answered without an image.")
    if data[0].get("revised_prompt"):
        current_call().record(extra={"revised_prompt": data[0]["revised_prompt"]})
    text, url = data[0].get("b64_json"), data[0].get("url")
    if not text and isinstance(url, str) and url.startswith("data:"):
        text = url
    elif not text and isinstance(url, str) and url:
        found = server.client.fetch(urljoin(f"{server.address}/", url), hosts=(), max_bytes=_LARGEST).body
        return _checked(found)
    return _image(text)


def _image(text: Any) -> Image:
    if not isinstance(text, str) or not text:
        raise ServiceResponseError("The server answered without an image.")
    try:
        data = decode_base64(text)
    except ValueError as exc:
        raise ServiceResponseError(f"The server answered with an image that is damaged ({exc}).") from None
    return _checked(data)


def _checked(data: bytes) -> Image:
    if sniff(data) not in ("png", "jpeg", "webp"):
        raise ServiceResponseError(f"The server answered with {len(data)} bytes that are no image.")
    image = Image(data)
    image.to_pil()  # whole, and no bomb
    call = current_call()
    return image if call.output_format is not None or call.original else image.convert("png")
