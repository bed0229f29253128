"""Music, or nearly: a chord."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from lollms_modalities import (
    Audio,
    Capabilities,
    Duration,
    LollmsTTMBinding,
    Lyrics,
    NegativePrompt,
    OptionError,
    RepaintOptions,
    Seed,
    report_progress,
)
from lollms_modalities.kit import decode_audio

RATE = 16000
_BEAT = 0.25  # seconds of a word


class ChordTTMBinding(LollmsTTMBinding):
    """Plays a chord whose root comes from the prompt, and whose notes come from the seed.

    It falls silent between the words of ``lyrics``, keeps off the root that ``negative_prompt`` has, goes on from
    ``audio``, and makes the part of it from ``start`` to ``end`` anew.
    """

    engine = "numpy"
    capabilities = Capabilities(seed=True)

    class Options(RepaintOptions):
        duration: Duration = 1.0
        seed: Seed = None
        lyrics: Lyrics = None
        negative_prompt: NegativePrompt = ""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        options = self.Options(**kwargs)
        given = np.zeros(0, np.float32) if options.audio is None else decode_audio(options.audio, RATE)
        if options.start is None and options.end is None:
            count = round(RATE * options.duration) - len(given)
            if count <= 0:
                raise OptionError(
                    f"The music to go on from lasts {len(given) / RATE:.2f} s, the result {options.duration:g} s.",
                    hint="duration counts it: ask for more.",
                    names=["duration", "audio"],
                )
            return Audio.from_samples(np.concatenate([given, self._chord(prompt, count, options)]), RATE)
        begin = round(RATE * (options.start or 0))
        end = len(given) if options.end is None else round(RATE * options.end)
        if not begin < end <= len(given):
            raise OptionError(
                f"The music lasts {len(given) / RATE:.2f} s.", hint="Give a part of it.", names=["start", "end"]
            )
        made = np.array(given)
        made[begin:end] = self._chord(prompt, end - begin, options)
        return Audio.from_samples(made, RATE)

    def _chord(self, prompt: str, count: int, options: Options) -> np.ndarray:
        rng = np.random.default_rng(options.seed)
        seconds = np.arange(count) / RATE
        root, avoided = (zlib.crc32(text.encode()) % 12 for text in (prompt, options.negative_prompt))
        if options.negative_prompt and root == avoided:
            root += 1
        notes = [0, *sorted(rng.choice(np.arange(1, 12), 2, replace=False))]
        music = np.zeros(count)
        for done, note in enumerate(notes):
            report_progress(done, len(notes), unit="note")
            music += np.sin(2 * np.pi * 110 * 2 ** ((root + note) / 12) * seconds) / len(notes)
        report_progress(len(notes), len(notes), unit="note")
        if options.lyrics:
            sung = seconds < _BEAT * len(options.lyrics.split())
            music *= np.where(sung & (seconds % _BEAT > 0.8 * _BEAT), 0, 1)
        return music.astype(np.float32)

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["chord"]
