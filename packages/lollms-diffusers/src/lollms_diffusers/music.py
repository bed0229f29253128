"""The binding for music and sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lollms_modalities import (
    Audio,
    Capabilities,
    Duration,
    LollmsTTMBinding,
    OptionError,
    RepaintOptions,
    Seed,
    UnsupportedError,
    option,
    setting,
)

from lollms_diffusers import engine as engines
from lollms_diffusers.base import DiffusersBinding, PipelineSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# What pipelines call the length of their result.
_LENGTHS = ("audio_duration", "audio_length_in_s", "audio_end_in_s", "duration")
_LONGEST = 600.0  # seconds


class MusicOptions(RepaintOptions):
    """Of ``generate_music``; of given music only ACE-Step makes more, or a part anew."""

    duration: Duration | None = option(None, description="Length in seconds; the model's own when empty.", le=_LONGEST)
    negative_prompt: str = option("", description="What it should not be like, where the model has that.")
    lyrics: str = option("", description="Words to be sung, where the model sings.", max_length=20_000)
    vocal_language: str | None = option(None, description="Language of the lyrics; the model's own when empty.")
    num_inference_steps: int | None = option(
        None, description="Denoising steps; the model's own number when empty.", ge=1, le=10_000
    )
    guidance_scale: float | None = option(
        None, description="How closely the prompt is followed; the model's own when empty.", ge=0, le=1000
    )
    seed: Seed = None
    scheduler_name: str = option("default", description="Scheduler; the default is the model's own.", min_length=1)
    loras: dict[str, float] = option({}, description="LoRAs by path or name, each with its weight.", kind="path")


class DiffusersTTMBinding(DiffusersBinding, LollmsTTMBinding):
    """Music, songs and sounds from any such model of Diffusers: ACE-Step 1.5, Stable Audio, AudioLDM 2.

    ``model_id_or_path`` is a folder's path, a folder in ``lollms_paths`` or ``models_path``, or a repository of the
    model hub, which is fetched when first used.
    """

    capabilities = Capabilities(seed=True, limits={"max_duration": _LONGEST})
    known_models = (
        "ACE-Step/acestep-v15-xl-turbo-diffusers",
        "stabilityai/stable-audio-open-1.0",
        "cvssp/audioldm2-music",
        "cvssp/audioldm2",
    )
    Options = MusicOptions

    class Settings(PipelineSettings):
        model_id_or_path: str = setting(
            "ACE-Step/acestep-v15-xl-turbo-diffusers",
            description="Path or name of the model.",
            reload=True,
            env="HF_TOKEN",
        )
        default_duration: Duration | None = setting(
            None, description="Length of the result in seconds; the model's own when empty.", le=_LONGEST
        )

    settings: Settings

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        import torch
        from lollms_modalities.kit.torch import seeded

        from lollms_diffusers import songs

        options = MusicOptions(**kwargs)
        engine: engines.Engine = self.model
        pipe = engine.pipe
        length = length_of(pipe)
        if options.lyrics and "lyrics" not in engines.parameters(pipe):
            raise OptionError(
                f"option 'lyrics': {type(pipe).__name__} sings nothing.",
                hint="Leave it out, or load a model that does, such as ACE-Step's.",
                names=["lyrics"],
            )
        rate = rate_of(pipe)
        music = None
        if options.audio is not None:
            asked = options.duration or float(engines.parameters(pipe)[length])
            music = songs.given(
                pipe, options.audio, options.start, options.end, length=asked, longest=_LONGEST, rate=rate
            )
        arguments = engines.taken(
            pipe,
            prompt=prompt,
            lyrics=options.lyrics or None,
            vocal_language=options.vocal_language,
            num_inference_steps=options.num_inference_steps,
            guidance_scale=options.guidance_scale,
            **(music.arguments(pipe) if music is not None else {length: options.duration}),
        )
        arguments |= engines.negative(pipe, options.negative_prompt, arguments)
        engines.warn_of_cut(pipe, prompt)
        self._prepare(pipe, options)
        generator = torch.Generator("cpu").manual_seed(options.seed or 0)
        arguments |= {"generator": generator, "output_type": "np"}
        if music is not None:
            # The autoencoder draws, too, and asks for no generator.
            with seeded(options.seed or 0, pipe._execution_device):
                made = engines.run(pipe, arguments)
            return Audio.from_samples(music.with_part_of(samples_of(made.audios)), rate)
        samples = samples_of(engines.run(pipe, arguments).audios)
        return Audio.from_samples(
            samples if options.duration is None else samples[: round(options.duration * rate)], rate
        )


def length_of(pipe: Any) -> str:
    """What a pipeline calls the length of its result.

    Raises:
        UnsupportedError: it makes no sound.
    """
    known = engines.parameters(pipe)
    found = next((name for name in _LENGTHS if name in known), None)
    if found is None:
        raise UnsupportedError(
            f"{type(pipe).__name__} makes no music.",
            hint="Load a model that does, such as stabilityai/stable-audio-open-1.0.",
        )
    return found


def rate_of(pipe: Any) -> int:
    """Samples a second of what a pipeline makes."""
    for part in (getattr(pipe, "vocoder", None), getattr(pipe, "vae", None)):
        rate = getattr(getattr(part, "config", None), "sampling_rate", None)
        if rate:
            return int(rate)
    raise UnsupportedError(f"{type(pipe).__name__} does not tell the rate of its sound.")


def samples_of(made: Any) -> npt.NDArray[np.float32]:
    """The first result of a pipeline, of (channels, samples) or (samples,), as (samples, channels)."""
    import numpy as np

    first = made[0]
    if hasattr(first, "detach"):
        first = first.detach().float().cpu().numpy()
    samples = np.asarray(first, np.float32)
    flat: npt.NDArray[np.float32] = samples.reshape(-1, samples.shape[-1]).T
    return flat[:, 0] if flat.shape[1] == 1 else flat
