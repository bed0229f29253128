"""Live transcription with tiny.en on one core: how soon partial and final segments come, and the real-time factor."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import psutil
from lollms_modalities import AudioChunk, LollmsSTTBindingManager, Segment
from lollms_modalities.testing.live import word_error
from lollms_piper import PiperTTSBinding

SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
)
RATE, PAUSE, CHUNK = 22050, 1.2, 0.05
OPTIONS: dict[str, Any] = {"beam_size": 1, "temperature": 0.0, "language": "en"}


class Sound(NamedTuple):
    """Speech with pauses: its samples, and when each sentence begins and ends, in seconds."""

    samples: np.ndarray
    spoken: list[tuple[float, float]]

    @property
    def duration(self) -> float:
        return len(self.samples) / RATE


def spoken() -> Sound:
    """The sentences, said by Piper; beginnings and ends are where it is louder than a hundredth of full scale."""
    parts, times, at = [np.zeros(int(RATE * PAUSE), np.float32)], [], PAUSE
    with PiperTTSBinding() as piper:
        for sentence in SENTENCES:
            said = piper.generate_audio(sentence, noise_scale=0, noise_w_scale=0).to_numpy().astype(np.float32).ravel()
            loud = np.flatnonzero(np.abs(said) > 0.01)
            times.append((at + loud[0] / RATE, at + loud[-1] / RATE))
            parts += [said, np.zeros(int(RATE * PAUSE), np.float32)]
            at += len(said) / RATE + PAUSE
    return Sound(np.concatenate(parts), times)


def chunks(sound: Sound, *, paced: bool, given: list[float]) -> Iterator[AudioChunk]:
    """The sound as a microphone gives it; ``given`` counts its seconds."""
    step, began = int(RATE * CHUNK), time.monotonic()
    for n in range(0, len(sound.samples), step):
        chunk = AudioChunk.from_samples(sound.samples[n : n + step], RATE)
        if paced:
            time.sleep(max(0.0, began + given[0] + chunk.duration - time.monotonic()))
        given[0] += chunk.duration
        yield chunk


def heard(binding: Any, sound: Sound, *, paced: bool) -> tuple[list[tuple[float, Segment]], float, dict[str, Any]]:
    """Each segment with the seconds of sound that had been given when it came; seconds taken; what provenance says."""
    given, began = [0.0], time.monotonic()
    stream = binding.transcribe_live(chunks(sound, paced=paced, given=given), **OPTIONS)
    found = [(given[0], segment) for segment in stream]
    return found, time.monotonic() - began, stream.provenance.extra["live"]


def live() -> None:
    """First partial, final after the pause, real-time factor; in place and isolated."""
    sound = spoken()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for where, isolated in (("in place", False), ("isolated", True)):
        with LollmsSTTBindingManager().require_binding("faster_whisper", isolated=isolated, n_threads=1) as binding:
            binding.load()
            list(binding.transcribe_live(chunks(sound, paced=False, given=[0.0]), **OPTIONS))  # warm
            found, _, told = heard(binding, sound, paced=True)
            report(where, sound, found, told)
            before = processor_seconds()
            found, taken, told = heard(binding, sound, paced=False)
            used = processor_seconds() - before
            print(f"  {'real-time factor, as fast as it goes':44} {taken / sound.duration:6.2f}      goal < 1")
            print(
                f"  {'processor seconds for a second of sound':44} {used / sound.duration:6.2f}      goal < 1",
                flush=True,
            )


def processor_seconds() -> float:
    """Of this process and its workers."""
    me = psutil.Process()
    taken = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(times.user + times.system for times in taken)


def report(where: str, sound: Sound, found: list[tuple[float, Segment]], told: dict[str, Any]) -> None:
    finals = [(at, s) for at, s in found if s.final]
    firsts = {s.id: (at, s) for at, s in reversed(found) if not s.final}
    print(f"Live, {where}: {len(finals)} utterances of {len(sound.spoken)} sentences, {told}")
    partial, shown, after = [], [], []
    for begin, end in sound.spoken:
        near = [(at, s) for at, s in finals if s.start < end and s.end > begin]
        if not near:
            continue
        if (first := firsts.get(near[0][1].id)) is not None:
            partial.append(first[1].end - begin)
            shown.append(first[0] - begin)
        after.append(near[-1][0] - end)
    for what, values, goal in (
        ("sound that the first partial is made of", partial, "0.7"),
        ("first partial, after its speech began", shown, "0.7 and the engine's time"),
        ("final, after its speech ended", after, "0.5 and the engine's time"),
    ):
        print(f"  {what:44} {statistics.median(values):6.2f} s    up to {max(values):.2f} s, goal {goal}")
    text = " ".join(s.text for _, s in finals).lower().replace(".", "").replace(",", "").split()
    said = " ".join(SENTENCES).lower().replace(".", "").replace(",", "").split()
    print(f"  {'word error rate of the final ones':44} {word_error(said, text):6.3f}", flush=True)


if __name__ == "__main__":
    live()
