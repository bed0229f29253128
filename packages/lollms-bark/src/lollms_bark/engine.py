"""Bark in memory, and the one call of it that makes sound.

Bark makes sound in three stages: text becomes semantic tokens, these become the coarse codes of a codec, and these its
fine codes. The codec turns codes into sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lollms_modalities import BindingDependencyError, ModelNotFoundError, VoiceNotFoundError
from lollms_modalities.kit import quiet
from lollms_modalities.kit.torch import free_memory, stopping_criteria

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

Attention = Literal["auto", "eager", "flash_attention_2"]

_TOKENS_A_SECOND = 3  # that a speaker gets through, at least
_SHORTEST = 10  # semantic tokens, 0.2 s: without any there is no sound, and the coarse stage fails


class How(NamedTuple):
    """How a model is loaded; two that are loaded alike are one."""

    device: torch.device
    dtype: torch.dtype
    attention: Attention
    cpu_offload: bool


class Temperatures(NamedTuple):
    """Randomness of the three stages; 0 is none, None the checkpoint's own."""

    semantic: float | None
    coarse: float | None
    fine: float | None


class Sound(NamedTuple):
    """One piece of sound.

    Attributes:
        samples: float32 in [-1, 1], shape (n,).
        ended: False where it was as long as Bark can make it, so that what was to come may be missing.
    """

    samples: npt.NDArray[np.float32]
    ended: bool


