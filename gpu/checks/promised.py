"""What each binding promises, whatever it runs on: seeds repeat, calls stop, memory comes back, errors are typed."""

from __future__ import annotations

import time
from collections.abc import Callable

from lollms_modalities import CallCancelled, CancelToken, GenerationError

from gpu import card
from gpu.bench import Bench
from gpu.checks.subject import Subject, refusal
from gpu.findings import Check

# Bytes that a library keeps for itself on a card once it has worked there, such as the workspaces of its matrix
# products; and on a processor, where each tensor is counted.
_KEPT = {True: 400e6, False: 2e5}


def promises(subject: Subject) -> list[Check]:
    """All of them, for one binding."""
    return [
        subject.check("seeds repeat", repeats),
        subject.check("stops within a step", stops),
        subject.check("gives its memory back", gives_back, loads=2),
        subject.check("out of memory", survives, loads=2),
    ]


def repeats(subject: Subject, bench: Bench) -> None:
    """One seed gives the same bytes twice, another gives others."""
    with subject.loaded(bench) as binding:
        first, again, other = (subject.call(binding, seed, bench) for seed in (1, 1, 2))
    assert first == again, "the same seed gives other bytes"
    assert first != other, "another seed gives the same bytes"


def stops(subject: Subject, bench: Bench) -> None:
    """Cancelled in the middle of a step, it begins no other. Work is counted, so that nothing hangs on the machine."""
    with subject.loaded(bench) as binding:
        expected = subject.call(binding, 1, bench)
        token, at = CancelToken(), [0.0]
        begun = [0, 0]  # before, and after

        def watch(*seen: object) -> None:
            begun[bool(at[0])] += 1
            if begun[0] == 3 and not at[0]:
                at[0] = time.perf_counter()
                token.cancel()

        hook = subject.inside(binding).register_forward_pre_hook(watch)
        try:
            subject.call(binding, 1, bench, cancel=token)
        except CallCancelled:
            card.settle(bench.device)  # what the step had asked a card for
            took = time.perf_counter() - at[0]
        else:
            raise AssertionError(f"it was not cancelled, in {sum(begun)} steps")
        finally:
            hook.remove()
        # With guidance, some models are run twice in a step.
        assert begun[1] <= 1, f"{begun[1]} steps were begun after cancel()"
        bench.figure(f"{subject.model}: from cancel() to the end of the call", took * 1e3, "ms")
        assert subject.call(binding, 1, bench) == expected, "the next call gives something else"


def gives_back(subject: Subject, bench: Bench) -> None:
    """Unloaded, the card has what it had, looked at from outside."""
    with subject.loaded(bench) as binding:  # what the libraries take for good, they have now
        subject.call(binding, 1, bench)
    before = bench.used()
    with subject.loaded(bench) as binding:
        subject.call(binding, 1, bench)
        during = bench.used()
        binding.unload()
        after = bench.used()
        kept, taken = after - before, during - before
        bench.figure(f"{subject.model}: in memory", taken / 1e9, "GB")
        bench.note(f"{taken / 1e6:.1f} MB were taken, {kept / 1e6:.1f} MB of them kept")
        assert taken > 0, "loaded, it takes no memory, so that this shows nothing"
        assert kept <= _KEPT[bench.on_card], f"{kept / 1e6:.1f} MB are not given back"
        subject.call(binding, 1, bench)  # loaded again by the call


def survives(subject: Subject, bench: Bench) -> None:
    """Without memory, loading and calling are typed errors that say what to do, and what follows is as ever."""
    with subject.make(bench.models.folder(subject.model), **bench.settings()) as binding:
        with card.short_of_memory(bench.device):
            _refused(bench, "loading", binding.load)
        expected = subject.call(binding, 1, bench)
        with card.short_of_memory(bench.device, subject.inside(binding)):
            _refused(bench, "a call", lambda: subject.call(binding, 1, bench))
        assert subject.call(binding, 1, bench) == expected, "the next call gives something else"


def _refused(bench: Bench, what: str, act: Callable[[], object]) -> None:
    error = refusal(GenerationError, act)
    assert error is not None, f"{what} worked without memory, so that this shows nothing"
    assert "ran out of memory" in error.message, f"{what}: {error.message}"
    bench.note(f"{what}: {error.message[:100]}")
