"""Videos, on tiny models of two kinds."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import diffusers_models as makers
import numpy as np
import pytest
import torch
from lollms_diffusers import DiffusersTTVBinding
from lollms_diffusers.videos import own_fps
from lollms_modalities import (
    BindingDependencyError,
    CallCancelled,
    CancelToken,
    Image,
    OptionError,
    Progress,
    SettingsError,
    UnsupportedError,
    Video,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
Models = Callable[[str], Path]
SMALL: dict[str, Any] = {"width": 64, "height": 32, "num_frames": 9, "seed": 5}


def bound(path: Path, **settings: Any) -> DiffusersTTVBinding:
    return DiffusersTTVBinding({"model_id_or_path": str(path), "n_threads": 1, "num_inference_steps": 3}, **settings)


@pytest.fixture(scope="module", params=["ltx", "wan"])
def either(model: Models, request: pytest.FixtureRequest) -> Iterator[DiffusersTTVBinding]:
    with bound(model(request.param)) as binding:
        yield binding


@pytest.fixture(scope="module")
def ltx(model: Models) -> Iterator[DiffusersTTVBinding]:
    with bound(model("ltx")) as binding:
        yield binding


@pytest.fixture(scope="module")
def start() -> Image:
    return Image.from_pixels(np.full((32, 64, 3), (200, 30, 60), np.uint8))


def shape(video: Video) -> tuple[int, int, int, float]:
    return video.width, video.height, video.num_frames, video.fps


def frames_of(video: bytes) -> np.ndarray[Any, Any]:
    with av.open(io.BytesIO(video), mode="r") as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(("kind", "fps"), [("ltx", 25), ("wan", 16)])
def test_the_frames_are_the_library_s_own(model: Models, kind: str, fps: int) -> None:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(model(kind), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        "a ball", width=64, height=32, num_frames=9, num_inference_steps=3, output_type="np",
        generator=torch.Generator("cpu").manual_seed(5),
    )  # fmt: skip
    frames = (made.frames[0] * 255).round().astype(np.uint8)
    with bound(model(kind)) as binding:
        video = binding.generate_video("a ball", **SMALL)
        assert shape(video) == (64, 32, 9, fps)
        assert video == Video.from_frames(frames, fps)
        # A lossy codec with half of the colours' resolution: near on average, in each colour.
        assert (np.abs(frames_of(video).astype(float) - frames).mean(axis=(0, 1, 2)) < 40).all()
        assert video == binding.generate_video("a ball", **SMALL)
        assert video != binding.generate_video("a ball", **{**SMALL, "seed": 6})
        assert video != binding.generate_video("rain", **SMALL)
        assert video.provenance is not None
        assert (video.provenance.seed, video.provenance.model) == (5, str(model(kind)))


def test_the_sound_of_a_film_is_the_library_s_own(model: Models) -> None:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(model("ltx2"), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        "a ball", width=64, height=32, num_frames=25, frame_rate=24.0, num_inference_steps=3, output_type="np",
        generator=torch.Generator("cpu").manual_seed(5),
    )  # fmt: skip
    expected = made.audio[0].T.numpy()
    with bound(model("ltx2")) as binding:
        film = binding.generate_video("a ball", **{**SMALL, "num_frames": 25})
    assert shape(film) == (64, 32, 25, 24)
    sound = film.audio
    assert sound is not None
    assert (sound.sample_rate, sound.channels) == (16000, 2)
    assert sound.duration == pytest.approx(film.duration, abs=0.002)
    heard = sound.to_numpy()[: len(expected)]
    # AAC is not exact: the loudest stands where it stood, and most of the rest, too.
    wanted = expected[: len(heard)]
    likeness = (heard * wanted).sum() / np.sqrt((heard**2).sum() * (wanted**2).sum())
    assert likeness > 0.9
    assert film.provenance is not None
    missing = round(25 / 24 - len(expected) / 16000, 3)
    assert film.provenance.extra["sound_padded_seconds"] == missing


def test_a_film_with_sound_begins_with_an_image(model: Models, start: Image) -> None:
    with bound(model("ltx2")) as binding:
        film = binding.generate_video("a ball", image=start, **SMALL)
        assert film.provenance is not None
        assert film.provenance.extra["pipeline"] == "LTX2ImageToVideoPipeline"
        assert film.has_audio


def test_a_film_of_a_model_without_sound_has_none(ltx: DiffusersTTVBinding) -> None:
    assert not ltx.generate_video("a ball", **SMALL).has_audio


def test_a_duration_is_the_nearest_number_of_frames(either: DiffusersTTVBinding) -> None:
    own = own_fps(either.model.pipe)
    step = {25.0: 8, 16.0: 4}[own]
    video = either.generate_video("x", width=32, height=32, duration=1.0)
    assert (video.num_frames - 1) % step == 0
    assert abs(video.duration - 1.0) <= step / own
    video = either.generate_video("x", width=32, height=32, duration=0.01, fps=10)
    assert shape(video) == (32, 32, 1 + step, 10)
    with pytest.raises(OptionError, match="both given"):
        either.generate_video("x", duration=1, num_frames=9)


def test_frames_and_sizes_that_cannot_be_made_say_which_can(model: Models) -> None:
    with (
        bound(model("ltx")) as ltx,
        pytest.raises(OptionError, match=r"cannot make 10 frames.*multiple of 8.*: 9 or 17"),
    ):
        ltx.generate_video("x", num_frames=10)
    with bound(model("ltx")) as ltx, pytest.raises(OptionError, match=r"multiples of 32; the nearest is 64x32"):
        ltx.generate_video("x", width=50, height=40)
    with bound(model("wan")) as wan, pytest.raises(OptionError, match=r"cannot make 10 frames.*: 9 or 13"):
        wan.generate_video("x", num_frames=10)
    with bound(model("wan")) as wan, pytest.raises(OptionError, match=r"multiples of 16; the nearest is 64x32"):
        wan.generate_video("x", width=64, height=40)


def test_a_negative_prompt_and_guidance(either: DiffusersTTVBinding) -> None:
    plain = either.generate_video("x", **SMALL, guidance_scale=4.0)
    assert either.generate_video("x", **SMALL, guidance_scale=4.0, negative_prompt="blur") != plain
    assert either.generate_video("x", **SMALL, guidance_scale=8.0) != plain
    with pytest.warns(UserWarning, match="heeds one where guidance_scale is above 1"):
        either.generate_video("x", **SMALL, guidance_scale=1.0, negative_prompt="blur")


def test_sizes_steps_and_seed_are_settings(model: Models, ltx: DiffusersTTVBinding) -> None:
    expected = ltx.generate_video("x", **SMALL, num_inference_steps=2)
    with bound(model("ltx"), default_width=64, default_height=32, seed=5) as binding:
        assert binding.generate_video("x", num_frames=9, num_inference_steps=2) == expected
    with pytest.raises(SettingsError, match="'seed': given in config and as a keyword"):
        DiffusersTTVBinding(config={"seed": 1}, seed=1)


# --- beginning with an image ----------------------------------------------------------------------------------------


def test_an_image_to_begin_with(ltx: DiffusersTTVBinding, start: Image) -> None:
    video = ltx.generate_video("x", **SMALL, image=start)
    assert shape(video) == (64, 32, 9, 25)
    assert video != ltx.generate_video("x", **SMALL)
    assert video == ltx.generate_video("x", **SMALL, image=bytes(start))
    engine = ltx.model
    assert engine.to_film(from_image=True).transformer is engine.pipe.transformer
    assert video.provenance is not None
    assert video.provenance.extra["pipeline"] == "LTXImageToVideoPipeline"


def test_wan_begins_with_an_image_where_its_weights_can(model: Models, tmp_path: Path, start: Image) -> None:
    with bound(makers.wan(tmp_path / "wan", from_images=True)) as wan:
        video = wan.generate_video("x", **SMALL, image=start)
        assert shape(video) == (64, 32, 9, 24)
        assert video != wan.generate_video("x", **SMALL)
        assert wan.model.to_film(from_image=True).transformer is wan.model.pipe.transformer
    with bound(model("wan")) as wan, pytest.raises(UnsupportedError, match="WanPipeline does not begin with an image"):
        wan.generate_video("x", **SMALL, image=start)


def test_a_pipeline_that_needs_an_image_says_so(model: Models, tmp_path: Path, start: Image) -> None:
    path = makers.wan(tmp_path / "wan", from_images=True)
    with bound(path, pipeline_class_name="WanImageToVideoPipeline") as wan:
        with pytest.raises(OptionError, match="WanImageToVideoPipeline begins with an image"):
            wan.generate_video("x", **SMALL)
        assert wan.generate_video("x", **SMALL, image=start).num_frames == 9


# --- progress, stopping, files --------------------------------------------------------------------------------------


def test_progress_by_steps_and_cancel_at_one(either: DiffusersTTVBinding, tmp_path: Path) -> None:
    seen: list[Progress] = []
    either.generate_video("x", **SMALL, num_inference_steps=4, progress=seen.append)
    assert [(p.done, p.total, p.unit) for p in seen] == [(n, 4, "step") for n in range(5)]
    token, done = CancelToken(), list[float]()

    def cancel(progress: Progress) -> None:
        done.append(progress.done)
        if progress.done == 2:
            token.cancel()

    with pytest.raises(CallCancelled):
        either.generate_video(
            "x", **SMALL, num_inference_steps=4, progress=cancel, cancel=token, output_path=tmp_path / "x.mp4"
        )
    assert done == [0, 1, 2]
    assert not list(tmp_path.iterdir())


def test_a_cancel_while_frames_are_written(ltx: DiffusersTTVBinding) -> None:
    token = CancelToken()

    def cancel(progress: Progress) -> None:
        if progress.done == progress.total:
            token.cancel()

    with pytest.raises(CallCancelled):
        ltx.generate_video("x", **SMALL, progress=cancel, cancel=token)


def test_output_path(either: DiffusersTTVBinding, tmp_path: Path) -> None:
    video = either.generate_video("x", **SMALL, output_path=tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_bytes() == either.generate_video("x", **SMALL)
    assert video.path == tmp_path / "x.mp4"
    assert frames_of((tmp_path / "x.mp4").read_bytes()).shape == (9, 32, 64, 3)


# --- models ---------------------------------------------------------------------------------------------------------


def test_models_are_listed_and_looked_up(model: Models, tmp_path: Path) -> None:
    shutil.copytree(model("wan"), tmp_path / "diffusers_models" / "mine")
    with DiffusersTTVBinding(
        {"model_id_or_path": "mine", "n_threads": 1}, {"personal_models_path": tmp_path}, num_inference_steps=2
    ) as wan:
        assert wan.list_models()[:2] == ["mine", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"]
        assert wan.generate_video("x", **SMALL).num_frames == 9


def test_a_model_of_images_films_nothing(model: Models) -> None:
    with bound(model("sd")) as binding, pytest.raises(UnsupportedError, match="StableDiffusionPipeline films nothing"):
        binding.generate_video("x")


def test_offloading_needs_a_gpu(model: Models) -> None:
    with bound(model("ltx"), device="cpu", enable_cpu_offload=True) as binding, pytest.raises(BindingDependencyError):
        binding.load()
