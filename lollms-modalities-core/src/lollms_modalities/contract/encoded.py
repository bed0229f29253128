"""Speech as the bytes of a sound file, while it is being made.

Encoding is done where the program runs, of the chunks that ``stream_audio`` gives: so it is the same for a binding in
place and for one elsewhere, and sound crosses a channel once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from lollms_modalities.calls.askers import asker
from lollms_modalities.contract.async_streams import AsyncStream
from lollms_modalities.contract.streams import END, Stream
from lollms_modalities.errors import BusyError, MediaError, OptionError, PluginRefused
from lollms_modalities.media.audio_coders import import_encoder
from lollms_modalities.media.audio_encoder import AudioEncoder, EncodedBytes, check_bit_rate
from lollms_modalities.media.chunk import AudioChunk, other_kind
from lollms_modalities.media.encoded import StreamHead, encodes, told_head
from lollms_modalities.media.formats import AUDIO_FORMATS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.calls.askers import Asker
    from lollms_modalities.media.mixing import Fitted
    from lollms_modalities.media.result import Provenance

STREAM_FORMATS = (*AUDIO_FORMATS, "pcm")
_PIECE = 0.5  # seconds of sound that are encoded at a time: a binding that cannot stream gives all in one chunk
_PIECE_OF_WAV = 10.0  # which is no work


def check_stream_format(name: object) -> str:
    """The format's name, if sound can be streamed in it.

    Raises:
        OptionError: it cannot.
    """
    wanted = name.lower().lstrip(".") if isinstance(name, str) else name
    if wanted in STREAM_FORMATS:
        return wanted
    raise OptionError(
        f"output_format={name!r} cannot be streamed.",
        hint=f"Can: {', '.join(STREAM_FORMATS)}.",
        names=["output_format"],
    )


class SoundFormat(NamedTuple):
    """What is written, where a format's name does not say all.

    Attributes:
        name: "mp3", "opus", "ogg", "aac", "flac", "wav" or "pcm".
        sample_rate: in Hz; None for the sound's own.
        channels: 1 where they become one; None for the sound's own.
        bit_rate: bits a second of "mp3" and "opus"; None for the encoder's own choice.
    """

    name: str
    sample_rate: int | None = None
    channels: int | None = None
    bit_rate: int | None = None


def check_can_encode(wanted: object) -> SoundFormat:
    """What is wanted, if sound can be streamed so and what encodes it is installed: before any sound is made.

    Raises:
        OptionError: it cannot.
        BindingDependencyError: what encodes the format is not installed.
    """
    said = wanted if isinstance(wanted, SoundFormat) else SoundFormat("mp3" if wanted is None else wanted)  # type: ignore[arg-type]
    said = said._replace(name=check_stream_format(said.name))
    _check_whole("sample_rate", said.sample_rate, 8000, 192_000)
    _check_whole("channels", said.channels, 1, 1)
    check_bit_rate(said.bit_rate, said.name)
    import_encoder(said.name)
    return said


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most):
        raise OptionError(f"{name}={value!r:.40}.", hint=f"A whole number from {least} to {most}.", names=[name])


class EncodedStream(Iterator[bytes]):
    """The bytes of a sound file, in parts, as the sound is made; never empty ones. Put together they are the file.

    The headers of WAV and FLAC leave the length open, which players take. Raw "pcm" is int16 samples, little endian,
    interleaved, without a header. Use it in a ``for`` loop, or in a ``with`` statement where the loop may be left
    early.

    Args:
        chunks: of ``stream_audio``.
        output_format: one of ``STREAM_FORMATS``, or a ``SoundFormat``.

    Attributes:
        output_format: of the bytes.
        sample_rate: of what is written, in Hz; Opus, MP3 and AAC know certain rates only, and Opus is always played
            at 48000. None before the first bytes.
        channels: how many. None before the first bytes.
        duration: seconds of sound that went into the bytes so far.
    """

    def __init__(self, chunks: Iterator[AudioChunk], output_format: str | SoundFormat) -> None:
        self._wanted = output_format if isinstance(output_format, SoundFormat) else SoundFormat(output_format)
        self.output_format = self._wanted.name
        self._fitted: Fitted | None = None
        self._kind = (0, 0)
        self.sample_rate: int | None = None
        self.channels: int | None = None
        self.duration = 0.0
        self._chunks = chunks
        self._written = EncodedBytes()
        self._encoder: AudioEncoder | None = None
        self._waiting: Iterator[AudioChunk] = iter(())
        self._sent = 0
        self._encoding = threading.Lock()
        self._stepper: int | None = None
        self._done = False

    @property
    def mime_type(self) -> str:
        """Such as "audio/mpeg"."""
        known = AUDIO_FORMATS.get(self.output_format)
        return known.mime_type if known else "audio/pcm"

    @property
    def provenance(self) -> Provenance | None:
        """How the sound was made; None until the stream has ended."""
        provenance: Provenance | None = getattr(self._chunks, "provenance", None)
        return provenance

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        part = self._step(asker())
        if part is END:
            raise StopIteration
        return part

    def _step(self, consumer: Asker) -> bytes:
        """The next bytes, or ``END``; ``consumer`` is who waits for them."""
        if self._stepper == threading.get_ident():
            raise BusyError("stream_encoded: the stream was asked for its next bytes from inside itself.")
        with self._encoding:
            self._stepper = threading.get_ident()
            try:
                while not self._done:
                    self._advance(consumer)
                    if part := self._written.take():
                        part = part if self._sent or self.output_format == "pcm" else self._headed(part)
                        self._sent += len(part)
                        return part
            except BaseException as exc:
                if isinstance(exc, PluginRefused):
                    exc.sent = self._sent
                self._give_up()
                raise
            finally:
                self._stepper = None
        end: bytes = END
        return end

    def _headed(self, head: bytes) -> bytes:
        """The first bytes, in which encoders put all headers, as plug-ins want them."""
        if not encodes():
            return head
        chunks = self._chunks
        made = chunks._so_far() if isinstance(chunks, Stream) else None
        binding = chunks._binding if isinstance(chunks, Stream) else None
        return bytes(told_head(StreamHead(head, self.output_format, made), binding, self._call))

    def _advance(self, consumer: Asker) -> None:
        """Encode some more, or the end."""
        # A stream that was stopped says so when it is asked for its next chunk.
        stopped = self._call is not None and self._call.stopped
        if (piece := None if stopped else next(self._waiting, None)) is not None:
            assert self._encoder is not None
            self._feed(piece)
            return
        chunk = self._next_chunk(consumer)
        if chunk is END:
            self._finish()
            return
        if self._encoder is None:
            self._begin(chunk)
        self._waiting = _pieces(chunk, _PIECE_OF_WAV if self.output_format == "wav" else _PIECE)

    def _next_chunk(self, consumer: Asker) -> Any:
        if isinstance(self._chunks, Stream):
            return self._chunks._step(consumer)
        return next(self._chunks, END)

    def _begin(self, first: AudioChunk) -> None:
        target: Any = self._written
        wanted, self._kind = self._wanted, (first.sample_rate, first.channels)
        kind = (wanted.sample_rate or first.sample_rate, wanted.channels or first.channels)
        if kind != self._kind:
            from lollms_modalities.media.mixing import Fitted

            self._fitted = Fitted(self._kind, *kind)
        self._encoder = AudioEncoder(target, *kind, output_format=self.output_format, bit_rate=wanted.bit_rate)
        self.sample_rate, self.channels = self._encoder.output_rate, self._encoder.channels

    def _feed(self, piece: AudioChunk) -> None:
        assert self._encoder is not None
        if self._fitted is None:
            self._encode(piece)
            return
        import numpy as np

        if (piece.sample_rate, piece.channels) != self._kind:
            raise other_kind(piece, *self._kind)
        floats = np.frombuffer(piece.pcm, "<i2").astype(np.float32).reshape(-1, piece.channels) / np.float32(32768)
        self._encode(self._fitted.add(floats))

    def _encode(self, sound: AudioChunk | npt.NDArray[np.float32]) -> None:
        assert self._encoder is not None
        self._encoder.feed(sound)
        self.duration = self._encoder.frames / self._encoder.sample_rate

    def _finish(self) -> None:
        self._done = True
        if self._encoder is None:
            raise MediaError("The stream gave no sound.", hint="Check that the text has something to say.")
        if self._fitted is not None:
            import numpy as np

            self._encode(self._fitted.add(np.zeros((0, self._kind[1]), np.float32), last=True))
        self._encoder.finish()

    @property
    def _call(self) -> Any:
        return getattr(self._chunks, "_call", None)

    def close(self) -> None:
        """End the stream and free what it holds. Waits for a step that runs in another thread; again does nothing.

        Raises:
            GenerationError: the engine failed while it was being ended.
        """
        try:
            if (close := getattr(self._chunks, "close", None)) is not None:
                close()
        finally:
            self._abort()

    def _close(self) -> BaseException | None:
        """As ``close``; gives what the engine raised."""
        try:
            if isinstance(self._chunks, Stream):
                return self._chunks._close()
            self.close()
            return None
        finally:
            self._abort()

    def _abort(self) -> None:
        if self._stepper == threading.get_ident():
            return  # from inside a step, which ends at its next check
        with self._encoding:  # a step that runs elsewhere has been told to stop by now
            self._give_up(chunks=False)

    def _give_up(self, *, chunks: bool = True) -> None:
        """Drop the encoder, and end the chunks; the caller holds ``_encoding``."""
        self._done = True
        self._waiting = iter(())
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.abort()
        self._written.take()
        if chunks and isinstance(self._chunks, Stream):
            self._chunks._log(self._chunks._close())

    def _log(self, error: BaseException | None) -> None:
        if isinstance(self._chunks, Stream):
            self._chunks._log(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            self.close()
        else:
            self._log(self._close())


def _pieces(chunk: AudioChunk, seconds: float) -> Iterator[AudioChunk]:
    step = max(1, round(seconds * chunk.sample_rate)) * 2 * chunk.channels
    if len(chunk.pcm) <= step:
        yield chunk
        return
    for start in range(0, len(chunk.pcm), step):
        yield AudioChunk(chunk.pcm[start : start + step], chunk.sample_rate, chunk.channels)


class AsyncEncodedStream(AsyncStream[bytes]):
    """An ``EncodedStream`` for ``async for``: each step runs in a thread, the event loop stays free."""

    def __init__(self, stream: EncodedStream) -> None:
        super().__init__(cast("Stream[bytes]", stream))
        self._encoded = stream

    @property
    def output_format(self) -> str:
        """Of the bytes."""
        return self._encoded.output_format

    @property
    def sample_rate(self) -> int | None:
        """Of what is written, in Hz; None before the first bytes."""
        return self._encoded.sample_rate

    @property
    def channels(self) -> int | None:
        """How many; None before the first bytes."""
        return self._encoded.channels

    @property
    def duration(self) -> float:
        """Seconds of sound that went into the bytes so far."""
        return self._encoded.duration

    @property
    def mime_type(self) -> str:
        """Such as "audio/mpeg"."""
        return self._encoded.mime_type
