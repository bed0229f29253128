"""A recording on its way through Whisper, one window of 30 s after the other.

The library's ``transcribe`` gives nothing before all is done. Here are its windows as steps, from the same parts: its
spectrogram, its decoding, its alignment of words. What a step does is in "Robust Speech Recognition via Large-Scale
Weak Supervision" (https://arxiv.org/abs/2212.04356), section 4.5; a test holds that the result is the library's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import whisper
from lollms_modalities import Segment, Word, current_call
from lollms_modalities.kit.torch import seeded
from whisper.audio import FRAMES_PER_SECOND, HOP_LENGTH, N_FRAMES, N_SAMPLES, SAMPLE_RATE
from whisper.timing import add_word_timestamps
from whisper.tokenizer import get_tokenizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from whisper import DecodingResult, Whisper
    from whisper.tokenizer import Tokenizer

# In sound that never exceeds this (-80 dBFS) Whisper hears only what it invents; it hears speech at -70.
_QUIET = 1e-4
# What whisper.transcribe takes for a failure, upon which it tries a higher temperature.
_REPETITIVE = 2.4  # how far the text can be compressed
_UNSURE = -1.0  # mean logarithm of the tokens' probabilities
# If the model says with more than this that nobody speaks, it is believed, however sure it is of the words it heard.
# Measured with tiny.en: speech had up to 0.64, also quiet and in noise; noise, hum and silence 0.8 to 0.97.
_SURELY_SILENT = 0.85
# Text of a higher temperature is no context for the next window.
_WILD = 0.5

# Alignment switches a flag of all Whisper models in the process off and on, and runs Numba's threads: one at a time.
_aligning = threading.Lock()


class Ask(NamedTuple):
    """What one call wants."""

    language: str | None
    task: str
    beam_size: int
    temperatures: Sequence[float]
    initial_prompt: str | None
    word_times: bool
    no_speech_threshold: float
    fp16: bool
    seed: int


class Hearing:
    """One recording, and how far it has been heard.

    Attributes:
        duration: of the recording, in seconds.
        language: Whisper's code; None until it is known.
        language_probability: from 0 to 1, or None.
    """

    def __init__(self, model: Whisper, samples: npt.NDArray[np.float32], ask: Ask) -> None:
        self.duration: float = len(samples) / SAMPLE_RATE
        self.language = ask.language if model.is_multilingual else "en"
        self.language_probability: float | None = None if self.language is None else 1.0
        self._ask = ask
        self._samples = samples
        # Frames of 10 ms; those of the 30 s of silence after the recording are not heard, but looked at.
        self._mel = whisper.log_mel_spectrogram(samples, model.dims.n_mels, padding=N_SAMPLES)
        self._frames: int = self._mel.shape[-1] - N_FRAMES
        self._next = 0
        self._context: list[int] | None = None
        self._last_word = 0.0

    @property
    def done(self) -> bool:
        """Whether all has been heard."""
        return self._next >= self._frames

    @property
    def seconds(self) -> float:
        """How much of the recording has been heard."""
        return self.duration if self.done else float(self._next / FRAMES_PER_SECOND)

    def step(self, model: Whisper) -> list[Segment]:
        """Hear the next window; what is said in it."""
        start, size = self._next, min(N_FRAMES, self._frames - self._next)
        self._next += size
        if self._is_quiet(start, size):
            return []
        fp16 = self._ask.fp16 and model.device.type == "cuda"
        mel = whisper.pad_or_trim(self._mel[:, start : start + size], N_FRAMES)
        mel = mel.to(model.device, torch.float16 if fp16 else torch.float32)
        with _stoppable(model), torch.no_grad():
            sound = model.embed_audio(mel.unsqueeze(0))
            if self.language is None:
                self._hear_language(model, sound)
            tokenizer = get_tokenizer(
                model.is_multilingual, num_languages=model.num_languages, language=self.language, task=self._ask.task
            )
            if self._context is None:
                prompt = self._ask.initial_prompt
                self._context = tokenizer.encode(f" {prompt.strip()}", disallowed_special=()) if prompt else []
            result = self._decode(model, sound[0], fp16, start)
        if self._is_silent(result):
            return []
        return self._segments(model, tokenizer, mel, result, start, size)

    def _is_quiet(self, start: int, size: int) -> bool:
        samples = self._samples[start * HOP_LENGTH : (start + size) * HOP_LENGTH]
        return bool(max(samples.max(), -samples.min()) < _QUIET)

    def _hear_language(self, model: Whisper, sound: torch.Tensor) -> None:
        _, (probabilities,) = model.detect_language(sound)
        self.language = max(probabilities, key=probabilities.__getitem__)
        self.language_probability = probabilities[self.language]

    def _decode(self, model: Whisper, sound: torch.Tensor, fp16: bool, start: int) -> DecodingResult:
        """What the model writes at the first temperature that does not fail, or at the last."""
        ask = self._ask
        for temperature in ask.temperatures:
            options = whisper.DecodingOptions(
                task=ask.task,
                language=self.language,
                temperature=temperature,
                beam_size=ask.beam_size if ask.beam_size > 1 and temperature == 0 else None,
                prompt=self._context,
                fp16=fp16,
            )
            # Only what is sampled needs the generators, which all of the process share.
            with seeded(ask.seed + start, model.device) if temperature else nullcontext():
                result = whisper.decode(model, sound, options)
            failed = result.compression_ratio > _REPETITIVE or result.avg_logprob < _UNSURE
            if not failed or self._is_silent(result):
                break
        return result

    def _is_silent(self, result: DecodingResult) -> bool:
        silent = result.no_speech_prob > self._ask.no_speech_threshold
        return bool(silent and (result.avg_logprob < _UNSURE or result.no_speech_prob > _SURELY_SILENT))

    def _segments(
        self, model: Whisper, tokenizer: Tokenizer, mel: torch.Tensor, result: DecodingResult, start: int, size: int
    ) -> list[Segment]:
        written = split(result.tokens, tokenizer.timestamp_begin)
        frames = N_FRAMES // model.dims.n_audio_ctx  # of one timestamp
        seconds = frames / FRAMES_PER_SECOND
        begin = start / FRAMES_PER_SECOND
        parts: list[dict[str, Any]] = [
            {
                "seek": start,
                "start": begin + part.start * seconds,
                "end": begin + (size / FRAMES_PER_SECOND if part.end is None else part.end * seconds),
                "tokens": part.tokens,
                "words": [],
            }
            for part in written.parts
        ]
        goes_on = start + written.goes_on * frames if written.goes_on is not None else None
        if self._ask.word_times:
            # On a GPU the library has kernels of its own for this, which run on the current one, wherever the model is.
            current = torch.cuda.device(model.device) if model.device.type == "cuda" else nullcontext()
            with _aligning, current:
                add_word_timestamps(
                    segments=parts,
                    model=model,
                    tokenizer=tokenizer,
                    mel=mel,
                    num_frames=size,
                    last_speech_timestamp=self._last_word,
                )
            end = next((part["words"][-1]["end"] for part in reversed(parts) if part["words"]), parts[-1]["end"])
            self._last_word = end
            if not written.ended:
                goes_on = round(end * FRAMES_PER_SECOND)
        if goes_on is not None and goes_on > start:
            self._next = goes_on
        for part in parts:
            part["text"] = tokenizer.decode([token for token in part["tokens"] if token < tokenizer.eot]).strip()
        kept = [part for part in parts if part["text"] and part["start"] != part["end"]]
        assert self._context is not None
        self._context += [token for part in kept for token in part["tokens"]]
        if result.temperature > _WILD:
            self._context = []
        return [self._segment(part, result) for part in kept]

    def _segment(self, part: dict[str, Any], result: DecodingResult) -> Segment:
        def within(seconds: float) -> float:
            return round(min(float(seconds), self.duration), 3)  # a window of 30 s may be longer than the recording

        return Segment(
            text=part["text"],
            start=within(part["start"]),
            end=within(part["end"]),
            words=tuple(
                Word(word["word"], within(word["start"]), within(word["end"]), float(word["probability"]))
                for word in part["words"]
            ),
            probability=math.exp(min(0.0, result.avg_logprob)),
            language=self.language,
            extra={
                "no_speech_probability": result.no_speech_prob,
                "compression_ratio": result.compression_ratio,
                "temperature": result.temperature,
            },
        )


class Part(NamedTuple):
    """A part of what the model wrote, from one timestamp to another; times are numbers of timestamps in the window."""

    tokens: list[int]
    start: int
    end: int | None  # None: the window's end


class Written(NamedTuple):
    """What the model wrote in one window.

    Attributes:
        parts: in their order.
        ended: whether it ends with a timestamp after which nothing is said.
        goes_on: the timestamp from which the next window is to begin; None for this one's end.
    """

    parts: list[Part]
    ended: bool
    goes_on: int | None


def split(tokens: Sequence[int], first: int) -> Written:
    """Split what the model wrote at its timestamps, which are the tokens from ``first`` on.

    Where two of them stand together, one part ends and another begins. What follows the last such pair has no end in
    this window, and is left out to be heard from its beginning; unless a lone timestamp ends it. Text without a pair is
    one part, of the whole window.
    """
    stamps = [token >= first for token in tokens]
    ended = stamps[-2:] == [False, True]
    cuts = [n for n, pair in enumerate(pairwise(stamps), 1) if all(pair)]
    if not cuts:
        last = max((token - first for token in tokens if token >= first), default=0)
        return Written([Part(list(tokens), 0, last or None)], ended, None)
    if ended:
        cuts.append(len(tokens))
    parts = [Part(list(tokens[a:b]), tokens[a] - first, tokens[b - 1] - first) for a, b in pairwise([0, *cuts])]
    return Written(parts, ended, None if ended else parts[-1].end)


@contextmanager
def _stoppable(model: Whisper) -> Iterator[None]:
    """Let the current call be stopped between any two layers of the model.

    Not while words are aligned: the library leaves its hooks behind when that is interrupted.
    """
    call = current_call()

    def check(*_: object) -> None:
        call.check()

    blocks = (*model.encoder.blocks, *model.decoder.blocks)
    hooks = [block.register_forward_pre_hook(check) for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
