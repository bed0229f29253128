"""Images as results have them."""

from __future__ import annotations

import io
import struct
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Self

from lollms_modalities.errors import BindingDependencyError, MediaError
from lollms_modalities.media.encoded import told
from lollms_modalities.media.formats import IMAGE_FORMATS, check_format
from lollms_modalities.media.input import open_media as open_media
from lollms_modalities.media.input import read_media as read_media
from lollms_modalities.media.media_file import MediaFile
from lollms_modalities.version import requirement

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image as PILImage

_PROGRAMS = ("EPS", "WMF")  # Pillow has Ghostscript or the system run these


class Image(MediaFile):
    """An image: the bytes of an image file, PNG unless another format was asked for.

    Args:
        data: the file's bytes.
        path: the file that holds the image, where ``data`` is empty.
    """

    formats = IMAGE_FORMATS
    _noun = "Image"
    _pixels: tuple[int, int] | None = None

    @classmethod
    def from_pil(cls, image: PILImage, output_format: str = "png") -> Self:
        """From a Pillow image. JPEG has no transparency: it is laid on white."""
        wanted = check_format(output_format, cls)
        if wanted == "jpeg" and image.mode != "RGB":
            pillow = _pillow()
            rgba = image.convert("RGBA")
            image = pillow.new("RGB", image.size, "white")
            image.paste(rgba, mask=rgba.getchannel("A"))
        if wanted == "png" and image.mode in ("CMYK", "YCbCr", "HSV", "PA"):
            image = image.convert("RGBA" if image.mode == "PA" else "RGB")
        buffer = io.BytesIO()
        try:
            image.save(buffer, format=wanted.upper())
        except (OSError, ValueError) as exc:
            raise MediaError(f"A {image.mode} image cannot be written as {wanted}: {exc}.") from exc
        self = cls(buffer.getbuffer())
        self._pixels = image.size
        self._format = wanted
        return self

    @classmethod
    def from_pixels(cls, pixels: npt.NDArray[np.uint8], output_format: str = "png") -> Self:
        """From uint8 values of shape (height, width, 3 or 4) or (height, width)."""
        return cls.from_pil(_pillow().fromarray(pixels), output_format)

    def to_pil(self) -> PILImage:
        """The image as Pillow's, loaded.

        Raises:
            MediaError: the bytes are no image.
        """
        pillow = _pillow()
        try:
            with open_media(self) as file, pillow.open(file) as image:
                if image.format in _PROGRAMS:
                    raise ValueError(f"{image.format} is a program, which is not run")
                image.load()
                return image  # type: ignore[no-any-return]
        except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as exc:
            # Of an unknown format Pillow shows the object that it read.
            said = "its format is unknown" if type(exc).__name__ == "UnidentifiedImageError" else exc
            raise MediaError(f"{self._size()} of {self.format or 'unknown data'} are no image: {said}.") from exc

    @property
    def width(self) -> int:
        """Pixels."""
        return self._dimensions()[0]

    @property
    def height(self) -> int:
        """Pixels."""
        return self._dimensions()[1]

    def _dimensions(self) -> tuple[int, int]:
        if self._pixels is None:
            head = self._head()
            if head.startswith(b"\x89PNG") and len(head) >= 24:
                self._pixels = struct.unpack_from(">II", head, 16)
            else:
                self._pixels = self.to_pil().size
        return self._pixels

    def convert(self, output_format: str) -> Self:
        """The same image as "png", "jpeg" or "webp"."""
        wanted = check_format(output_format, type(self))
        return self if wanted == self.format else told(self._converted(wanted), source=self)

    def _converted(self, wanted: str) -> Self:
        return self._told_to(self.from_pil(self.to_pil(), wanted))

    def _told(self) -> str:
        width, height = self._dimensions()
        return f"{width}x{height}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {self.mime_type: b64encode(read_media(self)).decode(), "text/plain": repr(self)}


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as exc:
        raise BindingDependencyError(
            "Images are read and converted with Pillow, which is not installed.",
            hint=f"Run pip install {requirement('lollms-modalities-core', 'image')}.",
        ) from exc
    return PIL.Image
