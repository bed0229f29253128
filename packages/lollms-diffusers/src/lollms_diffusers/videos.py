"""The binding for video."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lollms_modalities import (
    Audio,
    Capabilities,
    Duration,
    Fps,
    LollmsTTVBinding,
    MediaInput,
    NumFrames,
    OptionError,
    Video,
    current_call,
    option,
    setting,
)

from lollms_diffusers import engine as engines
from lollms_diffusers.base import DiffusersBinding, PipelineOptions, PipelineSettings
from lollms_diffusers.images import picture

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Frames per second that a family of models was trained on, by the beginning of its pipelines' names. Source: the
# examples in the documentation of Diffusers.
_FPS = {
    "Allegro": 15.0, "AnimateDiff": 8.0, "CogVideoX": 8.0, "HunyuanVideo": 24.0, "Kandinsky5": 24.0, "LTX": 25.0,
    "Latte": 8.0, "Mochi": 30.0, "SkyReelsV2": 24.0, "TextToVideo": 8.0, "Wan": 16.0,
}  # fmt: skip
_OTHER_FPS = 24.0


class VideoOptions(PipelineOptions):
    """Of ``generate_video``."""

    negative_prompt: str = option("", description="What not to show.")
    image: MediaInput | None = option(None, description="Image to begin with, where the model takes one.")
    num_frames: NumFrames | None = option(None, description="Number of frames; the model's own when empty.")
    duration: Duration | None = option(None, description="Seconds, in the place of num_frames.")
    fps: Fps | None = option(None, description="Frames per second; the model's own when empty.")


class DiffusersTTVBinding(DiffusersBinding, LollmsTTVBinding):
    """Videos from any text-to-video model of Diffusers: Wan, LTX and many more; with sound, where the model makes it.

    ``model_id_or_path`` is a folder's path, a folder in ``lollms_paths`` or ``models_path``, or a repository of the
    model hub, which is fetched when first used.
    """

    capabilities = Capabilities(seed=True, output_formats=("mp4",))
    known_models = (
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
        "Lightricks/LTX-Video",
        "Lightricks/LTX-2",
        "zai-org/CogVideoX-2b",
    )
    Options = VideoOptions

    class Settings(PipelineSettings):
        model_id_or_path: str = setting(
            "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", description="Path or name of the model.", reload=True, env="HF_TOKEN"
        )

    settings: Settings

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        import torch

        options = VideoOptions(**kwargs)
        engine: engines.Engine = self.model
        pipe = engine.to_film(from_image=options.image is not None)
        engines.check_size(pipe, options.width, options.height)
        fps = options.fps or own_fps(pipe)
        known = engines.parameters(pipe)
        arguments = engines.taken(
            pipe,
            prompt=prompt,
            image=None if options.image is None else picture(options.image),
            width=options.width,
            height=options.height,
            num_inference_steps=options.num_inference_steps,
            guidance_scale=options.guidance_scale,
            **{"num_frames" if "num_frames" in known else "video_length": frames_for(pipe, options, fps)},
            **{name: fps for name in ("frame_rate", "fps") if name in known},
        )
        arguments |= engines.negative(pipe, options.negative_prompt, arguments)
        engines.warn_of_cut(pipe, prompt)
        self._prepare(pipe, options)
        generator = torch.Generator("cpu").manual_seed(options.seed or 0)
        made = engines.run(pipe, {**arguments, "generator": generator, "output_type": "np"})
        return Video.from_frames(_pixels(made.frames[0]), fps, audio=sound_of(pipe, made))


def frames_for(pipe: Any, options: VideoOptions, fps: float) -> int | None:
    """How many frames; None for the pipeline's own number.

    Raises:
        OptionError: both or an impossible number were asked for.
    """
    if options.num_frames is not None and options.duration is not None:
        raise OptionError(
            "num_frames and duration were both given.", hint="Give one.", names=["num_frames", "duration"]
        )
    # The autoencoder takes one frame, and then so many at a time.
    factors = (getattr(pipe, name, None) for name in ("vae_scale_factor_temporal", "vae_temporal_compression_ratio"))
    step = next((int(factor) for factor in factors if factor), 1)
    if options.duration is not None:
        return 1 + step * max(1, round((options.duration * fps - 1) / step))
    if options.num_frames is not None and (options.num_frames - 1) % step:
        below = 1 + (options.num_frames - 1) // step * step
        raise OptionError(
            f"option 'num_frames': {type(pipe).__name__} cannot make {options.num_frames} frames.",
            hint=f"It makes a multiple of {step} and one more: {below} or {below + step}.",
            names=["num_frames"],
        )
    return options.num_frames


def own_fps(pipe: Any) -> float:
    """The frames per second that a model was made for."""
    for name in ("frame_rate", "fps"):
        if isinstance(default := engines.parameters(pipe).get(name), (int, float)):
            return float(default)
    if pipe.config.get("expand_timesteps"):
        return 24.0  # Wan 2.2 TI2V-5B
    return next((fps for begin, fps in _FPS.items() if type(pipe).__name__.startswith(begin)), _OTHER_FPS)


def sound_of(pipe: Any, made: Any) -> Audio | None:
    """The sound of what a pipeline made, where it makes one (LTX-2): float of shape (batch, channels, samples)."""
    samples = getattr(made, "audio", None)
    if samples is None:
        return None
    vocoder = getattr(getattr(pipe, "vocoder", None), "config", None)
    rate = getattr(vocoder, "output_sampling_rate", None) or getattr(pipe, "audio_sampling_rate", None)
    if not rate:
        warnings.warn(
            f"{type(pipe).__name__} made a sound and does not tell its rate: the film is silent.", stacklevel=2
        )
        return None
    first = samples[0]
    if hasattr(first, "detach"):
        first = first.detach().float().cpu().numpy()
    return Audio.from_samples(first.reshape(-1, first.shape[-1]).T, int(rate))


def _pixels(frames: Any) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames from 0 to 1 as bytes; between any two the call may be stopped."""
    import numpy as np

    for frame in frames:
        current_call().check()
        yield (np.asarray(frame, np.float32).clip(0, 1) * 255).round().astype(np.uint8)
