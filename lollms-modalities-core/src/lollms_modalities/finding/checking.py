"""Is each binding fit for use? Each is imported in a process of its own, and what goes wrong there is explained."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.entry_points.refs import BindingRef
from lollms_modalities.environments.environment import find_environment
from lollms_modalities.errors import (
    BindingBrokenError,
    BindingUnavailableError,
    CallCancelled,
    LollmsError,
    UnsupportedError,
    WorkerCrashedError,
)
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
    error: BindingUnavailableError | None
    seconds: float


def check_binding(ref: BindingRef, timeout: float = 60.0, cancel: CancelToken | None = None) -> Finding:
    """Import one binding's class in a process of its own.

    Args:
        ref: which one; one in an environment is imported by that environment's interpreter.
        timeout: seconds that it may take; then the process is killed and the binding counts as broken.
        cancel: ends it earlier.

    Raises:
        CallCancelled: ``cancel`` was cancelled.
        UnsupportedError: there are no such processes on this system.
    """
    start = time.perf_counter()
    error = _failure(ref, timeout, cancel)
    return Finding(ref, error, time.perf_counter() - start)


def check_bindings(refs: Iterable[BindingRef], timeout: float = 60.0) -> Iterator[Finding]:
    """Check several side by side, as many as there are processors; the findings come in the order of ``refs``."""
    pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="lollms-check")
    cancel = CancelToken()
    try:
        yield from pool.map(lambda ref: check_binding(ref, timeout, cancel), refs)
    finally:
        # Whoever has seen enough, or was interrupted, does not wait for the rest.
        cancel.cancel()
        pool.shutdown(cancel_futures=True)


def _failure(ref: BindingRef, timeout: float, cancel: CancelToken | None) -> BindingUnavailableError | None:
    environment = find_environment(ref.environment) if ref.environment else None
    variables = {} if environment is None else environment.variables
    try:
        Opener(
            ref.modality,
            ref.name,
            python=None if environment is None else environment.python,
            where=ref.environment or "here",
            directory=ref.directory,
            distribution=ref.distribution or None,
            policy=WorkerPolicy(start_timeout=timeout, variables=variables),
            lock=None if environment is None else environment.lock,
            cancel=cancel,
        ).close()
    except BindingUnavailableError as exc:
        return exc
    except WorkerCrashedError as exc:
        return _ended(ref, exc)
    except (UnsupportedError, CallCancelled):
        raise
    except LollmsError as exc:
        what = exc.remote_type.removeprefix("builtins.") or exc.message
        return broken(ref, f"cannot be imported: {what}")
    return None


def _ended(ref: BindingRef, crash: WorkerCrashedError) -> BindingBrokenError:
    """What is told of a process that ended, or had to be ended, while it imported the binding."""
    cause = str(getattr(crash, "cause", crash.message))
    lines = [line for line in getattr(crash, "last_lines", []) if line.strip()]
    # What Python prints of a crash is about its threads, not about the cause.
    printed = f"; it last printed {lines[-1][:200]!r}" if lines and "ended by" not in cause else ""
    if cause.startswith("it took longer"):
        return broken(ref, f"cannot be imported: {cause}{printed}")
    return broken(ref, f"ends the process that imports it: {cause}{printed}")
