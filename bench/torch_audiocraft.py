"""MusicGen through the binding against transformers alone, and how soon it stops."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lollms_modalities import Audio, CallCancelled, CancelToken

from bench.harness import paired, seconds, show, show_extra

PROMPT = "a slow piano"


def _musicgen() -> Path:
    from musicgen_model import make_musicgen  # type: ignore[import-not-found, unused-ignore]

    # Wider than in the tests, so that the engine has something to do; still far less than the real one.
    path: Path = make_musicgen(Path(tempfile.mkdtemp()) / "musicgen", window=500, layers=4, width=256)
    return path


def musicgen() -> None:
    """Eight seconds of music: same weights, same seed, the same bytes in the end."""
    import torch
    from lollms_audiocraft import AudioCraftTTMBinding
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    path = _musicgen()
    torch.set_num_threads(1)
    model: Any = MusicgenForConditionalGeneration.from_pretrained(path)
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    with AudioCraftTTMBinding(str(path), engine="transformers", n_threads=1) as binding:
        binding.load()

        def alone() -> bytes:
            torch.manual_seed(7)
            inputs = tokenizer([PROMPT], return_tensors="pt")
            made = model.generate(**inputs, do_sample=True, top_k=250, guidance_scale=3.0, max_new_tokens=403)
            return Audio.from_samples(made[0].T.numpy(), 32000)

        def ours() -> bytes:
            return binding.generate_music(PROMPT, duration=8, seed=7)

        assert ours() == alone()
        pair = paired(lambda: seconds(ours), lambda: seconds(alone), pairs=15)
        show("MusicGen, 8 s of music", "transformers alone", pair, 1.02)


def musicgen_cancel() -> None:
    """From the cancelling by another thread to the exception, at moments that the engine has not chosen."""
    from lollms_audiocraft import AudioCraftTTMBinding

    with AudioCraftTTMBinding(str(_musicgen()), engine="transformers", n_threads=1) as binding:
        binding.load()
        steps: list[float] = []
        binding.generate_music(PROMPT, duration=8, seed=7, progress=lambda p: steps.append(time.perf_counter()))
        step = (steps[-1] - steps[0]) / len(steps)
        taken = []
        for n in range(15):
            token, at = CancelToken(), [0.0]

            def cancel(token: CancelToken = token, at: list[float] = at) -> None:
                at[0] = time.perf_counter()
                token.cancel()

            timer = threading.Timer(0.2 + 0.013 * n, cancel)
            timer.start()
            try:
                binding.generate_music(PROMPT, duration=60, cancel=token)
            except CallCancelled:
                taken.append(time.perf_counter() - at[0])
            timer.join()
        assert len(taken) == 15
        how = f"median of 15, longest {max(taken) * 1e3:.1f} ms; a step takes {step * 1e3:.1f} ms"
        show_extra("MusicGen, from cancel to its end", statistics.median(taken), 0.2, 1e3, "ms", how)


BENCHMARKS: dict[str, Callable[[], None]] = {"musicgen": musicgen, "musicgen_cancel": musicgen_cancel}
