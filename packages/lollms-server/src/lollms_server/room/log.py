"""One line of JSON a call, and one an act of an admin: names, ids and times, never texts, prompts or keys."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any, TextIO

from lollms_server.room.models import ServedModel

_calls = logging.getLogger("lollms_server.calls")
_audit = logging.getLogger("lollms_server.audit")
_models = logging.getLogger("lollms_server.models")


def log_call(**facts: Any) -> None:
    """A call has ended."""
    if _calls.isEnabledFor(logging.INFO):
        # As ``info`` does, which looks for the file and line that it is called from.
        _calls.handle(_calls.makeRecord(_calls.name, logging.INFO, "", 0, _line("call", facts), (), None))


def log_act(who: str, act: str, **facts: Any) -> None:
    """Somebody has done, or was refused, what only an admin may do."""
    _audit.info("%s", _line("act", {"who": who, "act": act, **facts}))


def log_model(served: ServedModel, what: str) -> None:
    """A model was loaded or unloaded."""
    _models.info("%s", _line("model", {"modality": served.modality, "model": served.name, "what": what}))


class _Lines(logging.Formatter):
    """Each record as one line of JSON; those above are that already."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        if record.name in _OURS:
            return record.getMessage()
        facts: dict[str, Any] = {"level": record.levelname.lower(), "logger": record.name, "text": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            facts["error"] = f"{type(error).__name__}: {error}"
        return _line("log", facts)


_MOST = 10_000  # lines that wait to be written
_LAST = 5.0  # seconds that the last lines may take
_PAUSE = 0.05  # seconds in which lines are gathered: to wake a thread for each costs a short call more than all else
_OURS = (_calls.name, _audit.name, _models.name)


def log_to(stream: TextIO) -> Lines:
    """Write all that is logged in this program to a stream, a line of JSON each; ``stop()`` ends that.

    A thread writes, so that a reader who stops reading stops nobody. What it is too slow for is dropped.
    """
    lines = Lines(stream)
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(logging.WARNING)
    for name in ("lollms_modalities", "lollms_server"):
        logging.getLogger(name).handlers.clear()  # the command line has its own for people
    logging.getLogger("lollms_server").setLevel(logging.INFO)
    return lines


class Lines(logging.Handler):
    """Lines on their way to a stream."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.setFormatter(_Lines())
        self._stream = stream
        self._records: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, name="lollms-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Give it to the thread, if that keeps up."""
        if self._records.qsize() < _MOST:
            self._records.put(record)

    def stop(self) -> None:
        """Write what there is, and end. A stream that takes nothing is not waited for."""
        self._ended.set()
        self._records.put(None)
        self._thread.join(_LAST)

    def _write(self) -> None:
        while (record := self._records.get()) is not None:
            self._ended.wait(_PAUSE)
            parts, last = [], False
            while record is not None:
                with contextlib.suppress(Exception):  # of whoever logged something that cannot be written
                    parts.append(self.format(record) + "\n")
                try:
                    record = self._records.get_nowait()
                except Empty:
                    break
            else:
                last = True
            with contextlib.suppress(OSError, ValueError):  # nobody reads, or the stream was closed
                self._stream.write("".join(parts))
                self._stream.flush()
            if last:
                return


def _line(event: str, facts: dict[str, Any]) -> str:
    when = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 1000):03d}Z"
    told = {"time": stamp, "event": event} | {name: value for name, value in facts.items() if value is not None}
    return json.dumps(told, ensure_ascii=True)
