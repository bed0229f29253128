"""What belongs to the whole process and to its caller: told before and after, so that a change can be seen."""

from __future__ import annotations

import asyncio
import builtins
import gc
import locale
import logging
import multiprocessing
import os
import random
import signal
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities.settings.telemetry import VARIABLES

CALLERS_LOGGER = "lollms_testing.caller"
_CLOCKS = tuple(getattr(signal, n) for n in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF") if hasattr(signal, n))
# What is told of signals that no Python code is asked about: blocked, ignored, caught (Linux: proc_pid_status(5)).
_MASKS = ("SigBlk", "SigIgn", "SigCgt", "Umask")


def household() -> dict[str, Any]:
    """By name, what a call has to leave as it was."""
    logger = logging.getLogger(CALLERS_LOGGER)
    found: dict[str, Any] = {
        "the current directory": os.getcwd(),
        "the environment": dict(os.environ),
        "the signal handlers": {s.name: signal.getsignal(s) for s in signal.Signals},
        "sys.stdin, stdout, stderr": (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__),
        "sys.argv and sys.path": (list(sys.argv), list(sys.path)),
        "the hooks of sys and threading": (sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook),
        "the trace and profile functions": (sys.gettrace(), sys.getprofile()),
        "sys.getrecursionlimit()": sys.getrecursionlimit(),
        "sys.getswitchinterval()": sys.getswitchinterval(),
        "the filters of warnings": (list(warnings.filters), warnings.showwarning, warnings.formatwarning),
        "logging.disable()": logging.root.manager.disable,
        "the root logger": (logging.root.level, list(logging.root.handlers), logging.root.disabled),
        "the caller's loggers": (logger.disabled, logger.level, logger.propagate, logger.getEffectiveLevel()),
        "logging's classes": (logging.getLoggerClass(), logging.getLogRecordFactory(), logging.lastResort),
        "builtins.print, open, input": (builtins.print, builtins.open, builtins.input),
        "the locale": locale.setlocale(locale.LC_ALL),
        "socket.getdefaulttimeout()": socket.getdefaulttimeout(),
        "the garbage collector": (gc.isenabled(), gc.get_threshold()),
        "tempfile.tempdir": tempfile.tempdir,
        "the policy of event loops": _policy(),
        "how certificates are looked at": ssl._create_default_https_context,
        "how processes are started": multiprocessing.get_start_method(allow_none=True),
        "the descriptors 0, 1 and 2": [_file(number) for number in range(3)],
        "others' loggers": {name: (other.level, other.disabled, other.propagate) for name, other in _others().items()},
    }
    if os.name == "posix":
        found["the timers"] = [(left > 0, interval) for left, interval in map(signal.getitimer, _CLOCKS)]
        found["the priority"] = os.getpriority(os.PRIO_PROCESS, 0)
        found |= _masks() | _limits()
    if numpy := sys.modules.get("numpy"):
        found["numpy's handling of errors"] = numpy.geterr()
        found["how numpy shows numbers"] = numpy.get_printoptions()
    if pictures := sys.modules.get("PIL.Image"):
        found["how large a picture may be"] = pictures.MAX_IMAGE_PIXELS
    if torch := sys.modules.get("torch"):
        found["torch's defaults"] = (torch.get_default_dtype(), torch.is_grad_enabled())
    return found


def _file(descriptor: int) -> Any:
    try:
        told = os.fstat(descriptor)
    except OSError:
        return None  # closed
    return told.st_dev, told.st_ino


def _others() -> dict[str, logging.Logger]:
    """Loggers of libraries that a binding may use, but that are none of its engine."""
    return {name: logging.getLogger(name) for name in ("asyncio", "urllib3", "concurrent.futures")}


def _policy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return type(asyncio.get_event_loop_policy()) if sys.version_info < (3, 14) else None


def _masks() -> dict[str, Any]:
    try:
        lines = Path("/proc/thread-self/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return {}
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    return {f"{name} of the process": told[name].strip() for name in _MASKS if name in told}


def _limits() -> dict[str, Any]:
    import resource

    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {"the limits of the process": {name: resource.getrlimit(getattr(resource, name)) for name in names}}


@contextmanager
def callers_own(folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Meanwhile this process is as only a caller makes it, so that what a call sets shows, though it has set it before.

    Args:
        folder: for the current directory.
        variables: the environment, besides the variables that the core sets itself.
    """
    with ExitStack() as stack:
        stack.callback(os.chdir, os.getcwd())
        os.chdir(folder)
        for name in os.environ.keys() - variables.keys() - VARIABLES.keys():
            stack.callback(os.environ.__setitem__, name, os.environ.pop(name))
        settable: tuple[tuple[Callable[[], Any], Callable[[Any], Any], Any], ...] = (
            (sys.getrecursionlimit, sys.setrecursionlimit, sys.getrecursionlimit() + 7),
            (sys.getswitchinterval, sys.setswitchinterval, 0.0049),
            (socket.getdefaulttimeout, socket.setdefaulttimeout, 1234.5),
            (lambda: logging.root.manager.disable, logging.disable, logging.NOTSET),
            (lambda: logging.root.level, logging.root.setLevel, logging.WARNING),
            (lambda: locale.setlocale(locale.LC_ALL), lambda v: locale.setlocale(locale.LC_ALL, v), "C"),
        )
        for read, write, value in settable:
            stack.callback(write, read())
            write(value)
        stack.callback(setattr, sys, "excepthook", sys.excepthook)
        sys.excepthook = _hook
        stack.callback(setattr, logging.root, "handlers", logging.root.handlers)
        logging.root.handlers = []
        logger = logging.getLogger(CALLERS_LOGGER)
        logger.disabled = False
        logger.setLevel(logging.INFO)
        for other in _others().values():
            stack.callback(other.setLevel, other.level)
            other.setLevel(logging.INFO)
        stack.callback(multiprocessing.set_start_method, multiprocessing.get_start_method(allow_none=True), force=True)
        multiprocessing.set_start_method(None, force=True)
        if numpy := sys.modules.get("numpy"):
            shown = numpy.get_printoptions()
            stack.callback(lambda: numpy.set_printoptions(**shown))
            numpy.set_printoptions(precision=9, edgeitems=4)
        for module, name, own in (("PIL.Image", "MAX_IMAGE_PIXELS", 100_000_007),
                                  ("ssl", "_create_default_https_context", _context)):  # fmt: skip
            if module in sys.modules:
                stack.callback(setattr, sys.modules[module], name, getattr(sys.modules[module], name))
                setattr(sys.modules[module], name, own)
        stack.enter_context(warnings.catch_warnings())
        warnings.resetwarnings()
        stack.callback(gc.enable if gc.isenabled() else gc.disable)
        gc.enable()
        if os.name == "posix":
            for clock in _CLOCKS:
                stack.callback(signal.setitimer, clock, *signal.setitimer(clock, 0))
            stack.callback(os.umask, os.umask(0o027))
            stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_SETMASK, []))
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGINT", "SIGCHLD", "SIGPIPE"):
                if number := getattr(signal, name, None):
                    stack.callback(signal.signal, number, signal.signal(number, _handler))
        yield


def _context(*args: Any, **kwargs: Any) -> Any:
    """A caller's own way to make contexts of TLS."""
    return ssl.create_default_context(*args, **kwargs)


def _hook(*args: object) -> None:
    """A caller's own ``sys.excepthook``."""


def _handler(number: int, frame: object) -> None:
    """A caller's own handler of signals."""


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What differs, by name: what it was and what it is; of mappings, the entries that differ."""
    found: dict[str, Any] = {}
    for name, was in before.items():
        now = after.get(name, was)
        if was == now:
            continue
        if isinstance(was, dict):
            keys = [k for k in (*was, *now) if was.get(k) != now.get(k)]
            was, now = {k: was.get(k) for k in keys}, {k: now.get(k) for k in keys}
        found[name] = (was, now)
    return found


def generators() -> dict[str, Any]:
    """The states of the random generators that a whole process shares, by name, as text that can be compared."""
    states: dict[str, Any] = {"random": str(random.getstate())}
    if "numpy" in sys.modules:
        import numpy as np

        states["numpy.random"] = str(np.random.get_state())
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


def seed_generators(seed: int) -> None:
    """Seed all of them."""
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
