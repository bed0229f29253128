"""openai-whisper through the binding against its library alone, and how soon a call stops."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import Audio, CallCancelled, CancelToken

import bench.support  # noqa: F401 - makes the makers of models importable
from bench.harness import paired, seconds, show, show_extra

if TYPE_CHECKING:
    from lollms_whisper import WhisperSTTBinding

# Harvard sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969): 40 s, so two windows.
TEXT = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It's easy to tell the "
    "depth of a well. These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of "
    "lemons makes fine punch. The box was thrown beside the parked truck. The hogs were fed chopped corn and "
    "garbage. Four hours of steady work faced us. A large size in stockings is hard to sell. The boy was there when "
    "the sun rose. A rod is used to catch pink salmon. The source of the huge river is the clear spring. Kick the "
    "ball straight and follow through. Help the woman get back to her feet. A pot of tea helps to pass the evening. "
    "Smoky fires lack flame and heat."
)


@contextmanager
def ready() -> Iterator[tuple[WhisperSTTBinding, Any, Audio]]:
    """The binding with Whisper tiny.en, the library's model in it, and speech."""
    from lollms_piper import PiperTTSBinding
    from lollms_whisper import WhisperSTTBinding
    from whisper_weights import make_openai  # type: ignore[import-not-found, unused-ignore]

    with PiperTTSBinding() as speaker:
        speech = speaker.generate_audio(TEXT, noise_scale=0, noise_w_scale=0)
    with tempfile.TemporaryDirectory() as folder:
        path = make_openai(Path(folder) / "tiny.en.pt")
        with WhisperSTTBinding(str(path), device="cpu", n_threads=1, default_beam_size=1) as binding:
            binding.load()
            yield binding, binding.model.get(path), speech


def whisper() -> None:
    """Through the binding against ``whisper.transcribe``: same model, search and decoded samples, one thread."""
    import torch
    import whisper as library
    from lollms_modalities.media.sound import decode_audio

    torch.set_num_threads(1)
    with ready() as (binding, model, speech):

        def ours(**options: Any) -> str:
            return binding.transcribe_audio(speech, **options)

        def alone(**options: Any) -> str:
            text: str = library.transcribe(model, decode_audio(speech), fp16=False, **options)["text"]
            return text

        def first() -> None:
            with binding.stream_transcript(speech) as stream:  # type: ignore[attr-defined]
                next(stream)

        def compare(what: str, pairs: int, own: dict[str, Any], theirs: dict[str, Any]) -> None:
            assert ours(**own).split() == alone(**theirs).split()
            pair = paired(lambda: seconds(lambda: ours(**own)), lambda: seconds(lambda: alone(**theirs)), pairs=pairs)
            show(f"openai-whisper, {speech.duration:.0f} s of speech{what}", "alone", pair, 1.02)

        compare("", 7, {}, {})
        compare(", times of words", 5, {"timestamps": "word"}, {"word_timestamps": True})
        compare(", beam of 5", 5, {"beam_size": 5}, {"beam_size": 5})
        pair = paired(lambda: seconds(first), lambda: seconds(alone), pairs=5)
        show("openai-whisper, first segment of the stream", "alone, whole", pair, 0.9)


def whisper_cancel() -> None:
    """From ``cancel()``, at moments spread over the call, until the call has ended."""
    with ready() as (binding, _, speech):
        whole = seconds(lambda: binding.transcribe_audio(speech))
        taken = []
        for n in range(20):
            token, cancelled = CancelToken(), [0.0]

            def cancel(token: CancelToken = token, cancelled: list[float] = cancelled) -> None:
                cancelled[0] = time.perf_counter()
                token.cancel()

            timer = threading.Timer(whole * (n + 1) / 25, cancel)
            timer.start()
            try:
                binding.transcribe_audio(speech, cancel=token)
            except CallCancelled:
                taken.append(time.perf_counter() - cancelled[0])
            timer.cancel()
        assert len(taken) > 15
        middle = statistics.median(taken) * 1e3
        how = f"slowest of {len(taken)}, median {middle:.1f} ms, of calls of {whole:.1f} s"
        show_extra("openai-whisper, cancel until the end", max(taken), 0.1, 1e3, "ms", how)


BENCHMARKS: dict[str, Callable[[], None]] = {"whisper": whisper, "whisper_cancel": whisper_cancel}
