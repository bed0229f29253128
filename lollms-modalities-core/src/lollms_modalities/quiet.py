"""What an engine's library prints by itself: its log is given to the application's logging, its bars are not shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lollms_modalities.call import current_call

_logger = logging.getLogger("lollms_modalities.engine")
# So that what nobody listens to is not printed by logging itself.
_logger.addHandler(logging.NullHandler())


class _Relay(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        # The second time is on its way through the application's handlers, of which this may be one.
        if not current_call().active or hasattr(record, "lollms_relayed"):
            return True
        record.lollms_relayed = True
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


@contextmanager
def without_bars(*libraries: Any) -> Iterator[None]:
    """Let transformers or diffusers (their module ``utils.logging``) show no progress bars inside."""
    with ExitStack() as stack:
        for library in libraries:
            if library.is_progress_bar_enabled():
                library.disable_progress_bar()
                stack.callback(library.enable_progress_bar)
        yield
