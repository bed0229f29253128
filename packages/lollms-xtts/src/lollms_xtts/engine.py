"""An XTTS model in memory, with the voices that it has learnt from recordings."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities import (
    BindingDependencyError,
    MediaError,
    ModelNotFoundError,
    OptionError,
    VoiceNotFoundError,
    current_call,
)
from lollms_modalities.kit import near_miss, pieces, quiet
from lollms_modalities.kit.hub import explain_loading
from lollms_modalities.kit.torch import free_memory

from lollms_xtts.models import WHAT, read_config

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

_REFERENCE_RATE = 22050  # samples per second at which XTTS hears a voice
_SHORTEST = 0.33  # seconds of a recording; what is shorter, the library leaves out
_KEPT_VOICES = 64  # of the real model 131 kB each


class Voice(NamedTuple):
    """How somebody sounds: what the model speaks after, and what its vocoder does."""

    latents: torch.Tensor
    embedding: torch.Tensor


class Engine:
    """A model and its voices. Not for two threads at once: the model keeps what it is about to say in itself."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self.model = model
        self.device = device
        self.sample_rate: int = model.args.output_sample_rate
        self.languages: list[str] = list(model.config.languages)
        self.speakers: dict[str, Any] = model.speaker_manager.speakers if model.speaker_manager else {}
        self._heard: OrderedDict[bytes, Voice] = OrderedDict()
        # The vocoder makes a sentence's sound in one go, and hears a voice in one: each layer is where a call can stop.
        for layer in model.hifigan_decoder.modules():
            layer.register_forward_pre_hook(lambda layer, inputs: current_call().check())

    def speak(
        self, text: str, language: str, voice: Voice, chunk_tokens: int, sampling: dict[str, Any]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """The sound of one piece of text, float32 in [-1, 1], shape (n,): whole, or as it comes.

        Args:
            text: short enough for the model: see ``split``.
            language: one of ``languages``.
            voice: whose.
            chunk_tokens: how many tokens make a part (one is some 46 ms); 0 for the whole.
            sampling: further arguments of the library's ``inference``.
        """
        from lollms_modalities.kit.torch import stopping_criteria

        call = current_call()
        arguments = {**sampling, "stopping_criteria": stopping_criteria(lambda tokens: call.check())}
        if not chunk_tokens:
            yield self.model.inference(text, language, *voice, **arguments)["wav"]
            return
        for part in self.model.inference_stream(text, language, *voice, stream_chunk_size=chunk_tokens, **arguments):
            yield part.cpu().numpy()

    def sampling(self, **given: float | None) -> dict[str, Any]:
        """Arguments of the library's ``inference``: what is given, else what the model's configuration says."""
        config = self.model.config
        names = ("temperature", "length_penalty", "repetition_penalty", "top_k", "top_p")
        chosen = {name: config[name] for name in names} | {k: v for k, v in given.items() if v is not None}
        if chosen["temperature"] == 0:
            # The library's streaming always draws: of one token there is no choice.
            chosen |= {"temperature": 1.0, "top_k": 1}
        return chosen

    def language(self, tag: str) -> str:
        """The model's code for a language tag (BCP 47)."""
        whole = tag.replace("_", "-").lower()
        base = whole.split("-")[0]
        for code in (whole, base, f"{base}-cn"):
            if code in self.languages:
                return code
        raise OptionError(
            f"option 'language': the model does not speak {tag!r}.",
            hint=near_miss(base, self.languages, "languages"),
            names=["language"],
        )

    def split(self, text: str, language: str) -> Iterator[str]:
        """The text in pieces that the model can take: sentences, or parts of them; signs alone are left out."""
        longest: int = self.model.tokenizer.char_limits.get(language.split("-")[0], 250)
        most: int = self.model.args.gpt_max_text_tokens

        def measure(piece: str) -> int:
            if len(piece) > longest:
                return len(piece)
            # Numbers are written out, so that few characters may become many tokens.
            return max(len(piece), self._tokens(piece, language) * longest // most + 1)

        return (piece for piece in pieces(text, longest, measure) if any(map(str.isalnum, piece)))

    def _tokens(self, piece: str, language: str) -> int:
        return len(self.model.tokenizer.encode(piece.lower(), language))

    def speaker(self, name: str) -> Voice:
        """The voice of that name that the model brings."""
        if name not in self.speakers:
            raise VoiceNotFoundError(
                f"There is no voice {name[:80]!r}: the model has none of that name, and it is no file.",
                hint=f"{near_miss(name[:80], self.speakers, 'voices')} Or give a recording: its path or its bytes.",
                voice=name[:200],
            )
        return Voice(*(value.to(self.device) for value in self.speakers[name].values()))

    def first_speaker(self) -> Voice:
        """The voice where none is asked for."""
        if not self.speakers:
            raise VoiceNotFoundError(
                "No voice was given, and the model brings none.",
                hint="Give a recording as voice, or set default_speaker_wav.",
            )
        return self.speaker(next(iter(self.speakers)))

    def hear(self, recording: Path | bytes) -> Voice:
        """The voice of a recording; of one with the same content it is known already."""
        content = digest(recording)
        if content not in self._heard:
            self._heard[content] = self._learn(recording)
            while len(self._heard) > _KEPT_VOICES:
                self._heard.popitem(last=False)
        self._heard.move_to_end(content)
        return self._heard[content]

    def free(self) -> None:
        """Let go of the memory."""
        self.model = None
        self.speakers = {}
        self._heard.clear()
        free_memory(self.device)

    def forget(self, content: bytes) -> None:
        """Forget what was learnt from a recording, of which this is the ``digest``."""
        self._heard.pop(content, None)

    def _learn(self, recording: Path | bytes) -> Voice:
        """As the library's ``get_conditioning_latents``, which reads files with torchcodec and FFmpeg's libraries."""
        import torch
        from lollms_modalities.kit import decode_audio

        config = self.model.config
        samples = decode_audio(recording, _REFERENCE_RATE)[: _REFERENCE_RATE * config.max_ref_len]
        if len(samples) < _SHORTEST * _REFERENCE_RATE:
            raise MediaError(
                f"The recording of the voice holds {len(samples) / _REFERENCE_RATE:.2f} s of sound.",
                hint="Give at least 0.33 s; six seconds and more are better.",
            )
        current_call().check()
        heard = torch.from_numpy(samples).clamp(-1, 1)[None].to(self.device)
        if config.sound_norm_refs:
            heard = heard / heard.abs().max().clamp(min=1e-9) * 0.75
        return Voice(
            self.model.get_gpt_cond_latents(
                heard, _REFERENCE_RATE, length=config.gpt_cond_len, chunk_length=config.gpt_cond_chunk_len
            ),
            self.model.get_speaker_embedding(heard, _REFERENCE_RATE),
        )


def digest(recording: Path | bytes) -> bytes:
    """By which a recording is known again."""
    if isinstance(recording, bytes):
        return hashlib.sha256(recording).digest()
    with recording.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def load(folder: Path, device: torch.device) -> Engine:
    """Load the model in a folder.

    Raises:
        ModelNotFoundError: a file is missing, damaged, or holds more than numbers.
        BindingDependencyError: what coqui-tts needs beside it is missing or does not fit.
    """
    read_config(folder)
    config_class, model_class = _library()
    config = config_class()
    # transformers finds fault with a configuration that coqui-tts makes, in each load.
    with quiet(), explain_loading(folder, WHAT):
        try:
            config.load_json(str(folder / "config.json"))
            model = model_class(config)
            model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
        except (RuntimeError, TypeError) as exc:  # weights of another shape, a configuration with other fields
            reason = str(exc).strip().splitlines()[0]
            raise ModelNotFoundError(
                f"The {WHAT} {str(folder)!r} cannot be loaded: {reason[:300]}", hint="Fetch or save the model again."
            ) from exc
    return Engine(model.to(device), device)


def _library() -> tuple[Any, Any]:
    try:
        import torchaudio  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: F401 - fails first
        from TTS.tts.configs.xtts_config import XttsConfig
        from TTS.tts.models.xtts import Xtts
    except (ImportError, OSError) as exc:
        reason = str(exc).strip().splitlines() or [type(exc).__name__]
        if isinstance(exc, OSError) or "torchaudio" in str(exc):
            hint = (
                "Install the torchaudio that was built for your torch: from pytorch.org, where you have torch from "
                "(pip install torchaudio --index-url https://download.pytorch.org/whl/cpu beside a torch for the CPU)."
            )
        else:
            hint = 'Run pip install --upgrade "lollms-xtts>=2.0,<3".'
        raise BindingDependencyError(f"coqui-tts cannot be imported: {reason[0][:300]}", hint=hint) from exc
    return XttsConfig, Xtts
