"""Bark: the binding beside the library alone, batches beside one by one, memory of two bindings, how soon it stops."""

from __future__ import annotations

import logging
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities import Audio, CallCancelled, CancelToken, Progress

from bench.harness import paired, seconds, show, show_extra

SENTENCE = "The birch canoe slid on smooth planks."
TEXT = " ".join(f"Sentence {n} of a text to be read." for n in range(17))


@contextmanager
def checkpoint(**sizes: Any) -> Iterator[Path]:
    """A Bark of random weights, whose sentences are about as long as each other."""
    from bark_model import make_bark  # type: ignore[import-not-found, unused-ignore]
    from lollms_modalities.kit.quieting import quiet

    with tempfile.TemporaryDirectory() as folder:
        import transformers  # noqa: F401 - so that it is hushed

        with quiet():
            made = make_bark(Path(folder), voices=["v2/en_speaker_6"], shortest=60, **sizes)
        yield made


def alone() -> None:
    """One sentence by the binding, and by the library on the same weights: the same samples."""
    import torch
    from lollms_bark import BarkTTSBinding

    with checkpoint(layers=2, width=64) as folder, BarkTTSBinding(str(folder), n_threads=1) as binding:
        binding.load()
        torch.set_num_threads(1)
        model, processor = binding.model._model, binding.model._processor
        logging.getLogger("transformers").setLevel(logging.ERROR)  # the library alone tells of its own doings

        def library() -> Audio:
            inputs = processor([SENTENCE], voice_preset="v2/en_speaker_6")
            torch.manual_seed(1)
            sound, _ = model.generate(**inputs, return_output_lengths=True)
            return Audio.from_samples(sound[0].numpy(), 24000)

        def ours() -> Audio:
            return binding.generate_audio(SENTENCE, seed=1)

        assert ours() == library()
        pair = paired(lambda: seconds(ours), lambda: seconds(library), pairs=15)
        show("Bark, a sentence", "transformers alone", pair, 1.02)


def batches() -> None:
    """A text of 17 sentences, the first alone and the others together, and one sentence at a time."""
    from lollms_bark import BarkTTSBinding

    with checkpoint() as folder, BarkTTSBinding(str(folder), n_threads=1) as binding:

        def seconds_a_second(**size: Any) -> float:
            """Lengths are drawn, so what counts is the time that a second of sound takes."""
            began = time.perf_counter()
            made = binding.generate_audio(TEXT, seed=1, **size)
            return (time.perf_counter() - began) / made.duration

        pair = paired(seconds_a_second, lambda: seconds_a_second(batch_size=1), pairs=3)
        show("Bark, 17 sentences, a second of sound", "one by one", pair, 1 / 3)


MEMORY = """
import sys, psutil
from lollms_bark import BarkTTMBinding, BarkTTSBinding
kinds = {"tts": [BarkTTSBinding], "both": [BarkTTSBinding, BarkTTMBinding]}[sys.argv[2]]
bindings = [kind(sys.argv[1], n_threads=1) for kind in kinds]
for binding in bindings:
    binding.load()
    getattr(binding, "generate_audio", None) and binding.generate_audio("hi", seed=1)
    getattr(binding, "generate_music", None) and binding.generate_music("hi", seed=1)
print(psutil.Process().memory_info().rss)
"""


def memory() -> None:
    """Memory of a process that holds both bindings on one model, beside one with TTS alone."""

    def rss(folder: Path, kinds: str) -> float:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(folder), kinds], capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    with checkpoint(layers=12, width=640) as folder:
        size = (folder / "model.safetensors").stat().st_size
        pair = paired(lambda: rss(folder, "both"), lambda: rss(folder, "tts"), pairs=2, warm_up=0)
        show(f"Bark, memory of TTS and TTM, {size / 1e6:.0f} MB of weights", "of TTS", pair, 1.1, unit=1e-6, name="MB")


def stopping() -> None:
    """From cancel() to the end of the call, at ten places of it."""
    from lollms_bark import BarkTTSBinding

    with checkpoint(layers=4, width=128) as folder, BarkTTSBinding(str(folder), n_threads=1) as binding:
        text = " ".join([SENTENCE] * 5)
        binding.generate_audio(SENTENCE)
        taken = [stopped_after(binding, text, at / 10) for at in range(10)]
    middle, worst = statistics.median(taken), max(taken)
    show_extra(
        "Bark, cancel() to the end of the call", worst, 2.0, 1e3, "ms", f"worst of 10, median {middle * 1e3:.0f}"
    )


def stopped_after(binding: Any, text: str, part: float) -> float:
    """Seconds from a ``cancel()`` by another thread, when that part of the text is done, to the end of the call."""
    token, there, cancelled = CancelToken(), threading.Event(), [0.0]

    def watch(progress: Progress) -> None:
        if progress.fraction is not None and progress.fraction >= part:
            there.set()

    def cancel() -> None:
        there.wait()
        time.sleep(0.01)  # in the middle of a step
        cancelled[0] = time.perf_counter()
        token.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        binding.generate_audio(text, progress=watch, cancel=token)
    except CallCancelled:
        return time.perf_counter() - cancelled[0]
    finally:
        there.set()
        thread.join()
    raise AssertionError("it was not cancelled")


BENCHMARKS: dict[str, Callable[[], None]] = {
    "bark": alone, "bark_batches": batches, "bark_memory": memory, "bark_stopping": stopping,
}  # fmt: skip