class Bark:
    """A loaded model with its tokenizer and voices.

    Attributes:
        sample_rate: of the sound, in Hz.
        text_limit: tokens of text of which Bark can speak every word: it makes a quarter of a minute at most.
        prompt_limit: tokens of text that it can read at all.
    """

    def __init__(self, model: Any, processor: Any, device: torch.device, local_files_only: bool) -> None:
        from transformers.models.bark.generation_configuration_bark import (
            BarkCoarseGenerationConfig,
            BarkSemanticGenerationConfig,
        )

        self._model = model
        self._processor = processor
        self._device = device
        self._local_files_only = local_files_only
        self._voices: dict[str, Any] = {}
        settings = model.generation_config
        self._semantic: Any = BarkSemanticGenerationConfig(**settings.semantic_config)  # type: ignore[no-untyped-call, unused-ignore]
        self._coarse: Any = BarkCoarseGenerationConfig(**settings.coarse_acoustics_config)  # type: ignore[no-untyped-call, unused-ignore]
        self.sample_rate = int(settings.sample_rate)
        self.prompt_limit = int(self._semantic.max_input_semantic_length)
        seconds = self._semantic.max_new_tokens / self._semantic.semantic_rate_hz
        self.text_limit = min(self.prompt_limit, max(8, int(seconds * _TOKENS_A_SECOND)))

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return self._device

    def tokens(self, text: str) -> int:
        """Length of a text in tokens."""
        count = len(self._ids(text))
        # A word of more than 100 characters is one unknown token, and would be lost unless it is cut.
        return count if max(map(len, text.split()), default=0) <= 100 else max(count, len(text))

    def knows(self, text: str) -> bool:
        """Whether there is anything to say in a text that the tokenizer knows."""
        tokenizer = self._processor.tokenizer
        known = (token for token in tokenizer.convert_ids_to_tokens(self._ids(text)) if token != tokenizer.unk_token)
        return any(any(map(str.isalnum, token)) for token in known)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def has_voice(self, name: str) -> bool:
        """Whether the checkpoint holds the preset."""
        return name in (self._processor.speaker_embeddings or ())

    def generate(
        self,
        texts: list[str],
        voice: str | None,
        temperatures: Temperatures,
        min_eos_p: float | None,
        report: Callable[[float], None],
    ) -> list[Sound]:
        """The engine call: the sound of each text, made together.

        Args:
            texts: each of at most ``prompt_limit`` tokens.
            voice: a preset that the checkpoint holds, or None.
            min_eos_p: how likely its end must be for a text to end; the checkpoint's own where None.
            report: called after each step with the part that is done, from 0 to 1. What it raises ends the call.

        Raises:
            VoiceNotFoundError: the preset's files are missing or damaged.
        """
        prompt = None if voice is None else self._voice(voice)
        inputs = self._processor(texts, voice_preset=prompt, max_length=self.prompt_limit).to(self._device)
        gauge = _Gauge(self._expected(texts), self._codes_a_token(), report)
        with gauge.watching(self._model), quiet():
            sounds, lengths = self._model.generate(
                **inputs,
                **_sampling("semantic", temperatures.semantic),
                **_sampling("coarse", temperatures.coarse),
                **_fine_sampling(temperatures.fine),
                min_eos_p=self._semantic.min_eos_p if min_eos_p is None else min_eos_p,
                semantic_min_new_tokens=self._semantic.min_new_tokens or _SHORTEST,
                semantic_stopping_criteria=stopping_criteria(gauge.semantic),
                coarse_stopping_criteria=stopping_criteria(gauge.coarse),
                return_output_lengths=True,
            )
        most = (self._semantic.max_new_tokens - 1) / self._semantic.semantic_rate_hz
        return [
            Sound(sound[:length].float().cpu().numpy(), ended=length / self.sample_rate <= most)
            for sound, length in zip(sounds, lengths, strict=True)
        ]

    def free(self) -> None:
        """Let go of the memory."""
        self._model = self._processor = None
        self._voices.clear()
        free_memory(self._device)

    def _voice(self, name: str) -> Any:
        if name not in self._voices:
            try:
                with quiet():
                    prompt = self._processor._load_voice_preset(name, local_files_only=self._local_files_only)
                self._processor._validate_voice_preset_dict(prompt)
                self._check_codes(prompt)
            except (OSError, ValueError, TypeError, KeyError) as exc:
                raise VoiceNotFoundError(
                    f"The voice preset {name!r} of the Bark model is missing or damaged: {exc}",
                    hint="Fetch the model again, or choose another voice.",
                    voice=name,
                ) from exc
            self._voices[name] = prompt
        return self._voices[name]

    def _check_codes(self, prompt: dict[str, Any]) -> None:
        """Codes beyond a vocabulary would be looked up outside of it, which on a GPU ends the process's use of it."""
        codes = self._model.generation_config.codebook_size
        for part, count in (
            ("semantic_prompt", self._semantic.semantic_vocab_size), ("coarse_prompt", codes), ("fine_prompt", codes)
        ):  # fmt: skip
            if prompt[part].dtype.kind not in "iu" or prompt[part].min() < 0 or prompt[part].max() >= count:
                raise ValueError(f"its {part} holds what is no code")

    def _expected(self, texts: list[str]) -> float:
        """About how many semantic tokens the longest of the texts becomes."""
        most: float = self._semantic.max_new_tokens
        longest: float = max(map(self.tokens, texts)) / _TOKENS_A_SECOND * self._semantic.semantic_rate_hz
        return max(1.0, min(longest, most))

    def _codes_a_token(self) -> float:
        codes: float = self._coarse.coarse_rate_hz * self._coarse.n_coarse_codebooks / self._semantic.semantic_rate_hz
        return codes


