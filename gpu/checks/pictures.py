"""Images: SDXL and Flux."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lollms_modalities import Image

from gpu import card
from gpu.bench import Bench
from gpu.checks.compiling import measure
from gpu.checks.diffusing import alone, denoiser
from gpu.checks.subject import Subject

PROMPT = "a lighthouse in a storm"
_STEPS = 6


def _make(folder: Path, **settings: Any) -> Any:
    from lollms_diffusers import DiffusersTTIBinding_Impl

    return DiffusersTTIBinding_Impl(model_id_or_path=str(folder), **settings)


def _size(bench: Bench) -> dict[str, int]:
    side = bench.size(1024, 64)
    return {"width": side, "height": side, "num_inference_steps": _STEPS}


def _call(binding: Any, seed: int, bench: Bench, **controls: Any) -> Any:
    return binding.generate_image(PROMPT, seed=seed, **_size(bench), **controls)


def subject(model: str, seconds: float) -> Subject:
    """Images by that model."""
    return Subject(model, _make, _call, denoiser, {"torch_dtype_str": "float32"}, seconds)


def picture(subject: Subject, bench: Bench) -> None:
    """One image, beside the pipeline alone."""
    import torch

    def library(pipe: Any) -> None:
        generator = torch.Generator("cpu").manual_seed(1)
        Image.from_pil(pipe(PROMPT, generator=generator, **_size(bench)).images[0])

    side = _size(bench)["width"]
    what = f"an image of {side}x{side} in {_STEPS} steps"
    alone(subject, bench, what, lambda binding, **c: _call(binding, 1, bench, **c), library)


def batch(subject: Subject, bench: Bench) -> None:
    """Four images: in single precision, one by one; and as the binding does."""
    taken = {}
    for name, settings, size in (("naive", subject.whole, 1), ("ours", {}, 4)):
        with subject.loaded(bench, **settings) as binding:
            _call(binding, 1, bench)

            def draw(binding: Any = binding, size: int = size) -> None:
                assert len(binding.generate_images(PROMPT, n=4, batch_size=size, seed=1, **_size(bench))) == 4

            taken[name] = card.seconds(bench.device, draw)
    what = f"{subject.model}: four images, each"
    goal = 0.5 if bench.on_card else None
    bench.figure(what, taken["ours"] / 4, "s", beside="float32, one by one", other=taken["naive"] / 4, goal=goal)


def compiling(subject: Subject, bench: Bench) -> None:
    """What ``enable_compile`` brings. On a processor, torch's own back end shows that the way can be gone."""
    with subject.loaded(bench) as binding:

        def change() -> None:
            denoiser(binding).compile(**({} if bench.on_card else {"backend": "eager"}))

        measure(bench, f"{subject.model}: an image", lambda: _call(binding, 1, bench), change)
