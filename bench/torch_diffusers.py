"""Diffusers through the bindings against the library alone, many images at once, and how soon a call stops."""

from __future__ import annotations

import contextlib
import importlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lollms_modalities import CallCancelled, CancelToken, Image, Video

from bench.harness import paired, seconds, show, show_extra

STEPS = 20


def _model(kind: str, folder: str) -> str:
    makers: Any = importlib.import_module("diffusers_models")
    return str(makers.MAKERS[kind](Path(folder) / kind))


def _library(path: Path) -> Any:
    diffusers: Any = importlib.import_module("diffusers")
    pipe = diffusers.DiffusionPipeline.from_pretrained(path, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _alone(pipe: Any, **arguments: Any) -> Any:
    import torch

    return pipe("a lighthouse", num_inference_steps=STEPS, generator=torch.Generator("cpu").manual_seed(1), **arguments)


def images() -> None:
    """One image through the binding against the pipeline alone, both as PNG; eight at once against eight calls."""
    from lollms_diffusers import DiffusersTTIBinding_Impl

    for kind in ("sd", "sdxl", "flux"):
        with (
            tempfile.TemporaryDirectory() as folder,
            DiffusersTTIBinding_Impl(
                model_id_or_path=_model(kind, folder), n_threads=1, num_inference_steps=STEPS, device="cpu"
            ) as binding,
        ):
            binding.load()
            pipe = _library(Path(folder) / kind)
            size = {"width": 64, "height": 64}

            def ours(binding: Any = binding, size: dict[str, int] = size) -> Image:
                return binding.generate_image("a lighthouse", seed=1, **size)  # type: ignore[no-any-return]

            def alone(pipe: Any = pipe, size: dict[str, int] = size) -> Image:
                return Image.from_pil(_alone(pipe, **size).images[0])

            assert ours() == alone()
            pair = paired(lambda: seconds(ours), lambda: seconds(alone), pairs=15)
            show(f"Diffusers {kind}, an image in {STEPS} steps", "alone", pair, 1.02)

            def at_once(binding: Any = binding) -> None:
                assert len(binding.generate_images("a lighthouse", n=8, seed=1, width=64, height=64)) == 8

            def one_by_one(binding: Any = binding) -> None:
                for seed in range(8):
                    binding.generate_image("a lighthouse", seed=seed, width=64, height=64)

            pair = paired(lambda: seconds(at_once), lambda: seconds(one_by_one), pairs=5)
            show(f"Diffusers {kind}, eight images at once", "eight calls", pair, 1.0)


def videos() -> None:
    """One video through the binding against the pipeline alone, both as MP4."""
    import numpy as np
    from lollms_diffusers import DiffusersTTVBinding

    for kind, fps in (("ltx", 25), ("wan", 16)):
        with (
            tempfile.TemporaryDirectory() as folder,
            DiffusersTTVBinding(
                model_id_or_path=_model(kind, folder), n_threads=1, num_inference_steps=STEPS, device="cpu"
            ) as binding,
        ):
            binding.load()
            pipe = _library(Path(folder) / kind)
            size = {"width": 96, "height": 64, "num_frames": 17}

            def ours(binding: Any = binding, size: dict[str, int] = size) -> Video:
                return binding.generate_video("a lighthouse", seed=1, **size)  # type: ignore[no-any-return]

            def alone(pipe: Any = pipe, fps: int = fps, size: dict[str, int] = size) -> Video:
                frames = _alone(pipe, output_type="np", **size).frames[0]
                return Video.from_frames((frames * 255).round().astype(np.uint8), fps)

            assert ours() == alone()
            pair = paired(lambda: seconds(ours), lambda: seconds(alone), pairs=15)
            show(f"Diffusers {kind}, a video in {STEPS} steps", "alone", pair, 1.02)


def stopping() -> None:
    """From ``cancel()`` to the end of the call, against one step of it."""
    from lollms_diffusers import DiffusersTTIBinding_Impl

    with (
        tempfile.TemporaryDirectory() as folder,
        DiffusersTTIBinding_Impl(model_id_or_path=_model("sd", folder), n_threads=1, device="cpu") as binding,
    ):
        binding.load()

        def draw(steps: int, **controls: Any) -> None:
            binding.generate_image("a lighthouse", width=128, height=128, num_inference_steps=steps, seed=1, **controls)

        draw(2)
        step = seconds(lambda: draw(STEPS)) / STEPS
        taken = []
        for moment in range(20):
            token, cancelled_at = CancelToken(), list[float]()

            def cancel(token: CancelToken = token, cancelled_at: list[float] = cancelled_at) -> None:
                cancelled_at.append(time.perf_counter())
                token.cancel()

            threading.Timer(0.3 + moment / 100, cancel).start()
            with contextlib.suppress(CallCancelled):
                draw(1000, cancel=token)
            taken.append(time.perf_counter() - cancelled_at[0])
        how = f"longest of 20; the median is {statistics.median(taken) * 1e3:.0f} ms, a step {step * 1e3:.0f} ms"
        show_extra("Diffusers sd, from cancel to its end", max(taken), 2.0, 1e3, "ms", how)


BENCHMARKS: dict[str, Callable[[], None]] = {
    "diffusers_images": images, "diffusers_videos": videos, "diffusers_stopping": stopping,
}  # fmt: skip
