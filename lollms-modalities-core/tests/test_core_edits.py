"""Verbs that change images: optional ones, which a binding without them refuses."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_examples.tti import BlocksTTIBinding
from lollms_modalities import (
    CallCancelled,
    CancelToken,
    Image,
    LollmsTTIBinding,
    LollmsTTIBindingManager,
    MediaError,
    OptionError,
    UnsupportedError,
)


class Draws(LollmsTTIBinding):
    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return Image.from_pixels(np.zeros((height, width, 3), np.uint8))

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


@pytest.fixture
def picture() -> Image:
    """A red square on white."""
    pixels = np.full((16, 24, 3), 255, np.uint8)
    pixels[4:12, 8:16] = (200, 0, 0)
    return Image.from_pixels(pixels)


@pytest.mark.parametrize("name", ["upscale_image", "remove_background"])
def test_a_binding_without_the_verb(name: str, picture: Image) -> None:
    draws = Draws()
    assert not draws.supports(name)
    assert name not in draws.verbs()
    assert name not in draws.describe()["methods"]
    with pytest.raises(UnsupportedError, match=name):
        getattr(draws, name)(picture)
    with pytest.raises(UnsupportedError, match=name):
        asyncio.run(getattr(draws, f"a{name}")(picture))
    assert not draws.supports("edit_image")


def test_a_binding_with_them(picture: Image, tmp_path: Path) -> None:
    blocks = BlocksTTIBinding()
    assert all(blocks.supports(name) for name in ("upscale_image", "remove_background", "edit_image", "edit_images"))
    path = picture.save(tmp_path / "x.png")
    given: list[Any] = [picture, path, str(path), bytes(picture), io.BytesIO(picture), base64.b64encode(picture).decode(),
             picture.to_pil()]  # fmt: skip
    for image in given:
        made = blocks.upscale_image(image)
        assert (made.width, made.height) == (48, 32)
    assert blocks.upscale_image(picture, 3).width == 72
    assert blocks.upscale_image(image=picture, scale=1.5, output_format="webp").format == "webp"
    made = blocks.upscale_image(picture, output_path=tmp_path / "y.jpg")
    assert Image((tmp_path / "y.jpg").read_bytes()).width == 48
    assert made.provenance is not None
    assert made.provenance.options["scale"] == 2
    for wrong in (1, 0, 17, "much"):
        with pytest.raises(OptionError, match="scale"):
            blocks.upscale_image(picture, wrong)  # type: ignore[arg-type]
    with pytest.raises(MediaError):
        blocks.upscale_image("no such file.png")
    with pytest.raises(OptionError, match="scale"):
        blocks.upscale_image(picture, scael=2)
    token = CancelToken()
    token.cancel()
    with pytest.raises(CallCancelled):
        blocks.upscale_image(picture, cancel=token)


def test_a_background(picture: Image) -> None:
    made = BlocksTTIBinding().remove_background(picture)
    alpha = np.asarray(made.to_pil().getchannel("A"))
    expected = np.zeros((16, 24), bool)
    expected[4:12, 8:16] = True
    assert made.format == "png"
    assert np.array_equal(alpha > 0, expected)


def test_what_a_camera_held_sideways_took_is_upright(picture: Image, tmp_path: Path) -> None:
    taken = picture.to_pil()
    (exif := taken.getexif())[0x0112] = 6  # to be turned by a quarter when it is looked at
    taken.save(tmp_path / "x.jpg", exif=exif)
    blocks = BlocksTTIBinding()
    for made in (
        blocks.edit_image(tmp_path / "x.jpg", "snow"),
        blocks.remove_background(tmp_path / "x.jpg"),
        blocks.upscale_image(tmp_path / "x.jpg", 1.5),
    ):
        assert (made.width / made.height, made.width) in ((16 / 24, 16), (24 / 36, 24))


def test_awaited(picture: Image) -> None:
    async def main() -> tuple[Image, Image]:
        blocks = BlocksTTIBinding()
        return await blocks.aupscale_image(picture, 2), await blocks.aremove_background(picture)

    large, cut = asyncio.run(main())
    assert (large.width, cut.width) == (48, 24)


def test_isolated(picture: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture.save("x.png")
    with LollmsTTIBindingManager().require_binding("example", isolated=True) as far:
        assert isinstance(far, LollmsTTIBinding)
        assert far.supports("upscale_image")
        assert far.verbs()["upscale_image"].kind == "edits"
        given: list[Any] = ["x.png", Path("x.png"), picture, base64.b64encode(picture).decode(), picture.to_pil()]
        for image in given:
            assert far.upscale_image(image, 2) == BlocksTTIBinding().upscale_image(picture, 2)
        assert far.remove_background(picture) == BlocksTTIBinding().remove_background(picture)
        rows = {row["name"]: row for row in far.get_options("upscale_image")}
        assert (rows["scale"]["min"], rows["scale"]["min_excluded"]) == (1, True)
        with pytest.raises(MediaError):
            far.upscale_image("no such file.png")
        assert asyncio.run(far.aupscale_image(picture, 2)).width == 48
