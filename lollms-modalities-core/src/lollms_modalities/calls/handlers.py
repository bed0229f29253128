"""What a signal's handler raises is the program's. It may come anywhere, also where our code expects an error of the
same class from the system: ``TimeoutError`` of an alarm is an ``OSError``.
"""

from __future__ import annotations

import functools
import signal
import threading
from types import CodeType
from typing import Any


def raised_by_handler(error: BaseException) -> bool:
    """Whether an error has come out of a signal's handler, and not out of the code that it interrupted."""
    if threading.current_thread() is not threading.main_thread():
        return False  # there, none runs
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _code(handler: Any) -> CodeType | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    code = getattr(handler, "__code__", None)
    if code is None and callable(handler):  # an object of a class that says how
        code = getattr(type(handler).__call__, "__code__", None)
    return code
