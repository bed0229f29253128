"""Is each binding fit for use? Each is imported in a process of its own and its engine asked for a first breath.

What goes wrong there is explained.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from lollms_modalities.calls import waits
from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.entry_points.refs import BindingRef
from lollms_modalities.environments.environment import find_environment
from lollms_modalities.errors import (
    BindingBrokenError,
    BindingUnavailableError,
    CallCancelled,
    LollmsError,
    SettingsError,
    UnsupportedError,
    WorkerCrashedError,
)
from lollms_modalities.finding.breath import Breaths
from lollms_modalities.finding.loading import broken
from lollms_modalities.workers.opening import Opener
from lollms_modalities.workers.policy import WorkerPolicy


class Finding(NamedTuple):
    """What was found of one binding.

    Attributes:
        ref: which one.
        error: why it cannot be used, and what to do; None where it can.
        seconds: that it took to import, with the start of its process.
    """

    ref: BindingRef
    error: LollmsError | None
    seconds: float


def check_binding(
    ref: BindingRef, timeout: float = 60.0, cancel: CancelToken | None = None, *,
    settings: Mapping[str, Any] | None = None, breaths: Breaths | None = None,
) -> Finding:  # fmt: skip
    """Import one binding's class in a process of its own, and run its recipe's check.

    Args:
        ref: which one; one in an environment is imported by that environment's interpreter.
        timeout: seconds that each of the two may take; then the process is killed and the binding counts as broken.
        cancel: ends it earlier.
        settings: make it with these, too; then ``error`` may be a ``SettingsError``.
        breaths: of engines that were asked before.

    Raises:
        CallCancelled: ``cancel`` was cancelled.
        UnsupportedError: there are no such processes on this system.
    """
    start = time.perf_counter()
    error = _failure(ref, timeout, cancel, settings, breaths or Breaths())
    return Finding(ref, error, time.perf_counter() - start)


def check_bindings(
    refs: Iterable[BindingRef], timeout: float = 60.0,
    settings: Callable[[BindingRef], Mapping[str, Any] | None] = lambda ref: None,
) -> Iterator[Finding]:  # fmt: skip
    """Check several side by side, as many as there are processors; the findings come in the order of ``refs``."""
    pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="lollms-check")
    cancel, breaths = CancelToken(), Breaths()

    def check(ref: BindingRef) -> Finding:
        return check_binding(ref, timeout, cancel, settings=settings(ref), breaths=breaths)

    try:
        yield from map(waits.result, [pool.submit(check, ref) for ref in refs])
    finally:
        # Whoever has seen enough, or was interrupted, does not wait for the rest.
        cancel.cancel()
        pool.shutdown(cancel_futures=True)


def _failure(
    ref: BindingRef, timeout: float, cancel: CancelToken | None, settings: Mapping[str, Any] | None, breaths: Breaths
) -> LollmsError | None:
    environment = find_environment(ref.environment) if ref.environment else None
    variables = {} if environment is None else environment.variables
    try:
        opener = Opener(
            ref.modality,
            ref.name,
            python=None if environment is None else environment.python,
            where=ref.environment or "here",
            directory=ref.directory,
            distribution=ref.distribution or None,
            policy=WorkerPolicy(start_timeout=timeout, variables=variables),
            lock=None if environment is None else environment.lock,
            cancel=cancel,
        )
        try:
            engine = str(opener.describe().get("engine") or "")
            if settings is not None:
                opener.make(settings).close()
        finally:
            opener.close()
    except (BindingUnavailableError, SettingsError) as exc:
        return exc
    except WorkerCrashedError as exc:
        return _ended(ref, exc)
    except (UnsupportedError, CallCancelled):
        raise
    except LollmsError as exc:
        what = exc.remote_type.removeprefix("builtins.") or exc.message
        return broken(ref, f"cannot be imported: {what}")
    wrong = breaths.of(ref, engine, environment, timeout, cancel)
    return None if wrong is None else broken(ref, f"has an engine that does not work: {wrong.rstrip('.')}")


def _ended(ref: BindingRef, crash: WorkerCrashedError) -> BindingBrokenError:
    """What is told of a process that ended, or had to be ended, while it imported the binding."""
    cause = str(getattr(crash, "cause", crash.message))
    lines = [line for line in getattr(crash, "last_lines", []) if line.strip()]
    # What Python prints of a crash is about its threads, not about the cause.
    printed = f"; it last printed {lines[-1][:200]!r}" if lines and "ended by" not in cause else ""
    if cause.startswith("it took longer"):
        return broken(ref, f"cannot be imported: {cause}{printed}")
    return broken(ref, f"ends the process that imports it: {cause}{printed}")
