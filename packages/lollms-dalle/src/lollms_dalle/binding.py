"""The binding to OpenAI's image service and those that speak as it does."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from lollms_modalities import (
    BindingSettings,
    CallOptions,
    Capabilities,
    Count,
    EditOptions,
    Image,
    LollmsError,
    LollmsTTIBinding,
    OptionError,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    UnsupportedError,
    current_call,
    option,
    report_progress,
    setting,
    verb,
)
from lollms_modalities.kit import HttpClient, Upload, clean_address, image_upload, sniff
from lollms_modalities.kit.http.reading import decode_base64
from pydantic import SecretStr

from lollms_dalle.models import DEFAULT, MODELS, Rules, nearest_size, rules_of, size_of

OPENAI = "https://api.openai.com/v1"
_LARGEST = 100_000_000  # bytes of one image
# Where OpenAI's answers have pointed to.
_IMAGE_HOSTS = (".openai.com", "oaidalleapiprodscus.blob.core.windows.net")


class ImageOptions(CallOptions):
    """Of every verb."""

    width: int | None = option(None, description="Width in pixels.", ge=1, le=100_000)
    height: int | None = option(None, description="Height in pixels.", ge=1, le=100_000)
    size: str | None = option(None, description="Such as 1024x1024, or auto; in the place of width and height.")
    quality: str | None = option(None, description="Such as low, medium, high, standard, hd.")
    style: str | None = option(None, description="vivid or natural, where the model has styles.")
    background: str | None = option(None, description="transparent, opaque or auto, where the model has it.")
    moderation: str | None = option(None, description="low or auto, where the model has it.")
    output_compression: int | None = option(
        None, description="Percent, of jpeg and webp, where the model has it.", ge=0, le=100
    )
    strict: bool = option(False, description="A size that the model does not have is an error, not the nearest.")


class ImagesOptions(ImageOptions):
    """Of ``generate_images``."""

    n: Count = 1


class ChangeOptions(ImagesOptions, EditOptions):
    """Of ``edit_images``."""


class DalleTTIBinding_Impl(LollmsTTIBinding):
    """Images from OpenAI, or from a service that speaks as it does.

    The key comes from ``api_key`` or the environment variable ``OPENAI_API_KEY``; another service than OpenAI's may
    need none. Without ``width`` and ``height`` the size is ``default_size``, or what the model takes for itself.
    """

    engine = "openai-images"
    capabilities = Capabilities(output_formats=("png", "jpeg", "webp"))
    concurrency = 64
    Options = ImageOptions

    class Settings(BindingSettings):
        api_key: SecretStr | None = setting(None, description="Key of the service.", reload=True, env="OPENAI_API_KEY")
        model_name: str = setting(DEFAULT, description="Name of the model.", min_length=1, kind="plain")
        default_size: str | None = setting(None, description="Such as 1024x1024; the model's own when empty.")
        default_quality: str | None = setting(None, description="Such as low, medium, high, standard, hd.")
        default_style: str | None = setting(None, description="vivid or natural, where the model has styles.")
        host_address: str = setting(OPENAI, description="Address of the service.", reload=True)
        verify_ssl_certificate: bool = setting(
            True, description="Check the service's certificate.", shared=True, reload=True
        )
        request_timeout: float = setting(600.0, description="Seconds for one request in all.", gt=0, reload=True)
        connect_timeout: float = setting(10.0, description="Seconds to reach the service.", gt=0, reload=True)
        max_retries: int = setting(2, description="How often a request is tried again.", ge=0, le=10, reload=True)
        image_hosts: tuple[str, ...] = setting((), description="Other hosts that an image may be fetched from.")

    settings: Settings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._address = clean_address(self.settings.host_address)
        if not self._key() and self._address == OPENAI:
            raise SettingsError(
                "dalle needs the setting 'api_key'.", hint="Give it, or set the environment variable OPENAI_API_KEY."
            )
        if self.settings.default_size not in (None, "auto"):
            size_of(str(self.settings.default_size))

    # -- verbs -------------------------------------------------------------------------------------------------------

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int | None = None, height: int | None = None, **kwargs: Any
    ) -> Image:
        kwargs |= {"width": width, "height": height}
        return self._generate(prompt, negative_prompt, ImagesOptions(**kwargs))[0]

    @verb("Image", content="prompt", options=ImagesOptions)
    def generate_images(self, prompt: str, negative_prompt: str = "", **kwargs: Any) -> list[Image]:
        """``n`` images of one prompt, as ``generate_image`` makes one."""
        return self._generate(prompt, negative_prompt, ImagesOptions(**kwargs))

    @verb("Image", content="images", options=ChangeOptions)
    def edit_images(
        self, images: list[Path | bytes], prompt: str, negative_prompt: str = "", mask: Path | bytes | None = None,
        **kwargs: Any,
    ) -> list[Image]:  # fmt: skip
        """``images`` changed as ``prompt`` says, where ``mask`` is transparent if there is one; ``n`` of them."""
        options = ImagesOptions(**kwargs)
        model, rules = self._named()
        if not rules.edits:
            raise UnsupportedError(f"The model {model} does not edit images.", hint=f"Use {DEFAULT}.")
        if len(images) > rules.most_given:
            raise OptionError(
                f"The model {model} was given {len(images)} images and takes {rules.most_given}.", names=["images"]
            )
        body = self._body(model, rules, prompt, negative_prompt, options, options.n)
        uploads = [image_upload(image, "image") for image in images]
        files: dict[str, Upload | list[Upload]] = {"image": uploads[0]} if len(uploads) == 1 else {"image[]": uploads}
        if mask is not None:
            files["mask"] = image_upload(mask, "mask")
        fields = {name: str(value) for name, value in body.items()}
        return self._ask("images/edits", options.n, fields=fields, files=files)

    def _generate(self, prompt: str, negative_prompt: str, options: ImagesOptions) -> list[Image]:
        model, rules = self._named()
        images: list[Image] = []
        while len(images) < options.n:  # of some models a request gives one only
            count = min(options.n - len(images), rules.most)
            body = self._body(model, rules, prompt, negative_prompt, options, count)
            images += self._ask("images/generations", options.n, len(images), json=body)
        return images[: options.n]

    def _ask(self, path: str, total: int, done: int = 0, **request: Any) -> list[Image]:
        """The engine call: one request, and the images of its answer."""
        client: HttpClient = self.model
        report_progress(done, total, unit="image")
        try:
            answer = client.post_json(path, **request)
        except ServiceError as exc:
            raise self._explained(exc) from exc.__cause__
        images = [self._image(client, item) for item in _items(answer)]
        if not images:
            raise ServiceResponseError("The service answered without an image.")
        revised = [item["revised_prompt"] for item in answer["data"] if item.get("revised_prompt")]
        if isinstance(answer.get("usage"), dict):
            current_call().record(usage=answer["usage"])
        if revised:
            current_call().record(extra={"revised_prompt": revised[0] if len(revised) == 1 else revised})
        report_progress(min(total, done + len(images)), total, unit="image")
        return images

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        """The models of the table, with what they are; a service may have others."""
        return [{"name": name, "caption": rules.caption, "help": rules.help} for name, rules in MODELS.items()]

    def list_models(self, **kwargs: Any) -> list[str]:
        """Names of the models of the table."""
        return list(MODELS)

    # -- the parts ---------------------------------------------------------------------------------------------------

    def load_model(self) -> HttpClient:
        key = self._key()
        return HttpClient(
            clean_address(self.settings.host_address),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            secrets=(key,),
            verify=self.settings.verify_ssl_certificate,
            connect_timeout=self.settings.connect_timeout,
            read_timeout=self.settings.request_timeout,
            total_timeout=self.settings.request_timeout,
            retries=self.settings.max_retries,
            name="The image service",
        )

    def free_model(self, model: HttpClient) -> None:
        model.close()

    def _key(self) -> str:
        given = self.settings.api_key
        return given.get_secret_value() if given is not None else os.environ.get("OPENAI_API_KEY", "")

    def _named(self) -> tuple[str, Rules]:
        name = self.settings.model_name
        current_call().record(model=name)
        return name, rules_of(name)

    def _body(
        self, model: str, rules: Rules, prompt: str, negative_prompt: str, options: ImageOptions, count: int
    ) -> dict[str, Any]:
        """The request: what the model does not take is left out or refused, nulls are left out."""
        body: dict[str, Any] = {
            "model": model,
            "prompt": _prompt(model, rules, prompt, negative_prompt),
            "n": count,
            "size": self._size(model, rules, options),
            "quality": _one_of("quality", options.quality, rules.qualities, model),
            "style": _one_of("style", options.style, rules.styles, model),
            "response_format": rules.asks_for or None,
        }
        extras = {
            "background": options.background,
            "moderation": options.moderation,
            "output_compression": options.output_compression,
        }
        if rules.free_size or rules.sizes is None:
            body |= extras
        elif unfit := [name for name, value in extras.items() if value is not None]:
            raise OptionError(f"The model {model} does not take {' or '.join(unfit)}.", names=unfit)
        wanted = current_call().output_format
        if rules.free_size and wanted in self.capabilities.output_formats:
            body["output_format"] = wanted
        return {name: value for name, value in body.items() if value is not None}

    def _size(self, model: str, rules: Rules, options: ImageOptions) -> str | None:
        text, asked = options.size, options.width is not None or options.height is not None
        if asked and text in (None, self.settings.default_size):
            text = f"{options.width or options.height}x{options.height or options.width}"
        if text is None or (text == "auto" and rules.sizes is None):
            return text
        width, height = (1024, 1024) if text == "auto" else size_of(text)
        nearest = nearest_size(rules, width, height)
        if nearest != text:
            said = f"The model {model} does not make images of {text}; the nearest that it makes is {nearest}."
            if options.strict:
                raise OptionError(said, hint="Ask for that, or leave strict out.", names=["size"])
            warnings.warn(said, stacklevel=2)
        return nearest

    def _image(self, client: HttpClient, item: dict[str, Any]) -> Image:
        text, url = item.get("b64_json"), item.get("url")
        if not text and isinstance(url, str) and url.startswith("data:"):
            text = url
        if text:
            try:
                data = decode_base64(str(text))
            except ValueError as exc:
                raise ServiceResponseError(f"The service answered with an image that is damaged ({exc}).") from None
        elif isinstance(url, str) and url:
            hosts = (*_IMAGE_HOSTS, *self.settings.image_hosts)
            data = client.fetch(urljoin(f"{client.address}/", url), hosts=hosts, max_bytes=_LARGEST).body
        else:
            raise ServiceResponseError("The service answered without an image.")
        if sniff(data) not in ("png", "jpeg", "webp"):
            raise ServiceResponseError(f"The service answered with {len(data)} bytes that are no image.")
        image = Image(data)
        image.to_pil()  # whole, and no bomb
        call = current_call()
        return image if call.output_format is not None or call.original else image.convert("png")

    def _explained(self, error: ServiceError) -> LollmsError:
        model = self.settings.model_name
        gone = getattr(error, "code", None) == "model_not_found" or "does not exist" in error.message
        if gone:
            retired = rules_of(model).retired
            when = f"{model} was retired on {retired}. " if retired else ""
            error.hint = f"{when}Use model_name={DEFAULT!r}."
        return error


def _items(answer: Any) -> list[dict[str, Any]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ServiceResponseError("The service answered without a list of images.")
    return data


def _prompt(model: str, rules: Rules, prompt: str, negative_prompt: str) -> str:
    if not prompt.strip():
        raise OptionError("The service draws nothing for an empty prompt.", names=["prompt"])
    if negative_prompt.strip():
        if rules.negative:
            prompt = f"{prompt}\n\nLeave out: {negative_prompt}"
        else:
            warnings.warn(f"The model {model} has no negative prompt: it is ignored.", stacklevel=2)
    if len(prompt) > rules.max_prompt:
        warnings.warn(
            f"The model {model} takes {rules.max_prompt} characters; {len(prompt)} were given, the rest is cut.",
            stacklevel=2,
        )
    return prompt[: rules.max_prompt]


def _one_of(name: str, value: str | None, known: tuple[str, ...] | None, model: str) -> str | None:
    if value is None or known is None or value in known:
        return value
    hint = f"It has: {', '.join(known)}." if known else "Leave it out."
    raise OptionError(f"option {name!r}: the model {model} has no {name} {value!r:.60}.", hint=hint, names=[name])
