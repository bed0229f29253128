"""Several on one card: two models, two bindings on one model, and a worker that is killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lollms_modalities import LollmsTTSBindingManager, Progress, WorkerCrashedError

from gpu.bench import Bench
from gpu.checks.bark import SENTENCE
from gpu.checks.subject import Subject
from gpu.findings import Check
from gpu.models.sounds import VOICE

_KEPT = 400e6  # bytes that are left behind of what a process had on a card


def together(one: Subject, other: Subject) -> Check:
    """Two models on one card, at work at once, make what each makes alone."""

    def act(bench: Bench) -> None:
        with one.loaded(bench) as first, other.loaded(bench) as second:

            def calls(subject: Subject, binding: Any) -> list[Any]:
                return [subject.call(binding, seed, bench) for seed in (1, 2, 3)]

            acts = [partial(calls, one, first), partial(calls, other, second)]
            alone = [act() for act in acts]
            made = at_once(acts)
        for subject, expected, found in zip((one, other), alone, made, strict=True):
            assert found == expected, f"{subject.model} makes something else beside another model"

    seconds = 30 + one.seconds + other.seconds
    return Check(f"{one.model} and {other.model}/on one card", "correctness", seconds, act)


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """What comes of each, all begun in the same moment in threads of their own. The first error is raised."""
    barrier = threading.Barrier(len(acts))
    made: list[Any] = [None] * len(acts)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            barrier.wait()
            made[number] = acts[number]()
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return made


def one_copy(bark: Subject, bench: Bench) -> None:
    """Speech and effects of one Bark hold one copy of it, looked at from outside."""
    from lollms_bark import BarkTTMBinding

    with bark.loaded(bench) as binding:  # what the libraries take for good, they have now
        bark.call(binding, 1, bench)
    before = bench.used()
    with bark.loaded(bench) as speech:
        one = bench.used() - before
        with BarkTTMBinding(str(bench.models.folder(bark.model)), **bench.settings()) as effects:
            effects.load()
            both = bench.used() - before
            assert effects.model is speech.model, "each has a model of its own"
    bench.note(f"one: {one / 1e6:.1f} MB, both: {both / 1e6:.1f} MB")
    assert one > 0, "loaded, it takes no memory, so that this shows nothing"
    assert both <= 1.1 * one, "the second takes memory of its own"


def killed(bark: Subject, bench: Bench) -> None:
    """A worker is killed in the middle of a call: a typed error, the card's memory is back, the next call works."""
    before = bench.used()
    settings = bench.settings(model_name=str(bench.models.folder(bark.model)), default_voice=VOICE)
    with LollmsTTSBindingManager().require_binding("bark", isolated=True, **settings) as tts:
        expected = tts.generate_audio(SENTENCE, seed=1)
        during = bench.used()
        pids: list[int] = []

        def kill(progress: Progress) -> None:
            if progress.done and not pids:
                pids.append(worker_of(os.getpid()))
                os.kill(pids[0], signal.SIGKILL)

        try:
            tts.generate_audio(SENTENCE, seed=1, progress=kill)
        except WorkerCrashedError as exc:
            bench.note(f"{exc.message[:120]}")
        else:
            raise AssertionError("its worker was killed, and it went on")
        assert tts.generate_audio(SENTENCE, seed=1) == expected, "the next call gives something else"
        if bench.on_card:
            again = bench.used()
            bench.note(
                f"{before / 1e6:.0f} MB before, {during / 1e6:.0f} MB loaded, {again / 1e6:.0f} MB in the new worker"
            )
            assert again - during <= _KEPT, "the killed one's memory is not given back"


def worker_of(pid: int) -> int:
    """The process among a process's children that takes most memory: the one that holds a model."""
    import psutil

    children = psutil.Process(pid).children()
    return int(max(children, key=lambda child: child.memory_info().rss).pid)
