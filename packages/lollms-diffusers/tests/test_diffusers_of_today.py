"""The models that lists name today, each kind on a tiny checkpoint of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers_of_today import FILMS, IMAGES
from kept import made_by
from lollms_diffusers import DiffusersTTIBinding_Impl, DiffusersTTVBinding
from lollms_modalities import CallCancelled, CancelToken, Image, OptionError, Progress, UnsupportedError, Video

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
HOW: dict[str, Any] = {"n_threads": 1, "num_inference_steps": 3}
FILM: dict[str, Any] = {"width": 64, "height": 32, "num_frames": 9, "seed": 5}
PIPELINES = {
    "z_image": "ZImagePipeline", "qwen_image": "QwenImagePipeline", "wan_22": "WanPipeline", "wan_22_5b": "WanPipeline",
    "hunyuan_15": "HunyuanVideo15Pipeline",
}  # fmt: skip


def library_s(path: Path) -> Any:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module", params=IMAGES)
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = made_by(IMAGES[request.param], tmp_path_factory.mktemp("today") / request.param)
    with DiffusersTTIBinding_Impl({"model_id_or_path": str(path)}, **HOW) as binding:
        yield binding, path


@pytest.fixture(scope="module", params=FILMS)
def films(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = made_by(FILMS[request.param], tmp_path_factory.mktemp("today") / request.param)
    with DiffusersTTVBinding({"model_id_or_path": str(path)}, **HOW) as binding:
        yield binding, path


def test_an_image_is_the_library_s_own(images: tuple[DiffusersTTIBinding_Impl, Path]) -> None:
    binding, path = images
    generator = torch.Generator("cpu").manual_seed(5)
    alone = library_s(path)("a red square", width=64, height=64, num_inference_steps=3, generator=generator).images[0]
    made = binding.generate_image("a red square", width=64, height=64, seed=5)
    assert np.array_equal(np.asarray(made.to_pil()), np.asarray(alone))
    assert made.provenance is not None
    assert made.provenance.extra["pipeline"] == PIPELINES[path.name]
    assert binding.generate_image("a red square", width=64, height=64, seed=6) != made
    assert binding.generate_image("a blue one", width=64, height=64, seed=5) != made
    assert len({bytes(one) for one in binding.generate_images("x", n=2, width=64, height=64, seed=1)}) == 2


def test_negative_prompts_of_images(images: tuple[DiffusersTTIBinding_Impl, Path]) -> None:
    binding, path = images
    how: dict[str, Any] = {"width": 64, "height": 64, "seed": 5}
    how |= {"true_cfg_scale": 4.0} if path.name == "qwen_image" else {"guidance_scale": 4.0}
    assert binding.generate_image("x", "blur", **how) != binding.generate_image("x", **how)
    off = {name: 1.0 if name.endswith("scale") else value for name, value in how.items()}
    with pytest.warns(UserWarning, match="heeds one where"):
        binding.generate_image("x", "blur", **off)


def test_a_film_is_the_library_s_own(films: tuple[DiffusersTTVBinding, Path]) -> None:
    binding, path = films
    made = library_s(path)(
        "a ball", width=64, height=32, num_frames=9, num_inference_steps=3, output_type="np",
        generator=torch.Generator("cpu").manual_seed(5),
    )  # fmt: skip
    fps = {"wan_22": 16, "wan_22_5b": 24, "hunyuan_15": 24}[path.name]
    film = binding.generate_video("a ball", **FILM)
    assert (film.width, film.height, film.num_frames, film.fps) == (64, 32, 9, fps)
    assert film == Video.from_frames((made.frames[0] * 255).round().astype(np.uint8), fps)
    assert film.provenance is not None
    assert film.provenance.extra["pipeline"] == PIPELINES[path.name]
    assert binding.generate_video("rain", **FILM) != film
    assert binding.generate_video("a ball", **FILM, negative_prompt="blur") != film


def test_a_film_stops_at_a_step(films: tuple[DiffusersTTVBinding, Path]) -> None:
    binding, _ = films
    token, seen = CancelToken(), list[Progress]()

    def tell(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            token.cancel()

    with pytest.raises(CallCancelled):
        binding.generate_video("a ball", **{**FILM, "num_inference_steps": 50}, cancel=token, progress=tell)
    assert [p.done for p in seen] == [0, 1, 2]
    assert seen[-1].total == 50


def test_what_a_film_begins_with(films: tuple[DiffusersTTVBinding, Path]) -> None:
    binding, path = films
    start = Image.from_pixels(np.full((32, 64, 3), (200, 30, 60), np.uint8))
    if path.name == "wan_22_5b":
        assert binding.generate_video("x", **FILM, image=start) != binding.generate_video("x", **FILM)
        return
    with pytest.raises(UnsupportedError, match="does not begin with an image"):
        binding.generate_video("x", **FILM, image=start)


def test_frames_that_a_film_cannot_have(films: tuple[DiffusersTTVBinding, Path]) -> None:
    binding, path = films
    step = 2 if path.name == "hunyuan_15" else 4
    with pytest.raises(OptionError, match=f"multiple of {step}"):
        binding.generate_video("x", **{**FILM, "num_frames": 10})


def test_the_lists_name_them() -> None:
    drawn, filmed = " ".join(DiffusersTTIBinding_Impl().list_models()), " ".join(DiffusersTTVBinding().list_models())
    for name in ("FLUX.2-klein", "Z-Image", "Qwen-Image"):
        assert name in drawn
    for name in ("LTX-2", "Wan2.2", "HunyuanVideo-1.5"):
        assert name in filmed
