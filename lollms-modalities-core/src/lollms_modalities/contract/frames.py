"""What a live verb is given: the caller's sound, in small pieces, pulled in a thread of its own.

A microphone may block for ever: so the thread can be left behind. It reads ahead while the engine works, but no faster
than sound passes: nothing of a microphone is lost, and of a file no more is read than is needed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from lollms_modalities.calls import waits
from lollms_modalities.calls.call import current_call
from lollms_modalities.contract.pulling import Source
from lollms_modalities.errors import LollmsError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.media.chunk import AudioChunk

AHEAD = 30.0  # seconds of sound that are held at most; beyond, the caller's iterator is not asked
_PATIENCE = 0.05  # seconds that whoever ends it waits for the caller's iterator to be closed
_log = logging.getLogger(__name__)


class Frames(Iterator["AudioChunk"]):
    """The caller's sound, as engine code takes it: an iterator, of which ``take`` waits no longer than it is told.

    What the caller's iterator raises ends the call and reaches its caller unchanged.

    Attributes:
        source: what the caller gave.
        ended: whether nothing more will come.
    """

    def __init__(self, frames: Any) -> None:
        self.source = Source(frames)
        self.ended = False
        self._changed = threading.Condition()
        self._held: deque[AudioChunk] = deque()
        self._seconds = 0.0  # held
        self._pulled = False  # to its end
        self._error: BaseException | None = None
        self._wanted = False  # somebody waits for the next piece
        self._busy_since = 0.0
        self._thread: threading.Thread | None = None
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AudioChunk:
        piece = self.take()
        if piece is None:
            raise StopIteration
        return piece

    def take(self, timeout: float | None = None) -> AudioChunk | None:
        """The next piece. None where none came within ``timeout`` seconds, or, if ``ended`` says so, none will.

        Raises:
            CallCancelled, CallTimeout: the call is to stop; and what the caller's iterator raised.
        """
        call = current_call()
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            if self._thread is None and not self._closed:
                self._begin(call)
            while not self._held:
                call.check()
                if self._pulled or self._closed:
                    self._end(call)
                    return None
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait(waits.ANEW if left is None else min(left, waits.ANEW))
            self._wanted, self._busy_since = False, time.monotonic()
            piece = self._held.popleft()
            self._seconds -= piece.duration
            return piece

    def close(self) -> None:
        """Take no more. The caller's iterator is closed as soon as it lets itself be."""
        with self._changed:
            self._closed = self.ended = True
            self._held.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            self.source.stop()
            if thread is not threading.current_thread() and not self.source.needs_this_thread():
                thread.join(_PATIENCE)

    def _begin(self, call: Call) -> None:
        self.source.begin(call)
        call.on_cancel(self._wake)
        self._busy_since = time.monotonic()
        self._thread = threading.Thread(target=self._pull, name="lollms-frames", daemon=True)
        self._thread.start()

    def _end(self, call: Call) -> None:
        self.ended = True
        error, self._error = self._error, None
        if error is not None:
            call.fail(error)
            raise error

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # -- in the thread that pulls ------------------------------------------------------------------------------------

    def _pull(self) -> None:
        pieces = self.source.pieces()
        error: BaseException | None = None
        try:
            while self._may_pull() and (piece := next(pieces, None)) is not None:
                with self._changed:
                    self._held.append(piece)
                    self._seconds += piece.duration
                    self._wanted = False
                    self._changed.notify_all()
        except BaseException as exc:  # whatever it is, it is the caller's
            error = exc
        try:
            pieces.close()
        except BaseException as exc:
            error = error or exc
        with self._changed:
            self._pulled = True
            self._error = error
            self._changed.notify_all()
            if self._closed and error is not None and not isinstance(error, LollmsError):
                _log.warning("the sound's iterator failed while it was being ended: %s", type(error).__name__)

    def _may_pull(self) -> bool:
        """Wait until more is wanted, or a microphone would have more by now; False when nothing is any more."""
        with self._changed:
            while not self._closed:
                ahead = self._seconds - min(time.monotonic() - self._busy_since, AHEAD)
                if self._wanted or ahead < 0:
                    return True
                self._changed.wait(None if self._seconds >= AHEAD else ahead + 0.001)
            return False
