"""Speech written down while it is said, with a stream of Moonshine's own, which also finds where somebody speaks.

The library's ``stop()`` is not called: in 0.1 it loses what is being said. Some silence at the end has the same effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from lollms_modalities import AudioChunk, Segment, report_progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from moonshine_voice.transcriber import Stream, Transcriber

_EVERY = 0.5  # seconds of sound between two looks
_BEHIND = 2.0  # the same where more sound is waiting: an engine that is slow looks less often
_STALL = 0.3  # seconds without sound, after which what was heard is shown
_SILENCE = 1.0  # seconds that end the last line
_LONGEST = 60.0  # seconds after which a stream of the library's, which keeps all it hears, is followed by another
_AGAIN = 0.5  # seconds of silence before that, which the other hears again
_NEVER = 1e9  # seconds: the library looks when it is told to


class Listening:
    """One live transcription.

    Args:
        using: gives the model, for as long as nothing is yielded.
        language: of the model.
    """

    def __init__(self, using: Callable[[], AbstractContextManager[Transcriber]], language: str) -> None:
        self._using = using
        self._language = language
        self._stream: Stream | None = None
        self._recent: deque[tuple[npt.NDArray[np.float32], int]] = deque()
        self._began = 0.0  # seconds of sound before this stream's
        self._heard = self._looked = 0.0
        self._lines = self._done = 0  # lines of the streams before this one; of this one, that are final
        self._shown: dict[int, str] = {}

    def segments(self, frames: Any) -> Iterator[Segment]:
        """Partial ones and final ones; of those that have one ``id`` the last is final.

        Args:
            frames: what the verb was given: pieces of sound, of any rate and number of channels.
        """
        try:
            while True:
                since = self._heard - self._looked
                if since < _BEHIND:
                    piece = frames.take(0.0 if since >= _EVERY else _STALL if since else None)
                    if piece is not None:
                        self._hear(_mono(piece), piece.sample_rate)
                        report_progress(self._heard, unit="s")
                        continue
                    if frames.ended:
                        break
                yield from self._look()
            if self._heard:
                yield from self._end()
        finally:
            self._close()

    def _hear(self, samples: npt.NDArray[np.float32], rate: int) -> None:
        if not len(samples):
            return
        with self._using() as engine:
            if self._stream is None:
                self._stream = engine.create_stream(_NEVER)
                self._stream.start()
            self._stream.add_audio(samples, rate)
        self._heard += len(samples) / rate
        self._recent.append((samples, rate))
        while sum(len(s) / r for s, r in self._recent) - len(self._recent[0][0]) / self._recent[0][1] > _AGAIN:
            self._recent.popleft()

    def _look(self) -> Iterator[Segment]:
        from moonshine_voice.transcriber import MOONSHINE_FLAG_FORCE_UPDATE

        self._looked = self._heard
        if self._stream is None:
            return
        with self._using():
            lines = self._stream.update_transcription(MOONSHINE_FLAG_FORCE_UPDATE).lines
        for number, line in enumerate(lines[self._done :], self._done):
            if line.is_complete:
                self._done = number + 1
            yield from self._told(self._lines + number, line, final=line.is_complete)
        ended = max((line.start_time + line.duration for line in lines), default=0.0)
        length = self._heard - self._began
        if self._done == len(lines) and length > _LONGEST and length - ended > 2 * _AGAIN:
            self._follow(len(lines))

    def _told(self, number: int, line: Any, *, final: bool) -> Iterator[Segment]:
        text = line.text.strip()
        if text == self._shown.get(number, "") and not (final and number in self._shown):
            return  # nothing new; or nothing was said
        self._shown[number] = text
        if final:
            del self._shown[number]
        start = max(0.0, self._began + float(line.start_time))
        end = max(start, min(self._heard, start + float(line.duration)))
        yield Segment(text, start, end, language=self._language or None, final=final, id=str(number))

    def _end(self) -> Iterator[Segment]:
        import numpy as np

        heard = self._heard
        rate = self._recent[-1][1]
        self._hear(np.zeros(round(_SILENCE * rate), np.float32), rate)
        self._heard = heard
        yield from self._look()
        for number, text in [*self._shown.items()]:  # what no silence would end
            yield Segment(text, heard, heard, language=self._language or None, final=True, id=str(number))

    def _follow(self, lines: int) -> None:
        """Begin another stream, with the silence that this one ended with."""
        self._close()
        self._lines, self._done = self._lines + lines, 0
        again = [*self._recent]
        self._recent.clear()
        self._began = self._heard = self._heard - sum(len(samples) / rate for samples, rate in again)
        for samples, rate in again:
            self._hear(samples, rate)
        self._looked = self._heard

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _mono(piece: AudioChunk) -> npt.NDArray[np.float32]:
    import numpy as np

    samples = np.asarray(piece.samples, np.float32) / np.float32(32768)
    mono: npt.NDArray[np.float32] = samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)
    return mono
