"""Sound as results have it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lollms_modalities.calls.call import CURRENT
from lollms_modalities.errors import MediaError
from lollms_modalities.media.chunk import other_kind
from lollms_modalities.media.encoded import WrittenFile, place_for, told
from lollms_modalities.media.formats import AUDIO_FORMATS, check_format
from lollms_modalities.media.input import open_media as open_media
from lollms_modalities.media.media_file import MediaFile
from lollms_modalities.media.wav import read_wav, wav_header, with_true_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.calls.call import Call
    from lollms_modalities.media.chunk import AudioChunk
    from lollms_modalities.media.transcript import Transcript, Word
    from lollms_modalities.media.wav import Wav


def _encoded(sample_rate: int, channels: int, wanted: str, frames: int | None, blocks: Iterable[Any]) -> memoryview:
    from lollms_modalities.media.audio_encoder import AudioEncoder

    buffer = io.BytesIO()
    with AudioEncoder(buffer, sample_rate, channels, output_format=wanted, frames=frames) as encoder:
        for block in blocks:
            encoder.feed(block)
    return buffer.getbuffer()


def _encoded_part(call: Call, first: AudioChunk, rest: Iterable[AudioChunk]) -> Path:
    """The chunks in a file that waits for the end of the call; gives its path."""
    from lollms_modalities.media.audio_encoder import AudioEncoder

    assert call.output_path is not None
    encoder = AudioEncoder(place_for(call.output_path), first.sample_rate, first.channels)
    with encoder.kept_back() as part:
        for chunk in chain([first], rest):
            encoder.feed(chunk)
    call.parts = (*call.parts, WrittenFile(part, call.output_path))
    return part.part


def _noting_words(chunks: Iterable[AudioChunk], words: list[Word]) -> Iterator[AudioChunk]:
    """The chunks; their words, with times from the first one's beginning, are added to ``words`` as they come."""
    size = 0
    for chunk in chunks:
        if chunk.words:
            before = size / (2 * chunk.channels * chunk.sample_rate)
            words += (replace(word, start=word.start + before, end=word.end + before) for word in chunk.words)
        size += len(chunk.pcm)
        yield chunk


