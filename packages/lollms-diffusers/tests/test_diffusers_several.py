"""Several images changed into one, by the pipelines that take several."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import diffusers_models as makers
import numpy as np
import pytest
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from lollms_client import LollmsClient
from lollms_diffusers import DiffusersTTIBinding_Impl, base, engine
from lollms_modalities import BindingDependencyError, Image

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def _photo(width: int, height: int, seed: int) -> Image:
    return Image.from_pixels(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8))


FIRST, SECOND = _photo(64, 64, 1), _photo(128, 64, 2)


def _bound(folder: Path) -> DiffusersTTIBinding_Impl:
    config = {"model_id_or_path": str(folder), "n_threads": 1, "num_inference_steps": 2, "device": "cpu"}
    return DiffusersTTIBinding_Impl(config=config)


@pytest.fixture(params=["flux2", "qwen"])
def binding(
    request: pytest.FixtureRequest,
    model: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[DiffusersTTIBinding_Impl]:
    if request.param == "flux2":
        folder = model("flux2")
    else:
        folder = tmp_path
        (folder / "model_index.json").write_text("{}")
        monkeypatch.setattr(base, "load", lambda how, token: makers.qwen_edit())
        # It looks at every image as one of a megapixel, of which a tiny encoder leaves too much.
        for size in ("VAE_IMAGE_SIZE", "CONDITION_IMAGE_SIZE"):
            monkeypatch.setattr(pipeline_qwenimage_edit_plus, size, 64 * 64)
    with _bound(folder) as made:
        yield made


def test_two_images_become_one(binding: DiffusersTTIBinding_Impl, monkeypatch: pytest.MonkeyPatch) -> None:
    binding.load()
    pipe = binding.model.pipe
    given: list[dict[str, Any]] = []
    run = engine.run
    monkeypatch.setattr(engine, "run", lambda pipe, arguments, *rest: (given.append(arguments), run(pipe, arguments, *rest))[1])  # fmt: skip
    both = binding.edit_image([FIRST, SECOND], "both on a table", seed=3)
    assert (both.width, both.height) == (64, 64), "as large as the first"
    assert [one.size for one in given[-1]["image"]] == [(64, 64), (128, 64)], "each in its own shape"
    assert both.provenance is not None
    assert both.provenance.extra["pipeline"] == type(pipe).__name__
    assert binding.edit_image([FIRST, SECOND], "both on a table", seed=3) == both
    others = [
        binding.edit_image([FIRST, _photo(128, 64, 5)], "both on a table", seed=3),  # the second one counts
        binding.edit_image(FIRST, "both on a table", seed=3),
        binding.edit_image([FIRST, SECOND], "both on a table", seed=4),
    ]
    assert len({bytes(both), *map(bytes, others)}) == 4
    wide = binding.edit_image([FIRST, SECOND], "both", seed=3, width=96, height=32)
    assert (wide.width, wide.height) == (96, 32)


def test_a_program_of_1x_that_changes_with_flux_2(model: Callable[[str], Path]) -> None:
    config = {"host": "localhost", "port": 9632, "model_name": str(model("flux2")), "auto_start_server": True, "wait_for_server": True, "device": "cpu", "torch_dtype_str": "float32", "num_inference_steps": 2, "guidance_scale": 1.0, "width": 64, "height": 64, "seed": -1}  # fmt: skip
    with LollmsClient(tti_binding_name="diffusers", tti_binding_config=config) as lc:
        assert lc.tti is not None
        drawn = lc.tti.generate_image(prompt="lemons", negative_prompt="", seed=1)
        with pytest.warns(UserWarning, match="Flux2KleinPipeline has no strength: it is ignored"):
            changed = lc.tti.edit_image(images=drawn.to_pil().convert("RGB"), prompt="at night", strength=0.7)
        assert (changed.width, changed.height) == (64, 64)


def test_a_library_that_a_model_needs_is_named(
    model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model("sd"), tmp_path / "sd")

    def wanting(*args: Any, **kwargs: Any) -> Any:
        raise ImportError("\nQwen2VLVideoProcessor requires the Torchvision library but it was not found.\nMore.")

    monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", wanting)
    with _bound(tmp_path / "sd") as binding, pytest.raises(BindingDependencyError, match="requires the Torchvision") as caught:  # fmt: skip
        binding.load()
    assert "pip" in caught.value.hint
