"""What changes images: how they are given, and the options that every ``edit_images`` has."""

from __future__ import annotations

import base64
import binascii
import io
import os
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator

from lollms_modalities.contract.text import check_prompt
from lollms_modalities.errors import MediaError, OptionError
from lollms_modalities.media.input import MediaInput, MediaInputSchema, check_media
from lollms_modalities.settings.base import CallOptions
from lollms_modalities.settings.fields import option

_LONGEST_PATH = 4096


class ImageInputSchema(MediaInputSchema):
    """As of a ``MediaInput``, with what ``check_image`` takes beside."""

    def check(self, value: Any) -> Path | bytes:
        return check_image(value, role="media")


ImageInput: TypeAlias = Annotated[MediaInput, ImageInputSchema()]


class EditOptions(CallOptions):
    """Base of the options of ``edit_images``. What an author adds should have a default."""

    prompt: Annotated[str, AfterValidator(check_prompt)] = option(description="What to change.")
    negative_prompt: str = option("", description="What not to show.")
    mask: ImageInput | None = option(
        None, description="Where it is transparent (or white, if it has no transparency), the image is changed."
    )


def check_image(image: object, *, role: str = "image") -> Path | bytes:
    """One image: the path of a file that is there, or bytes.

    Args:
        image: a path, bytes, one of our results, a binary file, base64 (with or without ``data:image/png;base64,``
            before it), or an image of Pillow.
        role: what it is in the eyes of the caller.

    Raises:
        MediaError: none of these.
    """
    return check_media(unwrapped(image), role=role)


def unwrapped(image: object) -> object:
    """Base64 and an image of Pillow as bytes; everything else as it is."""
    if isinstance(image, str) and not _is_path(image):
        return _decoded(image)
    if hasattr(image, "save") and hasattr(image, "getbands"):
        data = io.BytesIO()
        image.save(data, "PNG")
        return data.getvalue()
    return image


def check_images(images: object) -> list[Path | bytes]:
    """One image or a list of several, each as of ``check_image``.

    Raises:
        OptionError: an empty list.
    """
    given = list(images) if isinstance(images, (list, tuple)) else [images]
    if not given:
        raise OptionError("No image was given to change.", names=["images"])
    return [check_image(image) for image in given]


def _is_path(text: str) -> bool:
    """Whether a text is taken as a path: a file that is there, or what cannot be base64."""
    if text.startswith("data:"):
        return False
    if len(text) > _LONGEST_PATH:
        return False
    try:
        return os.path.exists(os.path.expanduser(text)) or _image_in(text) is None
    except ValueError:  # a null byte
        return True


def _image_in(text: str) -> bytes | None:
    from lollms_modalities.media.formats import sniff

    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if sniff(data) else None


def _decoded(text: str) -> bytes:
    head, comma, rest = text.partition(",") if text.startswith("data:") else ("", "", text)
    data = _image_in(rest) if not comma or head.endswith(";base64") else None
    if data is None:
        raise MediaError(
            f"A text of {len(text)} characters is neither the path of an image nor one in base64.",
            hint="Give a path, bytes, or base64.",
        )
    return data
