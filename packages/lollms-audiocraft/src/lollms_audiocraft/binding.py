"""The MusicGen binding."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lollms_modalities import (
    Audio,
    BindingSettings,
    Capabilities,
    ContinueOptions,
    Duration,
    LollmsError,
    LollmsTTMBinding,
    MediaInput,
    OptionError,
    Seed,
    SharedModel,
    Temperature,
    TopK,
    TopP,
    current_call,
    option,
    setting,
)
from lollms_modalities.kit.torch import Device, Precision, seeded, translate_error, use_threads

from lollms_audiocraft import models
from lollms_audiocraft.engine import Engine, Sampling, compose

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LONGEST = 3600.0  # seconds

_FOLLOW = "How closely the prompt is followed; 1 is no more than the model does by itself."


class AudioCraftTTMBinding(LollmsTTMBinding):
    """Music with MusicGen, of any length, also in continuation of a given piece.

    ``engine`` says which library runs the model: transformers, or Meta's audiocraft, which is taken where it is
    installed. ``model_name`` is a name such as ``facebook/musicgen-small`` (fetched when first used), the path of a
    folder, or the name of a folder in ``models_path``.
    """

    engine = "transformers"
    capabilities = Capabilities(seed=True, limits={"max_duration": _LONGEST})

    class Settings(BindingSettings):
        model_name: str = setting(
            "facebook/musicgen-small", description="Name or path of the model.", reload=True, env="HF_TOKEN"
        )
        device: Device = setting("auto", description="Where it runs: auto, cpu, cuda, cuda:1, mps.", reload=True)
        output_format: Literal["wav", "mp3", "flac", "ogg", "opus", "aac"] = setting(
            "wav", description="Format of the sound where a call asks for none."
        )
        engine: models.EngineName = setting(
            "auto", description="Library that runs the model; audiocraft where it is installed, when auto.", reload=True
        )
        dtype: Precision = setting(
            "auto", description="Precision; half on a GPU when auto. audiocraft takes no other.", reload=True
        )
        models_path: Path | None = setting(None, description="Folder of models.", shared=True, reload=True)
        local_files_only: bool = setting(False, description="Never fetch a model.", reload=True)
        n_threads: int = setting(
            min(4, os.cpu_count() or 1), description="Threads of torch, in the whole process.", ge=1, le=256
        )
        default_duration: Duration = setting(10.0, description="Length of the result in seconds.", le=_LONGEST)
        default_temperature: Temperature = setting(1.0, description="Randomness of sampling; 0 is none.")
        default_top_k: TopK = setting(250, description="Sample among the k likeliest; 0 is all.")
        default_top_p: TopP = setting(0.0, description="Where above 0, takes the place of top_k.")
        default_cfg_coef: float = setting(3.0, description=_FOLLOW, ge=1, le=100)

    class Options(ContinueOptions):
        duration: Duration = option(10.0, description="Length of the result in seconds.", le=_LONGEST)
        temperature: Temperature = 1.0
        top_k: TopK = 250
        top_p: TopP = option(
            0.0, description="Sample among the likeliest that hold this probability; where above 0, in place of top_k."
        )
        cfg_coef: float = option(3.0, description=_FOLLOW, ge=1, le=100)
        seed: Seed = None
        continue_from: MediaInput | None = option(None, description="Older name of audio.")
        overlap: float | None = option(
            None,
            description="Seconds of what there is that each further window hears; 0.4 of a window (12 s) when empty.",
            gt=0,
            le=60,
        )

    settings: Settings

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        options = self.Options(**kwargs)
        engine: Engine = self.model
        use_threads(self.settings.n_threads)
        call = current_call()
        call.record(engine=engine.library)
        if options.audio is not None and options.continue_from is not None:
            raise OptionError(
                "audio and continue_from were both given, which are one option.",
                hint="Give audio.",
                names=["audio", "continue_from"],
            )
        given = options.continue_from if options.audio is None else options.audio
        begun = None if given is None else _sound(given, engine)
        sampling = Sampling(options.temperature, options.top_k, options.top_p, options.cfg_coef)
        with seeded(options.seed or 0, engine.device):
            samples = compose(engine, prompt, options.duration, sampling, begun=begun, overlap=options.overlap)
        return Audio.from_samples(samples, engine.sample_rate, call.output_format or self.settings.output_format)

    def list_models(self, **kwargs: Any) -> list[str]:
        """The models in ``models_path``, and the names of MusicGen's on the hub."""
        return models.list_models(self.settings.models_path)

    def load_model(self) -> SharedModel[Engine]:
        settings = self.settings
        return models.load_model(
            settings.model_name,
            settings.models_path,
            settings.engine,
            settings.device,
            settings.dtype,
            local_files_only=settings.local_files_only,
        )

    def translate_error(self, error: Exception) -> LollmsError | None:
        return translate_error(error)


def _sound(media: MediaInput, engine: Engine) -> npt.NDArray[np.float32]:
    """Given sound in the engine's rate and channels: float32, shape (n, channels)."""
    import numpy as np
    from lollms_modalities.kit import decode_frames, resample

    samples, rate = decode_frames(media, max_duration=_LONGEST)
    if samples.shape[1] != engine.channels:
        samples = np.repeat(samples.mean(axis=1, keepdims=True), engine.channels, axis=1)
    return np.ascontiguousarray(resample(samples, rate, engine.sample_rate), np.float32)
