"""enhance keeps the contract, on real weights, as far as that is about images that are given and not drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, ClassVar

from lollms_enhance import EnhanceTTIBinding
from lollms_modalities.testing.arguments import ArgumentTests
from lollms_modalities.testing.edits import EditTests
from lollms_modalities.testing.identity import IdentityTests
from lollms_modalities.testing.images import ImageTests
from lollms_modalities.testing.leaks import LeakTests
from lollms_modalities.testing.life import LifeTests
from lollms_modalities.testing.process import ProcessTests
from lollms_modalities.testing.results import ResultTests
from lollms_modalities.testing.smoke import SmokeTests
from lollms_modalities.testing.state import StateTests
from lollms_modalities.testing.stopping import StoppingTests
from lollms_modalities.testing.streams import StreamTests
from PIL import Image as pillow


def png(colour: str) -> bytes:
    """A small image, half of it of that colour."""
    picture = pillow.new("RGB", (16, 12), "white")
    picture.paste(colour, (0, 0, 8, 12))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


class GivenImagesSuite(
    EditTests, LeakTests, LifeTests, ProcessTests, StreamTests, StoppingTests, StateTests, ArgumentTests, ResultTests,
    IdentityTests, SmokeTests,
):  # fmt: skip
    """What goes in is an image."""

    verb = "upscale_image"
    content = "image"
    default_sample: ClassVar[Mapping[str, Any]] = {"image": png("red")}
    check = ImageTests.check

    def variants(self) -> list[dict[str, Any]]:
        return [{"image": png(colour)} for colour in ("red", "blue", "green")]

    @classmethod
    def other_values(cls, bound: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"scale": 1.5}

    def differing(self) -> list[list[dict[str, Any]]]:
        return [[{"image": png(colour)} for colour in ("red", "blue", "black")]]


class TestEnhance(GivenImagesSuite):
    binding = EnhanceTTIBinding
    settings = {"n_threads": 1, "enlarger": "realesr-animevideov3-x2"}
    cuts_out = False  # in test_enhance_tti.py: rembg takes a minute at its first import
