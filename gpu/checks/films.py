"""Films: Wan and LTX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lollms_modalities import Video

from gpu.bench import Bench
from gpu.checks.diffusing import alone, denoiser
from gpu.checks.subject import Subject

PROMPT = "a lighthouse in a storm"
_SIZES = {"wan": (832, 480, 33), "ltx": (704, 512, 49)}
_TINY = {"wan": (32, 32, 5), "ltx": (64, 64, 9)}
_STEPS = 4
_FPS = {"wan": 16.0, "ltx": 25.0}


def _make(folder: Path, **settings: Any) -> Any:
    from lollms_diffusers import DiffusersTTVBinding

    return DiffusersTTVBinding(model_id_or_path=str(folder), **settings)


def _size(model: str, bench: Bench) -> dict[str, int]:
    width, height, frames = (_TINY if bench.tiny else _SIZES)[model]
    return {"width": width, "height": height, "num_frames": frames, "num_inference_steps": _STEPS}


def subject(model: str, seconds: float) -> Subject:
    """Films by that model."""

    def call(binding: Any, seed: int, bench: Bench, **controls: Any) -> Any:
        return binding.generate_video(PROMPT, seed=seed, **_size(model, bench), **controls)

    return Subject(model, _make, call, denoiser, {"torch_dtype_str": "float32"}, seconds)


def film(subject: Subject, bench: Bench) -> None:
    """One film, beside the pipeline alone."""
    import numpy as np
    import torch

    size = _size(subject.model, bench)

    def library(pipe: Any) -> None:
        generator = torch.Generator("cpu").manual_seed(1)
        frames = pipe(PROMPT, generator=generator, output_type="np", **size).frames[0]
        Video.from_frames((frames.clip(0, 1) * 255).round().astype(np.uint8), _FPS[subject.model])

    what = f"{size['num_frames']} frames of {size['width']}x{size['height']} in {_STEPS} steps"
    alone(subject, bench, what, lambda binding, **c: subject.call(binding, 1, bench, **c), library)
