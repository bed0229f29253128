"""Benchmarks, each beside its floor or its peer in the same run. ``python -m bench.run [name ...]``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lollms_modalities import Audio, AudioChunk, CallOptions, LollmsTTSBinding, Speed

from bench.cluster import cluster
from bench.first_hour import first_hour
from bench.harness import paired, seconds, show, show_extra, without_plugins
from bench.isolation import isolation
from bench.listing_peers import command_line, listing_peers
from bench.live import live
from bench.marks import marks
from bench.places import places
from bench.services import services
from bench.serving import serving
from bench.serving_jobs import serving_jobs
from bench.serving_room import room
from bench.serving_surfaces import surfaces
from bench.speakers import speakers
from bench.whispercpp import whispercpp
from bench.words import words

TEXT = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "
    "It's easy to tell the depth of a well. These days a chicken leg is a rare dish. "
    "Rice is often served in round bowls. "
)


def timed_inside(program: str, path: str) -> float:
    """The number that a program prints in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    return float(done.stdout)


def padded(folder: Path, count: int) -> str:
    """A folder of ``count`` distributions, of which every tenth has entry points."""
    for n in range(count):
        info = folder / f"pad_{n}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: pad-{n}\nVersion: 1.0\nSummary: x\n" + "Classifier: y\n" * 20
        )
        (info / "RECORD").write_text("x,,\n" * 50)
        if n % 10 == 0:
            (info / "entry_points.txt").write_text(f"[console_scripts]\npad{n} = pad_{n}:main\n")
    return str(folder)


CLOCK = "import time, importlib.metadata; start = time.perf_counter()\n"
PRINT = "\nprint(time.perf_counter() - start)"


def listing() -> None:
    """Listing bindings against reading all entry points; cold, importlib.metadata imported before."""
    use = "import lollms_client.lollms_tts_binding as m\n"
    ask = "assert 'piper' in m.LollmsTTSBindingManager().get_available_bindings()"
    warm, ours = use + CLOCK + ask + PRINT, CLOCK + use + ask + PRINT
    peer = CLOCK + "importlib.metadata.entry_points()" + PRINT
    with tempfile.TemporaryDirectory() as folder:
        path = padded(Path(folder), 300)
        pair = paired(lambda: timed_inside(warm, path), lambda: timed_inside(peer, path), pairs=15)
        show("listing among 300 distributions", "entry_points()", pair, 1.2)
        pair = paired(lambda: timed_inside(ours, path), lambda: timed_inside(peer, path), pairs=15)
        show("the same with importing the manager", "entry_points()", pair, 1.2)


def importing() -> None:
    """``import lollms_client`` over bare Python, as whole processes."""

    def process(program: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", program], check=True))

    taken = [(process("import lollms_client"), process("pass")) for _ in range(31)]
    extra = statistics.median(a - b for a, b in taken)
    bare = statistics.median(b for _, b in taken)
    show_extra("import lollms_client", extra, 0.015, 1e3, "ms", f"over python -c pass ({bare * 1e3:.1f} ms)")


@without_plugins("marks")
def calls() -> None:
    """A binding that does nothing: what a call costs in all."""
    result, chunk = Audio.from_pcm(b"\0\0", 8000), AudioChunk(b"\0\0", 8000)

    class NoOp(LollmsTTSBinding):
        class Options(CallOptions):
            speed: Speed = 1.0

        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            return result

        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Any:
            for _ in range(1000):
                yield chunk

        def list_voices(self, **kwargs: Any) -> list[str]:
            return []

    no_op = NoOp()
    kinds: list[tuple[str, Callable[[], object], int, float]] = [
        ("call of a no-op binding", lambda: no_op.generate_audio("hi"), 5000, 10e-6),
        ("the same with an option", lambda: no_op.generate_audio("hi", speed=2.0), 5000, 20e-6),
        ("an item of a no-op stream (of 1,000)", lambda: [None for _ in no_op.stream_audio("hi")], 5, 10e-3),
    ]
    for what, fn, number, goal in kinds:
        fn()
        per = min(seconds(fn, number) for _ in range(7))
        scale = 1000 if "stream" in what else 1
        show_extra(what, per / scale, goal / scale, 1e6, "us", "best of 7")


def piper() -> None:
    """Piper through the binding against piper-tts alone, on the same session."""
    from lollms_modalities import Audio
    from lollms_piper import PiperTTSBinding
    from lollms_piper.voices import packaged_voice
    from piper import SynthesisConfig

    path = packaged_voice()
    assert path is not None
    with PiperTTSBinding() as binding:
        binding.load()
        voice = binding.model.get(path)
        config = SynthesisConfig(noise_scale=0, noise_w_scale=0)

        def alone() -> bytes:
            return Audio.from_pcm(b"".join(c.audio_int16_bytes for c in voice.synthesize(TEXT, config)), 22050)

        def ours() -> bytes:
            return binding.generate_audio(TEXT, noise_scale=0, noise_w_scale=0)

        def first_alone() -> None:
            stream = iter(voice.synthesize(TEXT, config))
            next(stream).audio_int16_bytes  # noqa: B018
            stream.close()

        def first_ours() -> None:
            with binding.stream_audio(TEXT, noise_scale=0, noise_w_scale=0) as stream:  # type: ignore[attr-defined]
                next(stream)

        assert ours() == alone()
        show("Piper, whole", "piper-tts alone", paired(lambda: seconds(ours), lambda: seconds(alone), pairs=15), 1.02)
        pair = paired(lambda: seconds(first_ours), lambda: seconds(first_alone), pairs=31)
        show("Piper, first audio of the stream", "piper-tts alone", pair, 1.05)


def faster_whisper() -> None:
    """faster-whisper through the binding against alone: same model, batches and decoded samples, 75 s of speech."""
    from faster_whisper import BatchedInferencePipeline
    from lollms_faster_whisper import FasterWhisperSTTBinding
    from lollms_faster_whisper.models import packaged_model
    from lollms_modalities.media.sound import decode_audio
    from lollms_piper import PiperTTSBinding

    with PiperTTSBinding() as speaker:
        speech = speaker.generate_audio(TEXT * 5, noise_scale=0, noise_w_scale=0)
    with FasterWhisperSTTBinding(n_threads=1) as binding:
        binding.load()
        engine = binding.model.get(packaged_model())

        def alone() -> str:
            pipeline = BatchedInferencePipeline(engine)
            segments, _ = pipeline.transcribe(decode_audio(speech), batch_size=8, beam_size=1, without_timestamps=False)
            return " ".join(segment.text.strip() for segment in segments)

        def ours() -> str:
            return binding.transcribe_audio(speech, beam_size=1)

        assert ours() == alone()
        pair = paired(lambda: seconds(ours), lambda: seconds(alone), pairs=9)
        show(f"faster-whisper, {speech.duration:.0f} s of speech", "alone", pair, 1.02)


BENCHMARKS: dict[str, Callable[[], None]] = {
    "listing": listing, "importing": importing, "calls": calls, "piper": piper, "faster_whisper": faster_whisper,
    "whispercpp": whispercpp, "isolation": isolation, "places": places, "cluster": cluster, "services": services,
    "command_line": command_line, "listing_peers": listing_peers, "live": live, "serving": serving,
    "serving_jobs": serving_jobs, "serving_room": room, "serving_surfaces": surfaces, "words": words,
    "speakers": speakers, "first_hour": first_hour, "marks": marks,
}  # fmt: skip


def main() -> None:
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
    assert threading.active_count() < 12


if __name__ == "__main__":
    main()
