"""Images, on tiny models of several kinds."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers_models as makers
import numpy as np
import numpy.typing as npt
import pytest
import torch
from lollms_diffusers import DiffusersTTIBinding_Impl, schedulers
from lollms_modalities import (
    BindingDependencyError,
    CallCancelled,
    CancelToken,
    Image,
    MediaError,
    ModelNotFoundError,
    OptionError,
    Progress,
    SettingsError,
    UnsupportedError,
)
from PIL import Image as Pillow
from safetensors.torch import load_file

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks`"),
]
Models = Callable[[str], Path]
SMALL: dict[str, Any] = {"width": 64, "height": 64, "seed": 5}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def bound(path: Path | str, **settings: Any) -> DiffusersTTIBinding_Impl:
    return DiffusersTTIBinding_Impl(
        config={"model_id_or_path": str(path), "n_threads": 1, "num_inference_steps": 3}, **settings
    )


@pytest.fixture(scope="module")
def sd(model: Models) -> Iterator[DiffusersTTIBinding_Impl]:
    with bound(model("sd")) as binding:
        yield binding


@pytest.fixture(scope="module")
def flux(model: Models) -> Iterator[DiffusersTTIBinding_Impl]:
    with bound(model("flux")) as binding:
        yield binding


def pixels(image: Image) -> npt.NDArray[np.int16]:
    return np.asarray(image.to_pil().convert("RGB")).astype(np.int16)


def apart(a: Image, b: Image) -> int:
    """The largest difference of two images in one channel of one pixel."""
    return int(np.abs(pixels(a) - pixels(b)).max())


# --- drawing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux", "pixart"])
def test_the_image_is_the_library_s_own_to_the_pixel(model: Models, kind: str) -> None:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(model(kind), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator("cpu").manual_seed(5)
    alone = pipe("a red square", width=64, height=64, num_inference_steps=3, generator=generator).images[0]
    with bound(model(kind)) as binding:
        image = binding.generate_image("a red square", **SMALL)
        assert (pixels(image) == np.asarray(alone)).all()
        assert image == binding.generate_image("a red square", **SMALL)
        assert image != binding.generate_image("a blue circle", **SMALL)
        assert image != binding.generate_image("a red square", **{**SMALL, "seed": 6})
        made = image.provenance
        assert made is not None
        assert (made.binding, made.engine, made.seed, made.model) == ("diffusers", "diffusers", 5, str(model(kind)))
        assert made.extra["pipeline"] == type(pipe).__name__


def test_without_a_size_it_is_the_model_s_own_or_the_setting_s(model: Models, sd: DiffusersTTIBinding_Impl) -> None:
    assert (sd.generate_image("x").width, sd.generate_image("x").height) == (64, 64)
    with bound(model("sd"), default_width=72, default_height=40) as binding:
        image = binding.generate_image("x")
        assert (image.width, image.height) == (72, 40)
        assert binding.generate_image("x", height=48).height == 48


def test_steps_guidance_and_seed_are_settings_and_options(model: Models, sd: DiffusersTTIBinding_Impl) -> None:
    expected = sd.generate_image("x", **SMALL, num_inference_steps=2, guidance_scale=3.0)
    with bound(model("sd"), seed=5, guidance_scale=3.0) as binding:
        image = binding.generate_image("x", width=64, height=64, num_inference_steps=2)
        assert image == expected
        assert image.provenance is not None
        assert image.provenance.options["guidance_scale"] == 3.0
        assert binding.generate_image("x", **{**SMALL, "seed": -1}) != binding.generate_image(
            "x", **{**SMALL, "seed": 6}
        )
    assert sd.generate_image("x", **SMALL) != expected


def test_several_images_are_a_batch_each_with_the_next_seed(sd: DiffusersTTIBinding_Impl) -> None:
    seen: list[Progress] = []
    images = sd.generate_images("x", n=5, batch_size=2, **SMALL, progress=seen.append)
    assert len({bytes(image) for image in images}) == 5
    for number, image in enumerate(images):
        # The order of sums in a batch differs from that of one image: a rounding, not another picture.
        assert apart(image, sd.generate_image("x", **{**SMALL, "seed": 5 + number})) <= 2
    assert images[0].provenance is not None
    assert images[0].provenance.extra["seeds"] == [5, 6, 7, 8, 9]
    assert [p.done for p in seen] == list(range(10))
    assert seen[-1].total == 9
    with pytest.raises(OptionError, match="'n'"):
        sd.generate_images("x", n=0)


def test_formats_and_paths(sd: DiffusersTTIBinding_Impl, tmp_path: Path) -> None:
    assert sd.generate_image("x", **SMALL, output_format="webp").format == "webp"
    image = sd.generate_image("x", **SMALL, output_path=tmp_path / "x.jpg")
    with Pillow.open(tmp_path / "x.jpg") as saved:
        assert (saved.format, saved.size) == ("JPEG", (64, 64))
    assert image.path == tmp_path / "x.jpg"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision(model: Models, precision: str, sd: DiffusersTTIBinding_Impl) -> None:
    with bound(model("sd"), torch_dtype_str=precision) as half:
        assert half.list_services()[0]["caption"] == "StableDiffusionPipeline"
        image = half.generate_image("x", **SMALL)
        assert half.list_services()[0]["precision"] == precision
        difference = np.abs(pixels(image) - pixels(sd.generate_image("x", **SMALL))).mean()
        assert 0 < difference < 12


# --- negative prompts -----------------------------------------------------------------------------------------------


def test_a_negative_prompt_where_the_model_has_one(sd: DiffusersTTIBinding_Impl) -> None:
    plain = sd.generate_image("x", **SMALL)
    assert sd.generate_image("x", "red", **SMALL) != plain
    assert sd.generate_image("x", "  ", **SMALL) == plain
    with pytest.warns(UserWarning, match=r"heeds one where guidance_scale is above 1, and it is 1\."):
        sd.generate_image("x", "red", **SMALL, guidance_scale=1)


def test_a_model_without_negative_prompt_says_so(model: Models, flux: DiffusersTTIBinding_Impl) -> None:
    with bound(model("lcm")) as lcm:
        plain = lcm.generate_image("x", **SMALL)
        with pytest.warns(UserWarning, match="LatentConsistencyModelPipeline has no negative prompt: it is ignored"):
            assert lcm.generate_image("x", "red", **SMALL) == plain
    with pytest.warns(UserWarning, match="true_cfg_scale is above 1"):
        plain = flux.generate_image("x", "red", **SMALL)
    assert flux.generate_image("x", "red", **SMALL, true_cfg_scale=3.0) != plain
    with bound(model("sd")) as binding, pytest.raises(OptionError, match="'true_cfg_scale': StableDiffusionPipeline"):
        binding.generate_image("x", true_cfg_scale=2.0)


def test_a_prompt_that_is_not_read_whole_says_so(sd: DiffusersTTIBinding_Impl, flux: DiffusersTTIBinding_Impl) -> None:
    with pytest.warns(UserWarning, match=r"has 202 tokens, of which StableDiffusionPipeline reads the first 77"):
        sd.generate_image("x" * 200, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        flux.generate_image("x" * 200, **SMALL)  # its second encoder reads 512


# --- schedulers -----------------------------------------------------------------------------------------------------


def test_the_names_that_users_know(sd: DiffusersTTIBinding_Impl) -> None:
    plain = sd.generate_image("x", **SMALL)
    own = sd.model.pipe.scheduler
    names = schedulers.names_for(own)
    assert {"dpm++_2m_karras", "euler_ancestral", "ddim", "unipc", "heun", "pndm"} <= set(names)
    for name in names:
        image = sd.generate_image("x", **SMALL, scheduler_name=name)
        assert image.provenance is not None
        assert image.provenance.extra["scheduler"].startswith(schedulers.ALIASES[name][0])
        assert name == "euler" or image != plain, name
    assert sd.generate_image("x", **SMALL) == plain, "the model's own is back"
    karras = sd.generate_image("x", **SMALL, scheduler_name="dpm++_2m_karras")
    assert karras != sd.generate_image("x", **SMALL, scheduler_name="dpm++_2m")
    for name in ("DPM++ 2M Karras", "dpm_multistep_karras"):
        assert sd.generate_image("x", **SMALL, scheduler_name=name) == karras
    euler = sd.generate_image("x", **SMALL, scheduler_name="euler_ancestral_discrete")
    assert euler == sd.generate_image("x", **SMALL, scheduler_name="EulerAncestralDiscreteScheduler")


def test_what_the_model_does_not_take_is_refused(
    model: Models, sd: DiffusersTTIBinding_Impl, flux: DiffusersTTIBinding_Impl
) -> None:
    with pytest.raises(OptionError, match=r"does not take 'ddim'\. It takes: flow_match_euler\."):
        flux.generate_image("x", **SMALL, scheduler_name="ddim")
    assert flux.generate_image("x", **SMALL, scheduler_name="euler") == flux.generate_image("x", **SMALL)
    with pytest.raises(OptionError, match=r"no scheduler 'eulr'.*Did you mean 'euler'"):
        sd.generate_image("x", **SMALL, scheduler_name="eulr")
    with pytest.raises(OptionError, match="does not take 'FlowMatchEulerDiscreteScheduler'"):
        sd.generate_image("x", **SMALL, scheduler_name="FlowMatchEulerDiscreteScheduler")
    with pytest.raises(BindingDependencyError, match="needs torchsde"):
        sd.generate_image("x", **SMALL, scheduler_name="dpm++_sde")
    with bound(model("sd"), scheduler_name="ddim") as binding:
        image = binding.generate_image("x", **SMALL)
        assert image == sd.generate_image("x", **SMALL, scheduler_name="ddim")
        assert binding.generate_image("x", **SMALL, scheduler_name="default") == sd.generate_image("x", **SMALL)


# --- changing images ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo() -> Image:
    """Bars of colour, 64x64."""
    columns = np.arange(64) // 16
    return Image.from_pixels(np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [250, 250, 0]], np.uint8)[[columns] * 64])


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_an_image_is_changed_with_the_same_weights(model: Models, kind: str, photo: Image) -> None:
    from diffusers import AutoPipelineForImage2Image

    with bound(model(kind)) as binding:
        (image,) = binding.edit_image("x", image=photo, strength=0.7, seed=5)
        pipe = AutoPipelineForImage2Image.from_pipe(binding.model.pipe)
        generator = torch.Generator("cpu").manual_seed(5)
        size = {"width": 64, "height": 64} if kind == "flux" else {}
        alone = pipe(
            "x", image=photo.to_pil(), strength=0.7, num_inference_steps=3, generator=generator, **size
        ).images[0]
        assert (pixels(image) == np.asarray(alone)).all()
        mine = binding.model.to_change(masked=False)
        for name in ("vae", "text_encoder", "unet" if kind != "flux" else "transformer"):
            assert (
                getattr(mine, name)
                is getattr(binding.model.pipe, name)
                is getattr(binding.model.to_change(masked=True), name)
            )
        first, second = binding.edit_image("x", image=bytes(photo), n=2, seed=5, strength=0.7)
        assert first != second


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_a_mask_says_where(model: Models, kind: str, photo: Image) -> None:
    see_through = np.full((64, 64, 4), 255, np.uint8)
    see_through[:32, :, 3] = 0
    white = np.zeros((32, 32), np.uint8)  # of another size
    white[:16] = 255
    with bound(model(kind)) as binding:
        for mask in (see_through, white):
            (image,) = binding.edit_image("x", image=photo, mask=Image.from_pixels(mask), seed=5)
            before, after = pixels(photo), pixels(image)
            assert (after[32:] == before[32:]).all()
            assert (after[:32] != before[:32]).any(axis=2).mean() > 0.9
        (whole,) = binding.edit_image("x", image=photo, seed=5, strength=0.7)
        assert (pixels(whole)[32:] != pixels(photo)[32:]).any()


def test_an_image_keeps_its_size_and_stands_upright(sd: DiffusersTTIBinding_Impl, photo: Image, tmp_path: Path) -> None:
    (image,) = sd.edit_image("x", image=Image.from_pil(photo.to_pil().resize((70, 50))))
    assert (image.width, image.height) == (72, 48)
    (image,) = sd.edit_image("x", image=photo, width=40, height=48)
    assert (image.width, image.height) == (40, 48)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # lies on its side
    photo.to_pil().resize((64, 32)).save(tmp_path / "x.jpg", exif=exif)
    (image,) = sd.edit_image("x", image=tmp_path / "x.jpg")
    assert (image.width, image.height) == (32, 64)


def test_what_cannot_be_changed_is_told(sd: DiffusersTTIBinding_Impl, model: Models, photo: Image) -> None:
    with pytest.raises(OptionError, match=r"strength 0\.1 of 3 steps is less than one step.*at least 0\.34"):
        sd.edit_image("x", image=photo, strength=0.1)
    with pytest.raises(OptionError, match="image"):
        sd.edit_image("x")
    with pytest.raises(MediaError, match="no image"):
        sd.edit_image("x", image=b"no image at all")
    with pytest.raises(OptionError, match=r"There is no media file .no/such\.png"):
        sd.edit_image("x", image=photo, mask="no/such.png")
    with pytest.raises(OptionError, match="multiples of 8"):
        sd.edit_image("x", image=photo, width=63)
    with (
        bound(model("pixart")) as pixart,
        pytest.raises(UnsupportedError, match="PixArtSigmaPipeline changes no images"),
    ):
        pixart.edit_image("x", image=photo)


def test_a_pipeline_for_changing_draws_as_well(model: Models, sd: DiffusersTTIBinding_Impl) -> None:
    with bound(model("sd"), pipeline_class_name="StableDiffusionImg2ImgPipeline") as binding:
        assert binding.generate_image("x", **SMALL) == sd.generate_image("x", **SMALL)


# --- progress and stopping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sd", "flux", pytest.param("pixart", marks=pytest.mark.full)])
def test_progress_by_steps_and_cancel_at_one(model: Models, kind: str) -> None:
    with bound(model(kind)) as binding:
        seen: list[Progress] = []
        whole = binding.generate_image("x", **SMALL, num_inference_steps=6, progress=seen.append)
        assert [(p.done, p.total, p.unit) for p in seen] == [(n, 6, "step") for n in range(7)]
        token, before = CancelToken(), list[float]()

        def cancel(progress: Progress) -> None:
            before.append(progress.done)
            if progress.done == 2:
                token.cancel()

        with pytest.raises(CallCancelled):
            binding.generate_image("x", **SMALL, num_inference_steps=6, progress=cancel, cancel=token)
        assert before == [0, 1, 2]
        assert binding.generate_image("x", **SMALL, num_inference_steps=6) == whole


def test_a_scheduler_that_counts_otherwise_comes_to_its_end(sd: DiffusersTTIBinding_Impl) -> None:
    seen: list[Progress] = []
    sd.generate_image("x", **SMALL, scheduler_name="heun", progress=seen.append)
    assert (seen[-1].done, seen[-1].total) == (5, 5)


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_previews_where_asked(model: Models, kind: str) -> None:
    with bound(model(kind)) as binding:
        seen: list[Progress] = []
        image = binding.generate_image("x", **SMALL, num_inference_steps=4, preview_every=2, progress=seen.append)
        shown = {p.done: p.preview for p in seen if p.preview is not None}
        assert list(shown) == [2, 4]
        assert apart(shown[4], image) <= 1, "the last one is the image"
        assert apart(shown[2], image) > 3
        seen.clear()
        assert binding.generate_image("x", **SMALL, num_inference_steps=4, progress=seen.append) == image
        assert not any(p.preview for p in seen)


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_a_size_that_cannot_be_made_says_which_can(model: Models, kind: str) -> None:
    with bound(model(kind)) as binding:
        with pytest.raises(OptionError, match=r"cannot make 65x90 pixels.*multiples of 8; the nearest is 64x88"):
            binding.generate_image("x", width=65, height=90)
        with pytest.raises(OptionError, match="width"):
            binding.generate_image("x", width=100_000)


# --- LoRA -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lora(model: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return makers.lora(model("sd"), tmp_path_factory.mktemp("loras") / "style")


def test_a_lora_is_put_on_and_taken_off(
    sd: DiffusersTTIBinding_Impl, lora: Path, model: Models, tmp_path: Path
) -> None:
    plain = sd.generate_image("x", **SMALL)
    full = sd.generate_image("x", **SMALL, loras={str(lora): 1.0})
    half = sd.generate_image("x", **SMALL, loras={str(lora): 0.5})
    assert len({bytes(plain), bytes(full), bytes(half)}) == 3
    assert sd.list_services()[0]["loras"] == str(lora)
    assert apart(sd.generate_image("x", **SMALL, loras={str(lora): 0.0}), plain) <= 1
    assert sd.generate_image("x", **SMALL) == plain
    other = makers.lora(model("sd"), tmp_path / "other", seed=2)
    both = sd.generate_image("x", **SMALL, loras={str(lora): 1.0, str(other): 1.0})
    assert both not in (plain, full)
    assert sd.generate_image("x", **SMALL, loras={str(lora.parent): 1.0}) == full
    assert sd.generate_image("x", **SMALL) == plain
    shutil.copytree(other.parent, tmp_path / "others" / "style")
    with (
        bound(model("sd"), models_path=lora.parent.parent, loras={"style": 1.0}) as binding,
        bound(model("sd"), models_path=tmp_path / "others", loras={"style": 1.0}) as another,
    ):
        assert binding.generate_image("x", **SMALL) == full
        assert another.generate_image("x", **SMALL) not in (full, plain), "the same name, another file"
        assert binding.generate_image("x", **SMALL) == full
        assert binding.generate_image("x", **SMALL, loras={}) == plain


def test_a_lora_that_is_none_leaves_the_model_as_it_was(
    sd: DiffusersTTIBinding_Impl, flux: DiffusersTTIBinding_Impl, lora: Path, tmp_path: Path
) -> None:
    plain = sd.generate_image("x", **SMALL)
    (tmp_path / "damaged.safetensors").write_bytes(b"x" * 100)
    torch.save({"unet.lora": torch.zeros(2)}, tmp_path / "pickled.bin")
    for name in ("no/such", "../x", str(tmp_path / "no"), str(tmp_path / "pickled.bin"), "a\0b", "", "x" * 500):
        with pytest.raises(ModelNotFoundError):
            sd.generate_image("x", **SMALL, loras={name: 1.0})
    for place in (tmp_path / "damaged.safetensors",):
        with pytest.raises((ModelNotFoundError, UnsupportedError), match="damaged"):
            sd.generate_image("x", **SMALL, loras={str(lora): 1.0, str(place): 1.0})
    assert sd.generate_image("x", **SMALL) == plain
    drawn = flux.generate_image("x", **SMALL)
    with pytest.raises(UnsupportedError, match="does not fit FluxPipeline"):
        flux.generate_image("x", **SMALL, loras={str(lora): 1.0})
    assert flux.generate_image("x", **SMALL) == drawn


# --- what a model brings --------------------------------------------------------------------------------------------


def test_the_safety_checker_is_on_unless_it_is_off(tmp_path: Path) -> None:
    path = makers.stable_diffusion(tmp_path / "checked", checker=True)
    with bound(path) as binding:
        with pytest.warns(UserWarning, match="blacked out 1 of 1"):
            image = binding.generate_image("x", **SMALL)
        assert not pixels(image).any()
        assert image.provenance is not None
        assert image.provenance.extra["safety_checker"] == "1 of 1 blacked out"
    shutil.rmtree(path / "safety_checker")  # it is not even looked for
    with bound(path, safety_checker_on=False) as binding:
        assert pixels(binding.generate_image("x", **SMALL)).any()
    with bound(path) as binding, pytest.raises(ModelNotFoundError):
        binding.load()


def test_list_services_describes_what_is_loaded(model: Models, tmp_path: Path) -> None:
    (tmp_path / "diffusers_models").mkdir()
    for kind in ("sd", "flux"):
        shutil.copytree(model(kind), tmp_path / "diffusers_models" / kind)
    with bound("sd", lollms_paths={"personal_models_path": tmp_path}) as binding:
        assert [(s["name"], s["caption"], s["help"]) for s in binding.list_services()] == [
            ("sd", "StableDiffusionPipeline", "Not loaded."), ("flux", "FluxPipeline", "Not loaded."),
        ]  # fmt: skip
        binding.load()
        first, second = binding.list_services()
        assert first["help"].startswith("Loaded. pipeline: StableDiffusionPipeline; device: cpu; precision: float32")
        assert (first["scheduler"], first["sides"]) == ("EulerDiscreteScheduler", "multiples of 8")
        assert (first["negative_prompt"], second["help"]) == ("yes", "Not loaded.")
        assert all(isinstance(value, str) for row in (first, second) for value in row.values())


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_come_in_config_or_as_keywords_but_not_in_both(model: Models) -> None:
    import inspect

    path = str(model("sd"))
    for binding in (
        DiffusersTTIBinding_Impl(config={"model_id_or_path": path, "seed": 3}),
        DiffusersTTIBinding_Impl({"model_id_or_path": path}, None, seed=3),
        DiffusersTTIBinding_Impl(model_id_or_path=path, seed=3),
    ):
        assert (binding.settings.model_id_or_path, binding.settings.seed) == (path, 3)
    with pytest.raises(SettingsError, match="'seed': given in config and as a keyword") as caught:
        DiffusersTTIBinding_Impl(config={"seed": 3}, seed=3)
    assert caught.value.names == ["seed"]  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match="'lollms_paths': given in config"):
        DiffusersTTIBinding_Impl({"lollms_paths": {}}, {})
    with pytest.raises(SettingsError, match="Did you mean 'scheduler_name'"):
        DiffusersTTIBinding_Impl(config={"scheduler_nam": "ddim"})
    with pytest.raises(SettingsError, match="config is str"):
        DiffusersTTIBinding_Impl("sd")  # type: ignore[arg-type]
    documented = (
        "model_id_or_path device torch_dtype_str use_safetensors scheduler_name safety_checker_on num_inference_steps "
        "guidance_scale default_width default_height seed enable_cpu_offload enable_sequential_cpu_offload "
        "enable_xformers hf_variant hf_token local_files_only pipeline_class_name"
    ).split()
    signature = inspect.signature(DiffusersTTIBinding_Impl)
    assert list(signature.parameters)[:2] == ["config", "lollms_paths"]
    assert {*documented} <= set(signature.parameters)
    assert {*documented} <= {row["name"] for row in DiffusersTTIBinding_Impl().get_settings()}


def test_models_are_looked_up_before_the_hub(model: Models, tmp_path: Path) -> None:
    personal, zoo = tmp_path / "personal", tmp_path / "zoo"
    shutil.copytree(model("sd"), personal / "diffusers_models" / "owner" / "mine")
    shutil.copytree(model("sd"), zoo / "theirs")
    paths = {"personal_models_path": personal, "models_zoo_path": str(zoo), "other": None}
    for name, place in (("owner/mine", personal / "diffusers_models" / "owner" / "mine"), ("theirs", zoo / "theirs")):
        with bound(name, lollms_paths=paths) as binding:
            assert binding.list_models()[:2] == ["owner/mine", "theirs"]
            image = binding.generate_image("x", **SMALL)
            assert image.provenance is not None
            assert image.provenance.model == str(place)


def test_two_bindings_hold_one_copy(model: Models, sd: DiffusersTTIBinding_Impl) -> None:
    sd.load()
    with bound(model("sd"), guidance_scale=2.0) as other:
        other.load()
        assert other.model is sd.model
    with bound(model("sd"), torch_dtype_str="bfloat16") as half:
        half.load()
        assert half.model is not sd.model


def test_a_variant_of_the_files(model: Models, tmp_path: Path) -> None:
    path = makers.stable_diffusion(tmp_path / "sd", variant="fp16")
    with bound(path, hf_variant="fp16") as binding:
        binding.generate_image("x", **SMALL)
    with bound(path) as binding, pytest.raises(ModelNotFoundError):
        binding.load()


def test_what_needs_an_accelerator_says_so(model: Models) -> None:
    for name in ("enable_cpu_offload", "enable_sequential_cpu_offload"):
        with (
            bound(model("sd"), device="cpu", **{name: True}) as binding,
            pytest.raises(BindingDependencyError, match="the model runs on the processor"),
        ):
            binding.generate_image("x", **SMALL)
    both = {"enable_cpu_offload": True, "enable_sequential_cpu_offload": True}
    with pytest.raises(SettingsError, match="Choose one"):
        bound(model("sd"), **both)
    with bound(model("sd")) as binding:
        binding.load()
        with pytest.raises(SettingsError, match="Choose one"):
            binding.set_settings(both)
        assert not binding.settings.enable_cpu_offload
    with (
        bound(model("sd"), device="cpu", enable_xformers=True) as binding,
        pytest.raises(BindingDependencyError, match="enable_xformers was asked for"),
    ):
        binding.load()
    with bound(model("sd"), device="cuda:63") as binding, pytest.raises(BindingDependencyError, match="cuda:63"):
        binding.load()


def test_the_attention_s_back_end(model: Models, flux: DiffusersTTIBinding_Impl) -> None:
    with bound(model("flux"), attention_backend="native") as binding:
        assert binding.generate_image("x", **SMALL) == flux.generate_image("x", **SMALL)
    with (
        bound(model("flux"), attention_backend="nativ") as binding,
        pytest.raises(SettingsError, match="attention_backend"),
    ):
        binding.load()
    with (
        bound(model("flux"), attention_backend="flash") as binding,
        pytest.raises(BindingDependencyError, match="flash"),
    ):
        binding.load()


def test_an_attention_that_the_model_would_not_heed_is_refused(model: Models, sd: DiffusersTTIBinding_Impl) -> None:
    with bound(model("sd"), attention_backend="native") as binding:
        assert binding.generate_image("x", **SMALL) == sd.generate_image("x", **SMALL)
    for kind in ("sd", "sdxl"):
        with (
            bound(model(kind), attention_backend="_native_math") as binding,
            pytest.raises(UnsupportedError, match="UNet2DConditionModel has no other"),
        ):
            binding.load()


def test_the_attention_of_one_model_is_not_that_of_the_next(model: Models) -> None:
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    before = _AttentionBackendRegistry.get_active_backend()[0]
    with bound(model("flux"), attention_backend="_native_math") as binding:
        binding.load()
        kinds = {
            module.processor._attention_backend.value
            for module in binding.model.pipe.transformer.modules()
            if hasattr(module, "processor")
        }
        assert kinds == {"_native_math"}
        assert _AttentionBackendRegistry.get_active_backend()[0] == before


def test_compiling_is_asked_of_torch(model: Models, sd: DiffusersTTIBinding_Impl) -> None:
    with bound(model("sd"), enable_compile=True) as binding:
        binding.load()
        assert binding.model.pipe.unet._compiled_call_impl is not None
        # Compiling itself takes minutes; what was to be compiled runs as it is.
        with torch.compiler.set_stance("force_eager"):
            assert binding.generate_image("x", **SMALL) == sd.generate_image("x", **SMALL)


def test_the_class_of_the_pipeline(model: Models) -> None:
    with bound(model("sd"), pipeline_class_name="StableDiffusionPipeline") as binding:
        binding.load()
    for name in ("StableDiffusionPipelin", "UNet2DConditionModel", "os", "a.b"):
        with bound(model("sd"), pipeline_class_name=name) as binding, pytest.raises(SettingsError, match="no pipeline"):
            binding.load()


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["no-such/model-anywhere", "no-such-model", "/no/such", "../x", "x" * 300, "a\0b", ""])
def test_an_unknown_model_fails_soon_and_says_what_to_do(name: str, sd: DiffusersTTIBinding_Impl) -> None:
    sd.load()  # torch and diffusers are imported
    with bound(name) as binding:
        start = time.perf_counter()
        with pytest.raises(ModelNotFoundError) as caught:
            binding.generate_image("x")
        assert time.perf_counter() - start < 20, "the goal is two seconds"
        assert caught.value.hint
        assert len(str(caught.value)) < 1000


def test_a_damaged_file_is_told(model: Models, tmp_path: Path) -> None:
    shutil.copytree(model("sd"), tmp_path / "sd")
    weights = tmp_path / "sd" / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with bound(tmp_path / "sd") as binding, pytest.raises(ModelNotFoundError, match="cannot be loaded"):
        binding.load()


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("open('trapped', 'w')",)


def test_pickles(model: Models, sd: DiffusersTTIBinding_Impl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sd"
    shutil.copytree(model("sd"), path)
    weights = path / "unet" / "diffusion_pytorch_model.bin"
    torch.save(load_file(weights.with_suffix(".safetensors")), weights)
    weights.with_suffix(".safetensors").unlink()
    with bound(path) as binding, pytest.raises(ModelNotFoundError, match="safetensors"):
        binding.load()
    with bound(path, use_safetensors=False) as binding:
        assert binding.generate_image("x", **SMALL) == sd.generate_image("x", **SMALL)
    torch.save({"conv_in.weight": Trap()}, weights)
    with bound(path, use_safetensors=False) as binding, pytest.raises(ModelNotFoundError):
        binding.load()
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("where", ["pipeline", "part", "disguised part", "library"])
def test_code_that_a_model_brings_is_never_run(
    model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sd"
    shutil.copytree(model("sd"), path)
    index = json.loads((path / "model_index.json").read_text())
    trap = "open('trapped', 'w')\nfrom diffusers import UNet2DConditionModel as Mine, StableDiffusionPipeline as MinePipe\n"
    if where == "pipeline":
        index["_class_name"] = ["mine", "MinePipe"]
        (path / "mine.py").write_text(trap)
    elif where == "library":
        index["unet"] = ["this", "Mine"]  # any module of Python's
    else:
        library = "mine" if where == "part" else "diffusers"
        index["unet"] = [library, "Mine"]
        (path / "unet" / f"{library}.py").write_text(trap)
    (path / "model_index.json").write_text(json.dumps(index))
    with bound(path) as binding, pytest.raises(ModelNotFoundError, match=r"never run|custom code in diffusers\.py"):
        binding.load()
    assert not (tmp_path / "trapped").exists()
    assert "this" not in sys.modules


def test_with_a_path_nothing_tries_the_network(model: Models) -> None:
    program = (
        "import socket, sys, warnings\n"
        "def refuse(*args, **kwargs): raise AssertionError('the network was tried')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from lollms_diffusers import DiffusersTTIBinding_Impl\n"
        "with DiffusersTTIBinding_Impl(model_id_or_path=sys.argv[1], n_threads=1, num_inference_steps=2) as binding:\n"
        "    image = binding.generate_image('x', width=64, height=64)\n"
        "    binding.edit_image('x', image=image, seed=1)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(model("sd"))],
        capture_output=True, text=True, timeout=300, env=environment, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "and it prints nothing"


def test_what_the_libraries_say_is_logged(sd: DiffusersTTIBinding_Impl, capfd: pytest.CaptureFixture[str]) -> None:
    heard, logger = io.StringIO(), logging.getLogger("lollms_modalities.engine")
    handler = logging.StreamHandler(heard)
    logger.addHandler(handler)
    try:
        with pytest.warns(UserWarning, match="202 tokens"):
            sd.generate_image("y" * 200, **SMALL)
    finally:
        logger.removeHandler(handler)
    assert "truncated" in heard.getvalue()
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_import_and_lists_load_nothing() -> None:
    program = (
        "import sys, lollms_diffusers as d\n"
        "for binding in (d.DiffusersTTIBinding_Impl(), d.DiffusersTTVBinding()):\n"
        "    binding.list_models(), binding.get_settings(), binding.describe(), binding.capabilities\n"
        "    getattr(binding, 'list_services', list)()\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'av', 'peft'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_readme_s_example_runs(model: Models, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    program = program.replace("stable-diffusion-v1-5/stable-diffusion-v1-5", str(model("sd")))
    program = program.replace("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", str(model("wan")))
    program = program.replace("ACE-Step/acestep-v15-xl-turbo-diffusers", str(model("ace_step")))
    for large, small in (
        ("832", "64"),
        ("480", "32"),
        ("512", "64"),
        ("duration=20", "duration=1"),
        ("duration=2", "duration=0.5"),
    ):
        program = program.replace(large, small)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Loaded. pipeline: StableDiffusionPipeline" in done.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"lighthouse.png", "waves.mp4", "waltz.flac"}
