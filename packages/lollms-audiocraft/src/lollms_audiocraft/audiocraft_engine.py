"""MusicGen of audiocraft, Meta's own library."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import ModelNotFoundError, UnsupportedError
from lollms_modalities.kit.hub import quiet
from lollms_modalities.kit.torch import free_memory

from lollms_audiocraft.engine import Sampling, Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

DEBUG = "debug"  # audiocraft's name for a model of random weights that needs no file


class AudiocraftEngine:
    """``audiocraft.models.MusicGen``; see ``Engine``."""

    library = "audiocraft"

    def __init__(self, model: Any) -> None:
        self._model = model
        self.device: torch.device = model.device
        self.sample_rate = int(model.sample_rate)
        self.frame_rate = int(model.frame_rate)
        self.channels = int(model.audio_channels)
        self.window = int(model.max_duration * model.frame_rate)

    def encode(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """See ``Engine``."""
        import torch

        with torch.inference_mode():
            codes, _ = self._model.compression_model.encode(torch.from_numpy(samples.T.copy())[None].to(self.device))
        return codes[0]  # type: ignore[no-any-return, unused-ignore]

    def generate(
        self, prompt: str, heard: torch.Tensor | None, frames: int, sampling: Sampling, report: Callable[[int], object]
    ) -> Window:
        """The engine call; see ``Engine``."""
        import torch
        from audiocraft.modules.conditioners import ConditioningAttributes

        with torch.inference_mode():
            with self._model.autocast:
                codes = self._model.lm.generate(
                    None if heard is None else heard[None],
                    [ConditioningAttributes(text={"description": prompt})],
                    max_gen_len=frames,
                    use_sampling=sampling.temperature > 0,
                    temp=sampling.temperature,
                    top_k=min(sampling.top_k, self._model.lm.card),
                    top_p=sampling.top_p,
                    cfg_coef=sampling.cfg_coef,
                    callback=lambda done, total: report(done),
                )
            sound = self._model.compression_model.decode(codes, None)
        return Window(sound[0].T.float().cpu().numpy(), codes[0])

    def free(self) -> None:
        """See ``Engine``."""
        self._model = None
        free_memory(self.device)


def load(model: Path | str, device: torch.device, *, local_files_only: bool) -> AudiocraftEngine:
    """Load a model from a folder in audiocraft's layout, from the hub, or its model ``debug``.

    ``explain_loading`` belongs around it.

    Raises:
        ModelNotFoundError: the text encoder that the model names is not on this machine.
        UnsupportedError: the model also wants a melody.
    """
    from audiocraft.models import MusicGen

    offline = local_files_only or isinstance(model, Path) or model == DEBUG
    try:
        with quiet(), warnings.catch_warnings(), _offline(offline):
            warnings.simplefilter("ignore", FutureWarning)  # of torch, about how the codec is built
            loaded = MusicGen.get_pretrained(str(model), device=str(device))
    except OSError as exc:
        if not (offline and isinstance(model, Path) and (encoder := _text_encoder(model))):
            raise
        raise ModelNotFoundError(
            f"The MusicGen model {str(model)!r} reads prompts with {encoder}, which is not on this machine.",
            hint=f"Run hf download {encoder}. audiocraft takes it from the hub's cache.",
        ) from exc
    except ModuleNotFoundError as exc:
        if exc.name != "demucs":
            raise
        raise UnsupportedError(
            f"{str(model)!r} makes music from a melody, which this binding does not give it.",
            hint="Take one that makes music from text alone, such as facebook/musicgen-small.",
        ) from exc
    return AudiocraftEngine(loaded)


def _text_encoder(folder: Path) -> str | None:
    """Name of the T5 that a model wants, where its files can be read."""
    from audiocraft.models.loaders import load_lm_model_ckpt

    if not (folder / "compression_state_dict.bin").is_file():
        return None
    wanted = re.search(r"^ +name: (\S*t5\S*)$", load_lm_model_ckpt(folder)["xp.cfg"], re.MULTILINE)
    return wanted and wanted[1]


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Keep the hub's client from the network: audiocraft loads its text encoder by name, and cannot be told not to."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
