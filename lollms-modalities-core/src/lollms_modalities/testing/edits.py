"""Verbs that change images, where a binding has them; where it has not, it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lollms_modalities import media
from lollms_modalities.errors import MediaError, OptionError, UnsupportedError
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.suite import Suite


def _lacks(name: str) -> Callable[[Any], bool]:
    return lambda suite: name not in suite.binding.verbs()


class EditTests(Suite):
    """For bindings of images.

    Attributes:
        enlarges: whether the model of ``settings`` is one that enlarges images, if the binding has models that do.
        cuts_out: likewise of ``remove_background``.
        changes: likewise of ``edit_image``.
    """

    enlarges = True
    cuts_out = True
    changes = True

    @crosses
    @applies(lambda suite: suite.changes and "edit_images" in suite.binding.verbs())
    def test_an_image_is_changed(self, bound: Any, result: Any) -> None:
        """Write ``edit_images``, a verb with ``content="images"``, that takes what ``generate_image`` gave; or set
        ``changes = False`` where the model of the suite cannot."""
        contract(bound.supports("edit_image"), "supports() knows the verbs.", "edits")
        made = bound.edit_image(result, str(self.arguments()["prompt"]))
        contract(type(made) is media.Image, "edit_image gives an Image.", "edits", type(made))
        self.check(made)

    @applies(lambda suite: suite.changes and suite.capabilities().seed and "edit_images" in suite.binding.verbs())
    def test_an_image_is_changed_as_was_asked(self, bound: Any, result: Any) -> None:
        """Give the engine the image and the prompt, both, and seed it with the option ``seed``."""
        options = bound.verbs()["edit_images"].options or self.binding.options_class()
        seed = {"seed": 7} if "seed" in options.model_fields else {}
        other = self.call(bound, **self.variants()[1])
        ways = {"prompt": (result, "a green line"), "image": (other, "a blue circle")}
        first = bound.edit_image(result, "a blue circle", **seed)
        for name, (image, prompt) in ways.items():
            contract(
                not self.same(bound.edit_image(image, prompt, **seed), first),
                f"The {name} that is given decides what edit_image gives.",
                "edits",
                prompt,
            )

    @crosses
    @applies(lambda suite: suite.enlarges and "upscale_image" in suite.binding.verbs())
    def test_an_image_is_enlarged(self, bound: Any, result: Any) -> None:
        """Let ``upscale_image`` lengthen both sides alike, and declare ``scale: Scale`` among its options."""
        contract(bound.supports("upscale_image"), "supports() knows the verbs.", "edits")
        made = bound.upscale_image(result)
        self.check(made)
        contract(
            made.width > result.width
            and made.height > result.height
            and abs(made.width / result.width - made.height / result.height) < 0.1,
            "upscale_image gives an image of the same shape, with longer sides.",
            "edits",
            (made, result),
        )
        contract(made.provenance is not None, "A result has its provenance.", "edits")
        for wrong in (0, -1, 1, "much"):
            with raises(OptionError, f"scale={wrong!r} is an OptionError.", "edits"):
                bound.upscale_image(result, scale=wrong)
        with raises(MediaError, "What is no image is a MediaError.", "edits"):
            bound.upscale_image(b"no image at all")

    @crosses
    @applies(lambda suite: suite.cuts_out and "remove_background" in suite.binding.verbs())
    def test_a_background_is_removed(self, bound: Any, result: Any) -> None:
        """Give a PNG of the same size with an alpha channel from ``remove_background``."""
        contract(bound.supports("remove_background"), "supports() knows the verbs.", "edits")
        made = bound.remove_background(result)
        self.check(made)
        contract(
            (made.width, made.height, made.format) == (result.width, result.height, "png")
            and "A" in made.to_pil().getbands(),
            "remove_background gives a PNG of the same size with an alpha channel.",
            "edits",
            made,
        )
        with raises(MediaError, "What is no image is a MediaError.", "edits"):
            bound.remove_background(b"no image at all")

    @applies(_lacks("upscale_image"))
    def test_what_enlarges_nothing_says_so(self, bound: Any, result: Any) -> None:
        """Leave ``upscale_image`` to the ABC where the engine cannot: it raises what is expected."""
        contract(not bound.supports("upscale_image"), "supports() knows the verbs.", "edits")
        with raises(UnsupportedError, "A binding that enlarges no images raises UnsupportedError.", "edits"):
            bound.upscale_image(result)

    @applies(_lacks("remove_background"))
    def test_what_removes_no_background_says_so(self, bound: Any, result: Any) -> None:
        """Leave ``remove_background`` to the ABC where the engine cannot."""
        contract(not bound.supports("remove_background"), "supports() knows the verbs.", "edits")
        with raises(UnsupportedError, "A binding that removes no backgrounds raises UnsupportedError.", "edits"):
            bound.remove_background(result)

    @applies(_lacks("edit_images"))
    def test_what_changes_nothing_says_so(self, bound: Any, result: Any) -> None:
        """Leave ``edit_image`` to the ABC where there is no ``edit_images``."""
        contract(not bound.supports("edit_image"), "supports() knows the verbs.", "edits")
        with raises(UnsupportedError, "A binding that changes no images raises UnsupportedError.", "edits"):
            bound.edit_image(result, "a change")

    @applies(lambda suite: any(verb.kind == "edits" for verb in suite.binding.verbs().values()))
    def test_what_changes_media_says_that_it_edits(self, bound: Any) -> None:
        """Mark these verbs with ``content="image"`` or ``"images"``, or ``kind="edits"``."""
        kinds = {name: bound.verbs()[name].kind for name in bound.verbs() if name not in (self.verb,)}
        names = {"edit_images", "upscale_image", "remove_background"} & kinds.keys()
        contract(
            all(kinds[name] == "edits" for name in names), "What changes images has the kind edits.", "edits", kinds
        )
