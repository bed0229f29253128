"""How well speakers are told apart, and how fast: conversations of three voices of whom every moment is known."""

from __future__ import annotations

import time

from lollms_modalities import Audio
from lollms_speakers import SpeakerDiarizer

import bench.support  # noqa: F401 - makes the imports from there possible

GOAL = 0.05
THREE = ("joe", "heart", "jm_kumo")


def speakers() -> None:
    """Diarization error rates without a collar, and seconds of one core for each second of sound."""
    from conversation import (  # type: ignore[import-not-found, unused-ignore]
        RATE,
        Conversation,
        conversation,
        noisy,
        telephone,
    )
    from diarization import diarization_errors  # type: ignore[import-not-found, unused-ignore]

    def show(what: str, talk: Conversation, *, rate: int = RATE, count: int | None = None, goal: float = GOAL) -> None:
        audio = Audio.from_samples(talk.samples, rate)
        start, cpu = time.perf_counter(), time.process_time()
        turns = SpeakerDiarizer().diarize(audio, num_speakers=count, known={})
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        errors = diarization_errors(talk.turns, turns)
        missed, false, confused = (part / errors.spoken for part in errors[:3])
        found, true = ({turn.speaker for turn in some} for some in (turns, talk.turns))
        print(
            f"{what:44} error {errors.rate:.3f} (missed {missed:.3f}, false alarm {false:.3f}, confusion "
            f"{confused:.3f}), {len(found)} of {len(true)} speakers, real-time factor {wall / audio.duration:.3f} (CPU "
            f"{cpu / audio.duration:.3f}), goal {goal:g}: {'met' if errors.rate < goal else 'MISSED'}",
            flush=True,
        )

    three = conversation(THREE, 120)
    show("2 minutes of Piper, hibari and Kokoro", three)
    show("the same, told that they are three", three, count=3)
    show("another order and other pauses", conversation(THREE, 120, seed=1))
    show("three of Kokoro's", conversation(("jf_alpha", "jf_tebukuro", "jm_kumo"), 120))
    show("by telephone: 8 kHz, 300 to 3400 Hz", Conversation(telephone(three.samples), three.turns), rate=8000)
    show("the same, told that they are three", Conversation(telephone(three.samples), three.turns), rate=8000, count=3)
    men = conversation(("joe", "jm_kumo"), 120)
    show("two men by telephone", Conversation(telephone(men.samples), men.turns), rate=8000)
    show("in noise 15 dB softer", Conversation(noisy(three.samples, 15), three.turns), goal=0.1)
    show("no pauses", conversation(THREE, 120, pauses=(0.0, 0.05)), goal=0.15)
    show("turns of 0.6 s", conversation(THREE, 60, longest=0.6, pauses=(0.3, 0.6)), goal=0.25)
    show("one voice", conversation(THREE[:1], 120))
