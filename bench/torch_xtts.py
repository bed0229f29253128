"""XTTS: the binding against the library alone, on a tiny checkpoint whose vocoder has the real size."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from lollms_modalities import Audio, CallCancelled, CancelToken
from lollms_modalities.kit.torch import seeded

from bench.harness import paired, seconds, show, show_extra

if TYPE_CHECKING:
    from lollms_xtts import XTTSBinding

SENTENCE = "The birch canoe slid on the smooth planks."


@contextmanager
def tiny_xtts(tokens: int) -> Iterator[XTTSBinding]:
    """A loaded binding, whose sentences have so many tokens (46 ms of sound each)."""
    from lollms_xtts import XTTSBinding
    from xtts_model import make_xtts_model  # type: ignore[import-not-found, unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        make_xtts_model(Path(folder), tokens=tokens)
        with XTTSBinding(folder, device="cpu", n_threads=1) as xtts:
            xtts.load()
            yield xtts


def xtts_call() -> None:
    """A call of the binding against the library's own, both seeded, both ending in a WAV file in memory."""
    with tiny_xtts(tokens=24) as xtts:
        engine = xtts.model
        latents = engine.model.speaker_manager.speakers["Viktor Eka"].values()

        def alone() -> None:
            with seeded(1, engine.device):
                made = engine.model.inference(SENTENCE, "en", *latents, **engine.sampling())["wav"]
            Audio.from_samples(made, 24000)

        pair = paired(
            lambda: seconds(lambda: xtts.generate_audio(SENTENCE, "Viktor Eka", seed=1)),
            lambda: seconds(alone),
            pairs=21,
        )
        show("XTTS, a sentence of 1.1 s", "coqui-tts alone", pair, 1.02)


def xtts_first_audio() -> None:
    """When the first sound of one sentence is there: as a stream in parts of 10 tokens, against the whole."""
    with tiny_xtts(tokens=60) as xtts:

        def first() -> float:
            return seconds(lambda: next(iter(xtts.stream_audio(SENTENCE, stream_chunk_size=10))))

        whole = lambda: seconds(lambda: xtts.generate_audio(SENTENCE))  # noqa: E731
        show("XTTS, first sound of a sentence of 2.8 s", "the whole", paired(first, whole, pairs=7), 0.5)

        text = " ".join([SENTENCE] * 4)
        sentence = lambda: seconds(lambda: next(iter(xtts.stream_audio(text))))  # noqa: E731
        whole = lambda: seconds(lambda: xtts.generate_audio(text))  # noqa: E731
        show("XTTS, first of four sentences", "the whole", paired(sentence, whole, pairs=3), 0.5)


def xtts_known_voice() -> None:
    """The second call with a recording of 30 s as the voice against the first, in which it is learnt."""
    noise = np.random.default_rng(1).normal(0, 0.1, 30 * 22050).astype(np.float32)
    voice = Audio.from_samples(noise, 22050)
    with tiny_xtts(tokens=5) as xtts:

        def second() -> float:
            return seconds(lambda: xtts.generate_audio("One.", voice))

        def first() -> float:
            xtts.model._heard.clear()
            return second()

        show("XTTS, second call with a recording's voice", "the first", paired(second, first, pairs=9), 0.8)


def xtts_cancel() -> None:
    """From the cancelling of a call to its end, at moments spread over a sentence of 3.7 s."""
    late: list[float] = []
    with tiny_xtts(tokens=80) as xtts:
        whole = seconds(lambda: xtts.generate_audio(SENTENCE))
        for n in range(12):
            token, at = CancelToken(), [0.0]

            def cancel(token: CancelToken = token, at: list[float] = at) -> None:
                at[0] = time.perf_counter()
                token.cancel()

            timer = threading.Timer(whole * 0.9 * (n + 0.5) / 12, cancel)
            timer.start()
            try:
                xtts.generate_audio(SENTENCE, cancel=token)
            except CallCancelled:
                late.append(time.perf_counter() - at[0])
            timer.join()
    if not late:
        raise RuntimeError("No call was cancelled before its end.")
    how = f"median of {len(late)}, the latest {max(late) * 1e3:.0f} ms, of a call of {whole * 1e3:.0f} ms"
    show_extra("XTTS, from the cancelling to the end", statistics.median(late), 0.5, 1e3, "ms", how)


BENCHMARKS: dict[str, Callable[[], None]] = {
    "xtts_call": xtts_call,
    "xtts_first_audio": xtts_first_audio,
    "xtts_known_voice": xtts_known_voice,
    "xtts_cancel": xtts_cancel,
}
