"""What an engine's library prints by itself: its log is given to the application's logging, its bars are not shown."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from lollms_modalities.calls.call import current_call

_logger = logging.getLogger("lollms_modalities.engine")
# So that what nobody listens to is not printed by logging itself.
_logger.addHandler(logging.NullHandler())
_inside: ContextVar[bool] = ContextVar("lollms_quiet", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers, diffusers and the hub's client, as far as they are imported, print nothing inside."""
    names = [
        name for name in ("huggingface_hub", "transformers", "diffusers") if f"{name}.utils.logging" in sys.modules
    ]
    relay_logs(*names)
    token = _inside.set(True)
    try:
        with without_bars(*(sys.modules[f"{name}.utils.logging"] for name in names if name != "huggingface_hub")):
            yield
    finally:
        _inside.reset(token)


class _Relay(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        # The second time is on its way through the application's handlers, of which this may be one.
        if not (_inside.get() or current_call().active) or hasattr(record, "lollms_relayed"):
            return True
        record.lollms_relayed = True
        if not logging.getLogger(record.name.partition(".")[0]).propagate:  # or else it reaches the application anyway
            _logger.handle(record)
        return False


_relay = _Relay()


def relay_logs(*libraries: str) -> None:
    """What these libraries' loggers would print during a call goes to the logger "lollms_modalities.engine".

    Outside calls, where the application may use the library itself, all stays as it was. Call it once the libraries are
    imported; again does nothing.
    """
    for library in libraries:
        for handler in logging.getLogger(library).handlers:
            if type(handler) is logging.StreamHandler:  # theirs; others are the application's
                handler.addFilter(_relay)


_hidden: Counter[str] = Counter()
_hiding = threading.Lock()


@contextmanager
def without_bars(*libraries: Any) -> Iterator[None]:
    """Let transformers or diffusers (their module ``utils.logging``) show no progress bars inside."""
    with ExitStack() as stack:
        for library in libraries:
            _hide(library)
            stack.callback(_show, library)
        yield


# A switch for the whole process: the first of several threads turns the bars off, the last one on again.
def _hide(library: Any) -> None:
    with _hiding:
        if _hidden[library.__name__] or library.is_progress_bar_enabled():
            library.disable_progress_bar()
            _hidden[library.__name__] += 1


def _show(library: Any) -> None:
    with _hiding:
        if _hidden[library.__name__]:
            _hidden[library.__name__] -= 1
            if not _hidden[library.__name__]:
                library.enable_progress_bar()
