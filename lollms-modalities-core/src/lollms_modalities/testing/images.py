"""Images from a prompt."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lollms_modalities import media
from lollms_modalities.errors import LollmsError
from lollms_modalities.testing.contract import applies, contract, raises
from lollms_modalities.testing.looks import dark
from lollms_modalities.testing.prompts import differing_prompts
from lollms_modalities.testing.suite import Suite


class ImageTests(Suite):
    """What goes in is a prompt, what comes out an image."""

    verb = "generate_image"
    content = "prompt"
    default_sample: ClassVar[Mapping[str, Any]] = {"prompt": "a red square", "width": 64, "height": 64}

    def variants(self) -> list[dict[str, Any]]:
        return [{"prompt": prompt} for prompt in ("a red square", "a blue circle", "a green line")]

    def check(self, result: Any) -> None:
        contract(type(result) is media.Image, "The result is an Image.", "results", type(result))
        import PIL.Image

        with PIL.Image.open(io.BytesIO(media.read_media(result))) as image:
            image.load()
            found = (image.width, image.height, (image.format or "").lower())
        contract(
            (result.width, result.height, result.format) == found,
            "The size and format that an Image tells are those of its file.",
            "results",
            ((result.width, result.height, result.format), found),
        )

    @classmethod
    def other_values(cls, bound: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"width": _other_side(given["width"]), "height": _other_side(given["height"])}

    def differing(self) -> list[list[dict[str, Any]]]:
        house = "a quiet picture of a house {} in the early morning, with a garden and a path"
        within = [house.format(where) for where in ("in a wood", "on the top of a hill", "by the road")]
        return [*differing_prompts(self.content), [{self.content: prompt} for prompt in within]]

    def test_it_is_not_black(self, result: Any) -> None:
        """Give pixels from 0 to 255 as uint8. Floats from 0 to 1 that are cast as they are, and NaN, come out black."""
        pixels = pixels_of(media.read_media(result))
        contract(not dark(pixels), "An image shows something: it is not black.", "results", int(pixels.max()))

    @applies(lambda suite: suite.capabilities().seed and "generate_images" in suite.binding.verbs())
    def test_several_images_differ(self, bound: Any) -> None:
        """Draw each of ``n`` images with a seed of its own: the first with the one that was given, the others after
        it."""
        options = bound.verbs()["generate_images"].options or self.binding.options_class()
        given = {name: v for name, v in self.arguments().items() if name in (self.content, *options.model_fields)}
        made = bound.generate_images(**given, **({"n": 3} if "n" in options.model_fields else {}))
        contract(len(made) == 3 or "n" not in options.model_fields, "There are as many images as were asked for.",
                 "arguments", len(made))  # fmt: skip
        for image in made:
            self.check(image)
        same = len(made) > 1 and all(self.same(made[0], image) for image in made[1:])
        contract(not same, "Of several images not all are the same.", "arguments", made)

    def test_width_is_not_height(self, bound: Any) -> None:
        """Arrays are (height, width), most engines want ``width=`` and ``height=``: pass them by name. Refuse with an
        ``OptionError`` what the engine would round."""
        asked = self.arguments()
        sizes = [
            (asked["width"], _other_side(asked["height"])),
            (_other_side(asked["width"]), asked["height"]),
            (asked["width"] + 6, asked["height"] + 10),  # which few engines have
        ]
        for width, height in sizes:
            try:
                made = self.call(bound, width=width, height=height)
            except LollmsError:
                continue  # an engine of few sizes says so
            contract(
                (made.width, made.height) == (width, height),
                "The image has the width and the height that were asked for, where they differ.",
                "arguments",
                ((width, height), (made.width, made.height)),
            )

    def test_without_a_format_it_is_png(self, result: Any) -> None:
        """Give pixels to ``Image.from_pixels``; the core converts to other formats."""
        contract(result.format == "png", "Without output_format the image is PNG.", "results", result.format)

    def test_it_has_the_size_that_was_asked_for(self, result: Any) -> None:
        """Give ``width`` and ``height`` to the engine, and refuse with an ``OptionError`` what it cannot draw."""
        asked = self.arguments()
        contract(
            (result.width, result.height) == (asked["width"], asked["height"]),
            "The image has the width and height that were asked for.",
            "results",
            (result.width, result.height),
        )

    def test_sizes_that_are_none(self, bound: Any) -> None:
        """Use the types ``Width`` and ``Height``, and refuse above the engine's largest."""
        for wrong in ({"width": 0}, {"height": -5}, {"width": "wide"}, {"width": 10**9, "height": 10**9}):
            with raises(LollmsError, f"An image of the size {wrong} is a typed error.", "hostile-input"):
                self.call(bound, **wrong)

    def test_the_result_is_saved_in_other_formats(self, result: Any, tmp_path: Path) -> None:
        """Return sound that can be decoded: WAV of int16 samples."""
        for suffix in (".jpg", ".webp"):
            saved = media.Image(result.save(tmp_path / f"x{suffix}").read_bytes())
            contract(
                (saved.width, saved.height) == (result.width, result.height), f"save() writes {suffix}.", "results"
            )

    def test_services_have_names(self, bound: Any) -> None:
        """Give each service a ``name``, a ``caption`` and a ``help``."""
        for service in bound.list_services():
            contract(
                {"name", "caption", "help"} <= service.keys(),
                "A service has name, caption and help.",
                "results",
                service,
            )


def pixels_of(data: bytes) -> npt.NDArray[np.uint8]:
    """Of the bytes of an image, on black where it is transparent: (height, width, 3)."""
    import PIL.Image

    with PIL.Image.open(io.BytesIO(data)) as image:
        seen = image.convert("RGBA")
        return np.asarray(PIL.Image.alpha_composite(PIL.Image.new("RGBA", seen.size, "black"), seen).convert("RGB"))


def _other_side(pixels: int) -> int:
    """A half of it, in steps of 32; where there is none, twice as much."""
    return pixels // 64 * 32 or 2 * pixels
