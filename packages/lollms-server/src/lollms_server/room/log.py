"""One line of JSON a call, and one an act of an admin: names, ids and times, never texts, prompts or keys."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue
from typing import Any, TextIO

from lollms_server.room.models import ServedModel

_calls = logging.getLogger("lollms_server.calls")
_audit = logging.getLogger("lollms_server.audit")
_models = logging.getLogger("lollms_server.models")


def log_call(**facts: Any) -> None:
    """A call has ended."""
    _calls.info("%s", _line("call", facts))


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
_OURS = (_calls.name, _audit.name, _models.name)


def log_to(stream: TextIO) -> QueueListener:
    """Write all that is logged in this program to a stream, a line of JSON each; ``stop()`` ends that.

    A thread writes, so that a reader who stops reading stops nobody. What it is too slow for is dropped.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines())
    lines: Queue[Any] = Queue(_MOST)
    listener = QueueListener(lines, handler)
    root = logging.getLogger()
    root.handlers[:] = [_Dropping(lines)]
    root.setLevel(logging.WARNING)
    for name in ("lollms_modalities", "lollms_server"):
        logging.getLogger(name).handlers.clear()  # the command line has its own for people
    logging.getLogger("lollms_server").setLevel(logging.INFO)
    listener.start()
    return listener


class _Dropping(QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As it is: the other thread makes the line."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Give it to the other thread, if that keeps up."""
        with contextlib.suppress(Full):
            self.queue.put_nowait(record)


def _line(event: str, facts: dict[str, Any]) -> str:
    when = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 1000):03d}Z"
    told = {"time": stamp, "event": event} | {name: value for name, value in facts.items() if value is not None}
    return json.dumps(told, ensure_ascii=True)
