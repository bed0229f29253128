"""MusicGen of transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import ModelNotFoundError
from lollms_modalities.kit.hub import quiet
from lollms_modalities.kit.torch import free_memory, stopping_criteria

from lollms_audiocraft.engine import Sampling, Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

_WINDOW = 30  # seconds that the published models were trained on


class TransformersEngine:
    """``MusicgenForConditionalGeneration`` with its tokenizer; see ``Engine``."""

    library = "transformers"

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        codec, decoder = model.config.audio_encoder, model.config.decoder
        self.device: torch.device = model.device
        self.sample_rate = int(codec.sampling_rate)
        self.frame_rate = self.sample_rate // int(codec.hop_length)
        self.channels = int(decoder.audio_channels)
        self._codebooks = int(decoder.num_codebooks)
        # Each codebook of a channel is written one step behind the one before it.
        self._delays = self._codebooks // self.channels
        most = model.generation_config.max_length
        self.window = most - self._delays if most else _WINDOW * self.frame_rate

    def encode(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """See ``Engine``. The codebooks of two channels lie in turn: first left, first right, second left, ..."""
        import torch

        values = torch.from_numpy(samples.T.copy()).to(self.device)
        with torch.inference_mode():
            codes = [self._model.audio_encoder.encode(channel[None, None]).audio_codes[0, 0] for channel in values]
        return torch.stack(codes, dim=1).flatten(0, 1)

    def generate(
        self, prompt: str, heard: torch.Tensor | None, frames: int, sampling: Sampling, report: Callable[[int], object]
    ) -> Window:
        """The engine call; see ``Engine``."""
        import torch

        known = 0 if heard is None else heard.shape[1]
        made = max(frames, self._delays)  # with less, transformers does not delay the codebooks
        steps = _Steps()
        inputs = self._tokenizer([prompt], return_tensors="pt").to(self.device)
        with torch.inference_mode(), quiet():
            sound = self._model.generate(
                **inputs,
                **({} if heard is None else {"decoder_input_ids": heard}),
                **_choosing(sampling),
                guidance_scale=sampling.cfg_coef,
                max_new_tokens=made - known + self._delays - 1,
                stopping_criteria=[*stopping_criteria(lambda length: report(length - 1 - known)), steps],
            )
        hop = self.sample_rate // self.frame_rate
        return Window(sound[0].T[: frames * hop].float().cpu().numpy(), self._codes(steps.tokens, heard, frames))

    def _codes(self, tokens: torch.Tensor, heard: torch.Tensor | None, frames: int) -> torch.Tensor:
        """The codes in the order of time. Those that were heard are not in the tokens where the delay has its steps."""
        import torch

        delays = [1 + book // self.channels for book in range(self._codebooks)]
        codes = torch.stack([row[delay : delay + frames] for row, delay in zip(tokens, delays, strict=True)])
        if heard is not None:
            codes[:, : heard.shape[1]] = heard
        return codes

    def free(self) -> None:
        """See ``Engine``."""
        self._model = self._tokenizer = None
        free_memory(self.device)


class _Steps:
    """Keeps the tokens that there are after the last step; as a stopping criterion it stops nothing."""

    tokens: torch.Tensor

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        import torch

        self.tokens = input_ids
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def _choosing(sampling: Sampling) -> dict[str, Any]:
    if not sampling.temperature:
        return {"do_sample": False}
    return {
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_k": 0 if sampling.top_p else sampling.top_k,
        "top_p": sampling.top_p or 1.0,
    }


def load(model: Path | str, device: torch.device, dtype: torch.dtype, *, local_files_only: bool) -> TransformersEngine:
    """Load a model from its folder, or from the hub; ``explain_loading`` belongs around it.

    Raises:
        ModelNotFoundError: it is no MusicGen that makes music from text, or lacks something.
    """
    from transformers import AutoConfig, AutoTokenizer, MusicgenForConditionalGeneration

    musicgen: Any = MusicgenForConditionalGeneration  # of whose two results its types know one
    # Whatever a checkpoint says, none of its code is run.
    where: dict[str, Any] = {
        "local_files_only": local_files_only or isinstance(model, Path), "trust_remote_code": False
    }  # fmt: skip
    with quiet():
        config = AutoConfig.from_pretrained(model, **where)
        if config.model_type != "musicgen":
            raise ModelNotFoundError(
                f"{str(model)!r} holds a model of the type {config.model_type}, not musicgen.",
                hint="Take one that makes music from text alone, such as facebook/musicgen-small.",
            )
        tokenizer = AutoTokenizer.from_pretrained(model, **where)
        loaded, loading = musicgen.from_pretrained(model, config=config, dtype=dtype, output_loading_info=True, **where)
    lacks = [f"{len(names)} of its weights, such as {min(names)}" for names in [loading["missing_keys"]] if names]
    # Without its file the library makes a tokenizer of special tokens and the space.
    lacks += ["its tokenizer"] if len(tokenizer) <= len(tokenizer.all_special_tokens) + 1 else []
    if lacks:
        raise ModelNotFoundError(
            f"The MusicGen model {str(model)!r} lacks {lacks[0]}.", hint="Fetch or save the model again."
        )
    # The codec is small and makes the very samples: half precision would be heard.
    loaded.audio_encoder.float()
    return TransformersEngine(loaded.to(device).eval(), tokenizer)
