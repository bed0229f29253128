"""Music, or nearly: a chord."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from lollms_modalities import Audio, CallOptions, Capabilities, Duration, LollmsTTMBinding, Seed, report_progress

RATE = 16000


class ChordTTMBinding(LollmsTTMBinding):
    """Plays a chord whose root comes from the prompt, and whose notes come from the seed."""

    engine = "numpy"
    capabilities = Capabilities(seed=True)

    class Options(CallOptions):
        duration: Duration = 1.0
        seed: Seed = None

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        rng = np.random.default_rng(kwargs["seed"])
        seconds = np.arange(round(RATE * kwargs["duration"])) / RATE
        root = 110 * 2 ** (zlib.crc32(prompt.encode()) % 12 / 12)
        notes = [0, *sorted(rng.choice(np.arange(1, 12), 2, replace=False))]
        music = np.zeros(len(seconds))
        for done, note in enumerate(notes):
            report_progress(done, len(notes), unit="note")
            music += np.sin(2 * np.pi * root * 2 ** (note / 12) * seconds) / len(notes)
        report_progress(len(notes), len(notes), unit="note")
        return Audio.from_samples(music, RATE)

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["chord"]
