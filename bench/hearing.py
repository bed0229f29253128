"""Which engine hears how well: the same speech, one run, each engine in a process of its own.

``python -m bench.hearing [BEAM_SIZE]`` prints one table. Needs all three engines, so it runs where torch is.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities import Audio, LollmsSTTBinding

import bench.support  # noqa: F401 - makes the imports from there possible


class Heard(NamedTuple):
    """What one engine needed, and what it understood."""

    text: str
    load: float  # seconds
    cpu: float  # seconds
    memory: float  # bytes at the most


def faster_whisper(models: Path) -> LollmsSTTBinding:
    from lollms_faster_whisper import FasterWhisperSTTBinding

    return FasterWhisperSTTBinding(n_threads=1, device="cpu", compute_type="int8")


def openai_whisper(models: Path) -> LollmsSTTBinding:
    from lollms_whisper import WhisperSTTBinding

    return WhisperSTTBinding(str(models / "tiny.en.pt"), device="cpu", n_threads=1)


def whisper_cpp(name: str) -> Callable[[Path], LollmsSTTBinding]:
    def make(models: Path) -> LollmsSTTBinding:
        from lollms_whispercpp import WhisperCppSTTBinding
        from whisper_cpp_program import whisper_cli  # type: ignore[import-not-found, unused-ignore]

        return WhisperCppSTTBinding(model_path=models / name, whispercpp_exe_path=whisper_cli(), n_threads=1)

    return make


ENGINES: dict[str, Callable[[Path], LollmsSTTBinding]] = {
    "faster-whisper, int8, batched": faster_whisper,
    "openai-whisper, float32": openai_whisper,
    "whisper.cpp, f16": whisper_cpp("ggml-tiny.en.bin"),
    "whisper.cpp, q8_0": whisper_cpp("ggml-tiny.en-q8_0.bin"),
    "whisper.cpp, q5_1": whisper_cpp("ggml-tiny.en-q5_1.bin"),
}


def hear(engine: str, models: Path, speech: Path, beam_size: int) -> Heard:
    """Let an engine hear, in this process."""
    with ENGINES[engine](models) as binding:
        began = time.perf_counter()
        binding.load()
        load = time.perf_counter() - began
        before = _cpu()
        text = binding.transcribe_audio(speech, beam_size=beam_size, language="en")
        return Heard(text, load, _cpu() - before, _memory())


def _cpu() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _memory() -> float:
    """The most that this process had in memory, and the most that one it started had; Linux."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = int(status["VmHWM"].split()[0])  # not ru_maxrss, which begins with what the parent had
    return 1024 * (own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def make_models(folder: Path) -> None:
    """The same weights in each engine's format; faster-whisper's come with its distribution."""
    from whisper_cpp_program import quantized
    from whisper_weights import make_ggml, make_openai  # type: ignore[import-not-found, unused-ignore]

    make_openai(folder / "tiny.en.pt")
    model = make_ggml(folder / "ggml-tiny.en.bin")
    for kind in ("q8_0", "q5_1"):
        quantized(model, kind, folder / f"ggml-tiny.en-{kind}.bin")


def main(beam_size: int) -> None:
    from harvard import HARVARD, spoken, word_error_rate  # type: ignore[import-not-found, unused-ignore]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_models(folder)
        audio: Audio = spoken(HARVARD)
        speech = audio.save(folder / "speech.wav")
        print(f"30 sentences, {audio.duration:.0f} s, Whisper tiny.en, one thread, beam of {beam_size}\n")
        print("| Engine | Word error rate | CPU seconds per second of sound | Peak memory | Load |")
        print("|---|---|---|---|---|", flush=True)
        for engine in ENGINES:
            command = [sys.executable, "-m", "bench.hearing", engine, name, str(speech), str(beam_size)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            told: dict[str, Any] = json.loads(done.stdout)
            heard = Heard(**told)
            rate = word_error_rate(HARVARD, heard.text)
            print(
                f"| {engine} | {rate:.3f} | {heard.cpu / audio.duration:.3f} | {heard.memory / 1e6:.0f} MB | "
                f"{heard.load:.2f} s |",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) == 5:
        engine, models, speech, size = sys.argv[1:]
        print(json.dumps(hear(engine, Path(models), Path(speech), int(size))._asdict()))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
