"""Images that are enlarged, by tiny models of Stable Diffusion's two upscalers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lollms_diffusers import DiffusersTTIBinding_Impl
from lollms_modalities import (
    CallCancelled,
    CancelToken,
    Image,
    LollmsTTIBindingManager,
    OptionError,
    Progress,
    UnsupportedError,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
SETTINGS: dict[str, Any] = {"n_threads": 1, "num_inference_steps": 2}


@pytest.fixture(scope="module", params=[("upscaler", 4), ("latent_upscaler", 2)], ids=lambda p: p[0])
def either(model: Callable[[str], Path], request: pytest.FixtureRequest) -> Iterator[tuple[Any, int, Path]]:
    kind, scale = request.param
    path = model(kind)
    with DiffusersTTIBinding_Impl({"model_id_or_path": str(path), **SETTINGS}) as binding:
        yield binding, scale, path


def picture(width: int, height: int) -> Image:
    return Image.from_pixels(np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8))


def test_it_is_what_the_library_makes(either: tuple[Any, int, Path]) -> None:
    from diffusers import DiffusionPipeline

    binding, scale, path = either
    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    image = picture(64, 64)
    expected = pipe(
        prompt="a cat", image=image.to_pil(), num_inference_steps=2, generator=torch.Generator("cpu").manual_seed(5)
    ).images[0]
    made = binding.upscale_image(image, prompt="a cat", seed=5)
    assert (made.width, made.height) == (64 * scale, 64 * scale)
    assert np.array_equal(np.asarray(made.to_pil()), np.asarray(expected))
    assert made.provenance is not None
    assert made.provenance.extra["scale"] == scale
    assert made.provenance.extra["pipeline"] == type(pipe).__name__
    assert made.provenance.seed == 5


@pytest.mark.parametrize(("width", "height"), [(64, 64), (50, 37), (1, 1), (65, 8)])
def test_sides_of_any_length(either: tuple[Any, int, Path], width: int, height: int) -> None:
    binding, scale, _ = either
    made = binding.upscale_image(picture(width, height), seed=1)
    assert (made.width, made.height) == (width * scale, height * scale)


def test_options(either: tuple[Any, int, Path]) -> None:
    binding, scale, _ = either
    image = picture(64, 64)
    assert binding.upscale_image(image, scale, seed=1) == binding.upscale_image(image, seed=1)
    assert binding.upscale_image(image, seed=1) != binding.upscale_image(image, seed=2)
    assert binding.upscale_image(image, seed=1, negative_prompt="blur") != binding.upscale_image(image, seed=1)
    with pytest.raises(OptionError, match=f"{scale} times"):
        binding.upscale_image(image, scale=3)
    if scale == 4:
        assert binding.upscale_image(image, seed=1, noise_level=100) != binding.upscale_image(image, seed=1)
    else:
        with pytest.raises(OptionError, match="noise_level"):
            binding.upscale_image(image, noise_level=100)


def test_progress_and_cancel(either: tuple[Any, int, Path]) -> None:
    binding, _, _ = either
    seen: list[Progress] = []
    binding.upscale_image(picture(64, 64), num_inference_steps=3, progress=seen.append)
    assert [(p.done, p.total) for p in seen][-1] == (3, 3)
    token = CancelToken()
    with pytest.raises(CallCancelled):
        binding.upscale_image(picture(64, 64), num_inference_steps=50, progress=lambda p: token.cancel(), cancel=token)
    assert binding.upscale_image(picture(64, 64)).width > 64


def test_it_draws_and_changes_nothing(either: tuple[Any, int, Path]) -> None:
    binding, _, _ = either
    with pytest.raises(UnsupportedError, match="draws none"):
        binding.generate_image("a cat")
    with pytest.raises(UnsupportedError, match="upscale_image"):
        binding.edit_image(picture(64, 64), "a cat")


def test_a_model_that_draws_enlarges_nothing(model: Callable[[str], Path]) -> None:
    with DiffusersTTIBinding_Impl({"model_id_or_path": str(model("sd")), **SETTINGS}) as binding:
        with pytest.raises(UnsupportedError, match="x4-upscaler"):
            binding.upscale_image(picture(64, 64))
        with pytest.raises(UnsupportedError, match="remove_background"):
            binding.remove_background(picture(64, 64))


@pytest.mark.full
def test_isolated(either: tuple[Any, int, Path]) -> None:
    binding, _, path = either
    manager = LollmsTTIBindingManager()
    with manager.require_binding("diffusers", isolated=True, config={"model_id_or_path": str(path), **SETTINGS}) as far:
        image = picture(64, 64)
        assert far.upscale_image(image, seed=3) == binding.upscale_image(image, seed=3)