class _Gauge:
    """What part of a generation is done, as its stages tell: by and large, and never backwards."""

    _STAGES = (0.0, 0.3, 0.9, 1.0)  # where each stage begins

    def __init__(self, expected: float, codes_a_token: float, report: Callable[[float], None]) -> None:
        self._expected = expected
        self._codes_a_token = codes_a_token
        self._report = report
        self._done = [0, 0, 0]

    def semantic(self, length: int) -> None:
        self._step(0, self._expected)

    def coarse(self, length: int) -> None:
        self._step(1, self._done[0] * self._codes_a_token)

    def fine(self, *seen: object) -> None:
        self._step(2, self._fine_steps)

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """Be told of each layer of the fine stage, which has no other place to ask."""
        layers = model.fine_acoustics.layers
        self._fine_steps = len(layers) * model.config.fine_acoustics_config.n_codes_total
        hooks = [layer.register_forward_pre_hook(self.fine) for layer in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _step(self, stage: int, total: float) -> None:
        self._done[stage] += 1
        begin, end = self._STAGES[stage : stage + 2]
        self._report(begin + (end - begin) * min(1.0, self._done[stage] / max(1.0, total)))


def _sampling(stage: str, temperature: float | None) -> dict[str, Any]:
    if temperature is None:
        return {}
    if temperature == 0:
        return {f"{stage}_do_sample": False}
    return {f"{stage}_do_sample": True, f"{stage}_temperature": temperature}


def _fine_sampling(temperature: float | None) -> dict[str, Any]:
    if temperature is None:
        return {}
    # The fine stage takes both None and exactly 1 to mean no randomness.
    return {"fine_temperature": None if temperature == 0 else 1 + 1e-6 if temperature == 1 else temperature}


def load_bark(found: Path | str, how: How, local_files_only: bool) -> Bark:
    """Load a model from its folder, or from the hub's cache, fetching it first where that is allowed.

    Raises:
        ModelNotFoundError: it is not Bark, or lacks weights; see also ``explain_loading``, which belongs around this.
    """
    from transformers import AutoConfig, BarkModel, BarkProcessor

    bark: Any = BarkModel  # of whose two results its types know one
    # Whatever a checkpoint says, none of its code is run.
    where: dict[str, Any] = {"local_files_only": local_files_only, "trust_remote_code": False}
    with quiet():
        config = AutoConfig.from_pretrained(found, **where)
        if config.model_type != "bark":
            raise ModelNotFoundError(
                f"{str(found)!r} holds a model of the type {config.model_type}, which is not Bark.",
                hint="Give the folder or name of a Bark model, such as suno/bark-small.",
            )
        processor: Any = BarkProcessor.from_pretrained(found, **where)  # type: ignore[no-untyped-call, unused-ignore]
        model, loading = bark.from_pretrained(
            found, config=config, dtype=how.dtype, attn_implementation=how.attention, output_loading_info=True, **where
        )
    # The library would go on: with weights of its own making, and a tokenizer that knows no word.
    if missing := loading["missing_keys"]:
        raise _lacks(found, f"{len(missing)} of its weights, such as {min(missing)}")
    if len(processor.tokenizer) <= len(processor.tokenizer.all_special_tokens):
        raise _lacks(found, "its tokenizer")
    model.eval()
    # The codec is small and makes the very samples: half precision would be heard.
    model.codec_model.float()
    if how.cpu_offload:
        model.enable_cpu_offload(accelerator_id=how.device.index or 0)
    else:
        model.to(how.device)
    return Bark(model, processor, how.device, local_files_only)


def _lacks(found: Path | str, what: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"The Bark model {str(found)!r} lacks {what}.", hint="Fetch or save the model again.")


def pick_attention(name: Attention, device: torch.device, dtype: torch.dtype) -> Attention:
    """The attention of that name; "auto" is flash attention where it is installed and can be used.

    Raises:
        BindingDependencyError: flash attention was named and cannot be used here.
    """
    if name == "eager" or (name == "auto" and device.type != "cuda"):
        return "eager"
    import torch
    from transformers.utils.import_utils import is_flash_attn_2_available

    usable = device.type == "cuda" and dtype != torch.float32 and is_flash_attn_2_available()
    if name == "auto":
        return "flash_attention_2" if usable else "eager"
    if not usable:
        raise BindingDependencyError(
            f"attention='flash_attention_2' was asked for on {device} in {str(dtype).removeprefix('torch.')}.",
            hint="It needs an NVIDIA GPU, half precision, and pip install flash-attn.",
        )
    return name


def check_offload(device: torch.device) -> None:
    """A ``BindingDependencyError`` where a model cannot wait in the processor's memory while it is not used."""
    import importlib.util

    if device.type not in ("cuda", "mps"):
        raise BindingDependencyError(
            "cpu_offload=True was asked for, and the model runs on the processor itself.", hint="Leave it out."
        )
    if importlib.util.find_spec("accelerate") is None:
        raise BindingDependencyError(
            "cpu_offload=True needs accelerate, which is not installed.", hint="Run pip install accelerate."
        )
