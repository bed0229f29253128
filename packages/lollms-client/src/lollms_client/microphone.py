"""A microphone as a source of sound for ``transcribe_live``. Needs the extra ``[microphone]``.

::

    with Microphone() as microphone:
        for segment in lc.stt.transcribe_live(microphone):
            print(segment.text)
"""

from __future__ import annotations

import ctypes
import logging
import sys
import warnings
from collections.abc import Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from lollms_modalities import AudioChunk, BindingDependencyError, MediaError, MediaWarning
from lollms_modalities.finding.mending import install_command

_BLOCK = 0.05  # seconds of one chunk
_LATENCY = 0.2  # seconds that the system may hold back: a busy program loses nothing
_log = logging.getLogger(__name__)
_Told = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)


class Microphone(Iterator[AudioChunk]):
    """What a microphone hears, chunk by chunk, from the moment it is made until it is closed.

    What is not taken yet is kept, however long that takes. What the system itself has lost is told with a
    ``MediaWarning`` when it is closed.

    Args:
        device: its number or a part of its name, as ``devices`` has them; None for the system's default.
        sample_rate: samples per second; None for the device's own.

    Raises:
        BindingDependencyError: sounddevice is not installed, or PortAudio is not.
        MediaError: there is no such device, or it cannot be opened.
    """

    def __init__(self, device: int | str | None = None, sample_rate: int | None = None) -> None:
        sounddevice = _sounddevice()
        self._chunks: SimpleQueue[AudioChunk | None] = SimpleQueue()
        self._lost = 0
        self._closed = False
        try:
            rate = sample_rate or int(sounddevice.query_devices(device, "input")["default_samplerate"])
            self._stream = sounddevice.RawInputStream(
                samplerate=rate, blocksize=int(rate * _BLOCK), device=device, channels=1, dtype="int16",
                latency=_LATENCY, callback=self._heard, finished_callback=self._finished,
            )  # fmt: skip
            self.sample_rate = rate
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as exc:
            raise MediaError(
                f"The microphone {'' if device is None else f'{device!r} '}cannot be opened: {exc}.",
                hint="lollms listen --devices lists those that there are.",
            ) from exc

    def __next__(self) -> AudioChunk:
        chunk = self._chunks.get()
        if chunk is None:
            self._chunks.put(None)  # for whoever asks again
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Hear no more; what was heard can still be taken. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._stream.close()
        self._chunks.put(None)
        if self._lost:
            warnings.warn(
                MediaWarning(f"The system lost sound {self._lost} times, before the program was given it."),
                stacklevel=2,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _heard(self, data: Any, frames: int, time: Any, status: Any) -> None:
        """In PortAudio's thread."""
        if status.input_overflow:
            self._lost += 1
        self._chunks.put(AudioChunk(bytes(data), self.sample_rate))

    def _finished(self) -> None:
        self._chunks.put(None)  # it was closed, or is there no more


def devices() -> list[tuple[int, str]]:
    """The microphones of this machine: their numbers and names."""
    found = _sounddevice().query_devices()
    return [(n, str(device["name"])) for n, device in enumerate(found) if device["max_input_channels"] > 0]


def _sounddevice() -> Any:
    _listen_to_alsa()
    try:
        import sounddevice
    except ImportError as exc:
        raise BindingDependencyError(
            "A microphone needs sounddevice, which is not installed.",
            hint=f"Run {install_command('microphone')}.",
        ) from exc
    except OSError as exc:
        raise BindingDependencyError(
            f"A microphone needs PortAudio, which is not on this machine ({exc}).",
            hint="On Debian and Ubuntu: apt-get install libportaudio2.",
        ) from exc
    return sounddevice


def _tell(file: bytes | None, line: int, function: bytes | None, error: int, form: bytes | None) -> None:
    _log.debug("ALSA: %s: %s", (function or b"").decode(errors="replace"), (form or b"").decode(errors="replace"))


_told = _Told(_tell)  # kept, since ALSA does not


def _listen_to_alsa() -> None:
    """Log what ALSA, below PortAudio, would print of each device that is not there."""
    if sys.platform != "linux":
        return
    try:
        # https://www.alsa-project.org/alsa-doc/alsa-lib/group___error.html; what follows the format is not looked at.
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_told)
    except (OSError, AttributeError):
        return