class Audio(MediaFile):
    """Sound: the bytes of a sound file, 16-bit PCM WAV unless another format was asked for.

    What is not given is read from the bytes when it is asked for.

    Args:
        data: the file's bytes.
        sample_rate, channels, duration: samples per second and channel, number of channels, seconds.
        mime_type: "audio/wav" and the like, where the bytes don't tell.
        path: the file that holds the sound, where ``data`` is empty.

    Attributes:
        words: what is said in it, with times in seconds, where that was asked for; else empty. Joined, their texts are
            the text that was spoken.
    """

    formats = AUDIO_FORMATS
    _noun = "Audio"
    _known: tuple[int | None, int | None, float | None] = (None, None, None)
    words: tuple[Word, ...] = ()

    def __new__(
        cls,
        data: bytes | bytearray | memoryview = b"",
        *,
        sample_rate: int | None = None,
        channels: int | None = None,
        duration: float | None = None,
        mime_type: str | None = None,
        path: Path | None = None,
    ) -> Self:
        self = super().__new__(cls, data, path=path)
        if sample_rate is not None or channels is not None or duration is not None:
            self._known = (sample_rate, channels, duration)
        if mime_type is not None:
            self._format = next((f.name for f in cls.formats.values() if f.mime_type == mime_type), None)
        return self

    @classmethod
    def from_pcm(cls, pcm: bytes | bytearray | memoryview, sample_rate: int, channels: int = 1) -> Self:
        """WAV from int16 samples, little endian, interleaved."""
        view = memoryview(pcm)
        header = wav_header(sample_rate, channels, view.nbytes)
        self = cls(b"".join((header, view)))
        self._known = (sample_rate, channels, view.nbytes / (2 * channels * sample_rate))
        self._format = "wav"
        return self

    @classmethod
    def from_samples(cls, samples: npt.NDArray[Any], sample_rate: int, output_format: str = "wav") -> Self:
        """From float samples in [-1, 1] (clipped) or int16, of shape (n,) or (n, channels)."""
        from lollms_modalities.media.audio_encoder import encode_audio
        from lollms_modalities.media.samples import to_int16

        wanted = check_format(output_format, cls)
        fixed = to_int16(samples)
        channels = 1 if fixed.ndim == 1 else fixed.shape[1]
        if wanted == "wav":
            return cls.from_pcm(fixed.data.cast("B") if fixed.size else b"", sample_rate, channels)
        self = cls(encode_audio(fixed, sample_rate, wanted))
        self._format = wanted
        return self

    @classmethod
    def from_chunks(cls, chunks: Iterable[AudioChunk], output_format: str = "wav") -> Self:
        """The whole of a stream, with the stream's provenance.

        In a call that was given an ``output_path`` the chunks of an iterator are encoded into that place as they come,
        and the object that comes back is empty and knows its file: an hour of speech is never held. The file takes its
        name when the call has ended well.

        Raises:
            MediaError: no chunk at all, or chunks that differ in rate or channels.
        """
        wanted = check_format(output_format, cls)
        words: list[Word] = []
        each = _noting_words(chunks, words)
        first = next(each, None)
        if first is None:
            raise MediaError("The stream gave no sound.", hint="Check that the text has something to say.")
        call = CURRENT.get()
        if call is not None and call.output_path is not None and not isinstance(chunks, (list, tuple)):
            self = cls(path=_encoded_part(call, first, each))
        elif wanted == "wav":
            self = cls._joined(first, each)
        else:
            self = cls(_encoded(first.sample_rate, first.channels, wanted, None, chain([first], each)))
            self._format = wanted
        self._provenance = getattr(chunks, "provenance", None)
        if words:
            self.words = tuple(words)
        return self if self._held_by is not None else told(self)

    @classmethod
    def _joined(cls, first: AudioChunk, rest: Iterable[AudioChunk]) -> Self:
        kind = (first.sample_rate, first.channels)
        parts = [first.pcm]
        for chunk in rest:
            if (chunk.sample_rate, chunk.channels) != kind:
                raise other_kind(chunk, *kind)
            parts.append(chunk.pcm)
        size = sum(map(len, parts))
        self = cls(b"".join((wav_header(*kind, size), *parts)))
        self._known = (*kind, size / (2 * kind[1] * kind[0]))
        self._format = "wav"
        return self

    @property
    def sample_rate(self) -> int:
        """Samples per second and channel."""
        return self._facts()[0]

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._facts()[1]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self._facts()[2]

    def with_words(self, words: Iterable[Word]) -> Self:
        """The same object, which from now on knows when each word is said in it."""
        self.words = tuple(words)
        return self

    def to_srt(self, max_chars: int | None = 42, max_lines: int | None = 2, max_seconds: float | None = 7.0) -> str:
        """SubRip subtitles of what is said, cut as ``Transcript.to_srt`` cuts them.

        Raises:
            MediaError: the times of its words are not known.
        """
        return self._spoken().to_srt(max_chars, max_lines, max_seconds)

    def to_vtt(self, max_chars: int | None = 42, max_lines: int | None = 2, max_seconds: float | None = 7.0) -> str:
        """WebVTT subtitles of what is said; as ``to_srt``."""
        return self._spoken().to_vtt(max_chars, max_lines, max_seconds)

    def _spoken(self) -> Transcript:
        from lollms_modalities.media.transcript import Segment, Transcript

        if not self.words:
            raise MediaError(
                "Subtitles need the times of the words, which this sound does not know.",
                hint="Have it spoken with timestamps='word'.",
            )
        text = "".join(word.text for word in self.words)
        return Transcript(text, segments=[Segment(text, self.words[0].start, self.words[-1].end, self.words)])

    def _wav(self) -> Wav | None:
        if not self or self._head()[8:12] != b"WAVE":
            return None
        with open_media(self) as file:
            return read_wav(file)

    def _facts(self) -> tuple[int, int, float]:
        rate, channels, duration = self._known
        if rate is None or channels is None or duration is None:
            wav = self._wav()
            if wav is not None and wav.plain:
                found = (wav.sample_rate, wav.channels, wav.duration)
            else:
                from lollms_modalities.media.probing import probe_audio

                found = probe_audio(self)[:3]
            rate = found[0] if rate is None else rate
            channels = found[1] if channels is None else channels
            duration = found[2] if duration is None else duration
            self._known = (rate, channels, duration)
        return rate, channels, duration

    def to_numpy(self) -> npt.NDArray[np.float32]:
        """float32 in [-1, 1], shape (n, channels)."""
        from lollms_modalities.media.sound import decode_frames

        return decode_frames(self, max_duration=None)[0]

    def convert(self, output_format: str) -> Self:
        """The same sound as "wav", "flac", "ogg", "opus", "mp3" or "aac". It is resampled where it must be.

        A WAV file of which the header does not tell the truth gets another header, also as "wav".
        """
        wanted = check_format(output_format, type(self))
        if wanted == self.format:
            made = self._with_true_header()
            return made if made is self else told(made, source=self)
        return told(self._converted(wanted), source=self)

    def _converted(self, wanted: str) -> Self:
        from lollms_modalities.media.sound import decode_blocks

        with decode_blocks(self) as sound:
            converted = type(self)(_encoded(sound.sample_rate, sound.channels, wanted, sound.frames, sound.blocks))
        converted._format = wanted
        return self._told_to(converted)

    def _save_converted(self, target: Path, wanted: str) -> Self:
        from lollms_modalities.media.audio_encoder import AudioEncoder
        from lollms_modalities.media.sound import decode_blocks

        with decode_blocks(self) as sound:
            place = place_for(target)
            encoder = AudioEncoder(place, sound.sample_rate, sound.channels, frames=sound.frames)
            with encoder.kept_back() as whole:
                for block in sound.blocks:
                    encoder.feed(block)
        written = WrittenFile(whole, target)
        try:
            made: Self = written.told(self._told_to(type(self)(path=whole.part)), self)
            written.keep()
        finally:
            written.drop()
        return made

    def _save_as_it_is(self, target: Path) -> Self:
        if (wav := self._lying_header()) is None:
            return super()._save_as_it_is(target)
        with open_media(self) as file:
            return self._save_file(target, with_true_header(file, wav))

    def _lying_header(self) -> Wav | None:
        """The header of a WAV file that would mislead programs, though all of its sound is there."""
        wav = self._wav()
        return None if wav is None or wav.true or wav.missing or not wav.size else wav

    def _with_true_header(self) -> Self:
        if (wav := self._lying_header()) is None:
            return self
        with open_media(self) as file:
            made = type(self)(with_true_header(file, wav).read())
        return self._told_to(made)

    def _told_to(self, other: Self) -> Self:
        super()._told_to(other)
        other.words = self.words
        return other

    def _told(self) -> str:
        rate, channels, duration = self._facts()
        ways = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
        return f"{duration:.2f} s, {rate} Hz {ways}"

    def _repr_html_(self) -> str:
        return f'<audio controls preload="metadata" src="{self._data_url()}"></audio>'
