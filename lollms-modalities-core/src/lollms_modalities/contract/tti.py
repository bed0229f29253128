"""Images: the ABC and its manager."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, overload

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.contract.text import check_prompt
from lollms_modalities.contract.verbs import verb
from lollms_modalities.errors import OptionError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lollms_modalities.contract.editing import ImageInput
    from lollms_modalities.media.image import Image
    from lollms_modalities.media.input import MediaInput

_ENLARGES = (
    "Use one that does, such as diffusers with a model that enlarges (stabilityai/stable-diffusion-x4-upscaler); "
    'supports("upscale_image") tells.'
)
_CUTS_OUT = 'Use one that does: supports("remove_background") tells.'


class LollmsTTIBinding(LollmsBinding):
    """Turns a prompt into an image."""

    modality = "tti"

    @abstractmethod
    @verb("Image", content="prompt")
    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        """Draw ``prompt``.

        Args:
            prompt: what to show.
            negative_prompt: what not to show.
            width, height: in pixels; the settings ``default_width`` and ``default_height``, where the binding has them,
                hold when these are left out.
            kwargs: the binding's options; and ``progress``, ``cancel``, ``timeout``, ``output_format``,
                ``output_path``.

        Returns:
            PNG unless ``output_format`` says otherwise.
        """

    @abstractmethod
    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        """The services or models that draw, each with ``name``, ``caption`` and ``help``."""

    @overload
    def edit_image(
        self, images: ImageInput | Sequence[ImageInput], prompt: str, negative_prompt: str = "",
        mask: ImageInput | None = None, **kwargs: Any,
    ) -> Image: ...  # fmt: skip
    @overload
    def edit_image(self, prompt: str, /, *, image: MediaInput, **kwargs: Any) -> Any: ...
    @overload
    def edit_image(self, *, prompt: str, image: MediaInput, **kwargs: Any) -> Any: ...
    def edit_image(  # type: ignore[misc] # mypy fears an images= among kwargs
        self, images: Any = None, prompt: str | None = None, negative_prompt: str = "", mask: Any = None, **kwargs: Any
    ) -> Any:
        """Change an image as ``prompt`` says. Authors write ``edit_images``, a verb, which gives several.

        Args:
            images: the image, or a list of several that the new one is made of, where the model takes several. Each is
                a path, bytes, one of our results, a binary file, base64, or an image of Pillow.
            prompt: what to change.
            negative_prompt: what not to show.
            mask: where it is transparent, the image is changed; everywhere without it.
            kwargs: the options of ``edit_images``; and ``progress``, ``cancel``, ``timeout``, ``output_format``,
                ``output_path``.

        As ``edit_image(prompt, image=...)``, which was the only way in 2.0, it gives what it gave then: of bindings
        that have the option ``n`` a list.

        Raises:
            UnsupportedError: the binding changes no images.
        """
        arguments, several = self._to_edit(images, prompt, negative_prompt, mask, kwargs)
        made = self.edit_images(**arguments)  # type: ignore[attr-defined]
        return made if several else made[0]

    async def aedit_image(
        self, images: Any = None, prompt: str | None = None, negative_prompt: str = "", mask: Any = None, **kwargs: Any
    ) -> Any:
        """Awaitable twin of ``edit_image``: same arguments; cancelling the task cancels the call."""
        arguments, several = self._to_edit(images, prompt, negative_prompt, mask, kwargs)
        made = await self.aedit_images(**arguments)  # type: ignore[attr-defined]
        return made if several else made[0]

    # A class whose edit_image is a verb of its own gets that one's twin.
    aedit_image.__lollms_yields__ = True  # type: ignore[attr-defined]

    def _to_edit(
        self, images: Any, prompt: str | None, negative_prompt: str, mask: Any, kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """The arguments of ``edit_images``, and whether its list is what the caller gets."""
        if "edit_images" not in self._verbs:
            raise UnsupportedError(f"{self.binding_name} changes no images.", hint="Use a binding that does.")
        # Their defaults in 1.x, which say nothing. A binding that changes images need not have a size.
        kwargs = {name: value for name, value in kwargs.items() if name not in ("width", "height") or value is not None}
        mask = None if isinstance(mask, str) and not mask else mask
        as_before = "image" in kwargs
        if as_before:
            if images is not None and prompt is not None:
                raise OptionError("edit_image was given images and image.", hint="Give images.", names=["image"])
            images, prompt = kwargs.pop("image"), images if prompt is None else prompt
        if images is None or prompt is None:
            raise OptionError(
                f"{self.binding_name}: edit_image needs images, and a prompt that says what to change.",
                hint="Give edit_image(images, prompt).",
                names=["images" if images is None else "prompt"],
            )
        if not as_before and kwargs.get("n") not in (None, 1):
            raise OptionError("edit_image gives one image.", hint="edit_images gives several.", names=["n"])
        options = self._verbs["edit_images"].options or self.options_class()
        from lollms_modalities.contract.editing import unwrapped

        given = {"negative_prompt": negative_prompt, "mask": unwrapped(mask)}
        return {"images": images, "prompt": prompt, **given, **kwargs}, as_before and "n" in options.model_fields

    def upscale_image(self, image: ImageInput, scale: float | None = None, **kwargs: Any) -> Image:
        """Enlarge an image. Optional: authors mark theirs ``@verb("Image", content="image", options=...)``.

        Args:
            image: a path, bytes, one of our results, a binary file, base64, or an image of Pillow.
            scale: by how much each side grows; the engine's own when left out.
            kwargs: the options of the binding's verb; and ``progress``, ``cancel``, ``timeout``, ``output_format``,
                ``output_path``.

        Raises:
            UnsupportedError: the binding enlarges no images; ``supports("upscale_image")`` says whether it does.
        """
        raise self._cannot("enlarges no images", _ENLARGES)

    async def aupscale_image(self, image: ImageInput, scale: float | None = None, **kwargs: Any) -> Image:
        """Awaitable twin of ``upscale_image``."""
        raise self._cannot("enlarges no images", _ENLARGES)

    def remove_background(self, image: ImageInput, **kwargs: Any) -> Image:
        """Leave of an image what stands before its background, which becomes transparent. Optional, as above.

        Args:
            image: as of ``upscale_image``.
            kwargs: likewise.

        Returns:
            PNG, of the same size, with an alpha channel.

        Raises:
            UnsupportedError: the binding cannot; ``supports("remove_background")`` says whether it can.
        """
        raise self._cannot("removes no backgrounds", _CUTS_OUT)

    async def aremove_background(self, image: ImageInput, **kwargs: Any) -> Image:
        """Awaitable twin of ``remove_background``."""
        raise self._cannot("removes no backgrounds", _CUTS_OUT)

    # A class in which these are verbs gets the twins of verbs.
    aupscale_image.__lollms_yields__ = True  # type: ignore[attr-defined]
    aremove_background.__lollms_yields__ = True  # type: ignore[attr-defined]

    def _cannot(self, what: str, hint: str) -> UnsupportedError:
        return UnsupportedError(f"{self.binding_name} {what}.", hint=hint)

    if TYPE_CHECKING:

        async def agenerate_image(
            self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
        ) -> Image: ...

    def _check_content(self, kind: str, value: Any) -> Any:
        if kind == "images":
            from lollms_modalities.contract.editing import check_images

            return check_images(value)
        if kind == "image":
            from lollms_modalities.contract.editing import check_image

            return check_image(value)
        return check_prompt(value) if kind == "prompt" else value
