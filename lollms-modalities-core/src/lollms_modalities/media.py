"""What bindings give: sound, images and video as ``bytes``, transcripts as ``str``, each with what is known of it.

A result can be used as the plain value that it is, plays or shows itself in a notebook, saves itself in the format of a
file name, and keeps what it knows when it is copied or pickled. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import io
import struct
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, SupportsIndex

from lollms_modalities._result import Provenance as Provenance
from lollms_modalities._result import Result, check_folder, suffix_format, write_whole
from lollms_modalities.call import _current
from lollms_modalities.errors import BindingDependencyError, GenerationError, MediaError, OptionError
from lollms_modalities.media_input import MediaInput as MediaInput
from lollms_modalities.media_input import check_media as check_media
from lollms_modalities.media_input import media_path as media_path
from lollms_modalities.media_input import open_media as open_media
from lollms_modalities.media_input import read_media as read_media
from lollms_modalities.transcript import Segment as Segment
from lollms_modalities.transcript import Transcript as Transcript
from lollms_modalities.transcript import Word as Word
from lollms_modalities.wav import Wav, read_wav, with_true_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image as PILImage

    from lollms_modalities.call import Call


class Format(NamedTuple):
    """A file format."""

    name: str
    mime_type: str
    suffixes: tuple[str, ...]


def _table(*formats: Format) -> dict[str, Format]:
    return {f.name: f for f in formats}


AUDIO_FORMATS = _table(
    Format("wav", "audio/wav", (".wav", ".wave")),
    Format("flac", "audio/flac", (".flac",)),
    Format("ogg", "audio/ogg", (".ogg", ".oga")),
    Format("opus", "audio/ogg; codecs=opus", (".opus",)),
    Format("mp3", "audio/mpeg", (".mp3",)),
)
IMAGE_FORMATS = _table(
    Format("png", "image/png", (".png",)),
    Format("jpeg", "image/jpeg", (".jpg", ".jpeg")),
    Format("webp", "image/webp", (".webp",)),
)
VIDEO_FORMATS = _table(Format("mp4", "video/mp4", (".mp4", ".m4v")), Format("webm", "video/webm", (".webm",)))


class _Media(Result, bytes):
    """What sound, images and video share: bytes of a file, its format, and where it lies if it was written.

    Attributes:
        path: the file that holds the media, or None. Where a call was given ``output_path``, the file holds the media
            and the object itself is empty, so that a large result is not in memory.
    """

    formats: ClassVar[Mapping[str, Format]] = {}
    path: Path | None = None
    _format: str | None = None

    def __bool__(self) -> bool:
        return len(self) > 0 or self.path is not None

    @property
    def format(self) -> str:
        """The file format, such as "wav", by what the bytes are; "" where they are not known."""
        if self._format is None:
            self._format = sniff(self._head())
        return self._format

    @property
    def mime_type(self) -> str:
        """Such as "audio/wav"."""
        known = self.formats.get(self.format)
        return known.mime_type if known else "application/octet-stream"

    def __eq__(self, other: object) -> bool:
        """As bytes; one without bytes, whose file holds the media, equals those of the same file only."""
        if self._held_by is None and getattr(other, "_held_by", None) is None:
            return bytes.__eq__(self, other)
        return isinstance(other, _Media) and self._held_by == other._held_by

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return bytes.__hash__(self) if self._held_by is None else hash(self._held_by)

    @property
    def _held_by(self) -> Path | None:
        """The file, where it holds the media in the place of the object."""
        return None if len(self) else self.path

    def save(self, path: str | Path) -> Path:
        """Write the file, converted to the format of its suffix; whole or not at all. Gives the path.

        Raises:
            OptionError: an unknown suffix, or a path that cannot be written to.
            SaveError: writing failed.
        """
        target = check_folder(Path(path))
        wanted = format_of(target, type(self))
        if wanted == self.format:
            self._save_as_it_is(target)
        else:
            self._save_converted(target, wanted)
        return target

    def _save_as_it_is(self, target: Path) -> None:
        if len(self):
            write_whole(target, self)
        else:
            with open_media(self) as file:
                write_whole(target, file)

    def _save_converted(self, target: Path, wanted: str) -> None:
        write_whole(target, self.convert(wanted))

    def convert(self, output_format: str) -> Self:
        """The same in another format."""
        raise NotImplementedError

    def moved_to(self, path: Path) -> Self:
        """The media in a file of its own, and an object without the bytes that knows the file."""
        self.save(path)
        moved = type(self)()
        if format_of(path, type(self)) == self.format:
            moved.__dict__.update(self.__dict__)
        moved._provenance = self._provenance
        moved.path = path.absolute()
        return moved

    def __str__(self) -> str:
        return repr(self)

    def _head(self) -> bytes:
        if len(self) or self.path is None:
            return bytes(self[:64])
        with self.path.open("rb") as file:
            return file.read(64)

    def _size(self) -> str:
        try:
            count = len(self) if len(self) or self.path is None else self.path.stat().st_size
        except OSError:
            return "not there"
        return (
            f"{count} bytes" if count < 1000 else f"{count / 1000:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
        )

    def _where(self) -> str:
        return f" in {str(self.path)!r}" if self.path is not None else ""

    def _data_url(self) -> str:
        return f"data:{self.mime_type};base64,{b64encode(read_media(self)).decode()}"


def formats_of(kind: type) -> Mapping[str, Format]:
    """The formats of that kind of media, by name."""
    formats: Mapping[str, Format] = kind.formats  # type: ignore[attr-defined]
    return formats


def check_format(name: object, kind: type) -> str:
    """The format's name as it stands in the table of that kind of media.

    Raises:
        OptionError: it is unknown.
    """
    formats = formats_of(kind)
    wanted = {"jpg": "jpeg"}.get(name, name) if isinstance(name, str) else name
    if isinstance(wanted, str) and wanted.lower().lstrip(".") in formats:
        return wanted.lower().lstrip(".")
    raise OptionError(f"output_format={name!r} is not known.", hint=f"Known ones: {', '.join(formats)}.")


def format_of(path: Path, kind: type) -> str:
    """The format that a file name's suffix stands for; an ``OptionError`` where it stands for none."""
    return suffix_format(path, {suffix: f.name for f in formats_of(kind).values() for suffix in f.suffixes})


def check_output_path(path: object, kind: type) -> Path:
    """``path`` if media of that kind can be written there.

    Raises:
        OptionError: no path, an unknown suffix, or a folder that does not exist.
    """
    if not isinstance(path, (str, Path)):
        raise OptionError(f"output_path is {type(path).__name__}.", hint="Give a path as str or pathlib.Path.")
    target = check_folder(Path(path).expanduser().absolute())
    format_of(target, kind)
    return target


_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "wav"), (0, b"fLaC", "flac"), (28, b"OpusHead", "opus"), (0, b"OggS", "ogg"), (0, b"ID3", "mp3"),
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpeg"), (8, b"WEBP", "webp"), (0, b"GIF8", "gif"),
    (4, b"ftyp", "mp4"), (0, b"\x1a\x45\xdf\xa3", "webm"),
)  # fmt: skip


def sniff(head: bytes) -> str:
    """The format that a file beginning with ``head`` has, or ""."""
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return name
    return "mp3" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 else ""


# --- sound ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AudioChunk:
    """A part of a stream of sound.

    Attributes:
        pcm: int16 samples, little endian, interleaved where there are several channels.
        sample_rate: samples per second and channel.
        channels: how many.
        text: what is spoken in it; "" where that is not known.
    """

    pcm: bytes
    sample_rate: int
    channels: int = 1
    text: str = ""

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        """int16, shape (n,), or (n, channels) where there are several; a view, not a copy."""
        import numpy as np

        flat = np.frombuffer(self.pcm, dtype="<i2")
        return flat if self.channels == 1 else flat.reshape(-1, self.channels)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.pcm) / (2 * self.channels * self.sample_rate)

    @classmethod
    def from_samples(cls, samples: npt.NDArray[Any], sample_rate: int, text: str = "") -> Self:
        """From float samples in [-1, 1] (clipped) or int16, of shape (n,) or (n, channels)."""
        from lollms_modalities.audio import to_int16

        fixed = to_int16(samples)
        return cls(fixed.tobytes(), sample_rate, 1 if fixed.ndim == 1 else fixed.shape[1], text)

    @classmethod
    def from_audio(cls, audio: bytes, text: str = "") -> Self:
        """The whole of an ``Audio``, or of other bytes of a sound file, as one chunk."""
        whole = audio if isinstance(audio, Audio) else Audio(audio)
        if (wav := whole._wav()) is not None and wav.bits == 16 and wav.pcm and not wav.missing:
            return cls(whole._sound(wav), wav.sample_rate, wav.channels, text)
        from lollms_modalities.audio import decode_frames

        samples, rate = decode_frames(whole, max_duration=None)
        return cls.from_samples(samples[:, 0] if samples.shape[1] == 1 else samples, rate, text)


def check_rate(sample_rate: object) -> None:
    """A ``GenerationError`` where it is no rate that sound can have; encoders crash on some of those."""
    # A WAV header also holds the rate times the bytes a frame, of at most 255 channels, in 32 bits.
    whole = isinstance(sample_rate, SupportsIndex) and not isinstance(sample_rate, bool)
    if not whole or not 1 <= sample_rate.__index__() <= 0xFFFFFFFF // 512:  # type: ignore[attr-defined]
        raise GenerationError(f"Sound has the sample rate {sample_rate!r}.", hint="It must be a positive int, in Hz.")


def wav_header(sample_rate: int, channels: int, size: int | None, *, wide: bool = False) -> bytes:
    """The 44 bytes before ``size`` bytes of 16-bit PCM (RIFF WAVE, http://soundfile.sapp.org/doc/WaveFormat).

    Beyond 4 GB it is the 80 bytes of RF64 (https://tech.ebu.ch/docs/tech/tech3306v1_1.pdf).

    Args:
        size: None where it is not known and the header will not be written again.
        wide: always 80 bytes, so that the one can be written over the other.
    """
    check_rate(sample_rate)
    block = 2 * channels
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, sample_rate * block, block, 16)
    if size is None:
        return b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff"
    if size + 72 > 0xFFFFFFFF:
        long = struct.pack("<4sIQQQI", b"ds64", 28, size + 72, size, size // block, 0)
        return b"RF64\xff\xff\xff\xffWAVE" + long + form + b"data\xff\xff\xff\xff"
    room = struct.pack("<4sI28x", b"JUNK", 28) if wide else b""
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(room) + size, b"WAVE")
        + room
        + form
        + struct.pack("<4sI", b"data", size)
    )


def _other_kind(chunk: AudioChunk, sample_rate: int, channels: int) -> MediaError:
    return MediaError(
        f"A chunk has {chunk.sample_rate} Hz and {chunk.channels} channels, the first had {sample_rate} Hz and "
        f"{channels}.",
        hint="All parts of a stream have one rate and one number of channels.",
    )


def _encoded(sample_rate: int, channels: int, wanted: str, frames: int | None, blocks: Iterable[Any]) -> memoryview:
    from lollms_modalities.audio_encoder import AudioEncoder

    buffer = io.BytesIO()
    with AudioEncoder(buffer, sample_rate, channels, output_format=wanted, frames=frames) as encoder:
        for block in blocks:
            encoder.feed(block)
    return buffer.getbuffer()


def _encoded_part(call: Call, first: AudioChunk, rest: Iterable[AudioChunk]) -> Path:
    """The chunks in a file that waits for the end of the call; gives its path."""
    from lollms_modalities.audio_encoder import AudioEncoder

    assert call.output_path is not None
    encoder = AudioEncoder(call.output_path, first.sample_rate, first.channels)
    with encoder.kept_back() as part:
        for chunk in chain([first], rest):
            encoder.feed(chunk)
    call.parts = (*call.parts, part)
    return part.part


class Audio(_Media):
    """Sound: the bytes of a sound file, 16-bit PCM WAV unless another format was asked for.

    What is not given is read from the bytes when it is asked for.

    Args:
        data: the file's bytes.
        sample_rate, channels, duration: samples per second and channel, number of channels, seconds.
        mime_type: "audio/wav" and the like, where the bytes don't tell.
        path: the file that holds the sound, where ``data`` is empty.
    """

    formats = AUDIO_FORMATS
    _known: tuple[int | None, int | None, float | None] = (None, None, None)

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
        self = super().__new__(cls, data)
        if sample_rate is not None or channels is not None or duration is not None:
            self._known = (sample_rate, channels, duration)
        if path is not None:
            self.path = path.absolute()  # the current folder may change
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
        from lollms_modalities.audio import encode_audio, to_int16

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
        each = iter(chunks)
        first = next(each, None)
        if first is None:
            raise MediaError("The stream gave no sound.", hint="Check that the text has something to say.")
        call = _current.get()
        if call is not None and call.output_path is not None and not isinstance(chunks, (list, tuple)):
            self = cls(path=_encoded_part(call, first, each))
        elif wanted == "wav":
            self = cls._joined(first, each)
        else:
            self = cls(_encoded(first.sample_rate, first.channels, wanted, None, chain([first], each)))
            self._format = wanted
        self._provenance = getattr(chunks, "provenance", None)
        return self

    @classmethod
    def _joined(cls, first: AudioChunk, rest: Iterable[AudioChunk]) -> Self:
        kind = (first.sample_rate, first.channels)
        parts = [first.pcm]
        for chunk in rest:
            if (chunk.sample_rate, chunk.channels) != kind:
                raise _other_kind(chunk, *kind)
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

    def _wav(self) -> Wav | None:
        if not self or self._head()[8:12] != b"WAVE":
            return None
        with open_media(self) as file:
            return read_wav(file)

    def _sound(self, wav: Wav) -> bytes:
        with open_media(self) as file:
            file.seek(wav.start)
            return file.read(wav.size)

    def _facts(self) -> tuple[int, int, float]:
        rate, channels, duration = self._known
        if rate is None or channels is None or duration is None:
            wav = self._wav()
            if wav is not None and wav.plain:
                found = (wav.sample_rate, wav.channels, wav.duration)
            else:
                from lollms_modalities.audio import probe_audio

                found = probe_audio(self)[:3]
            rate = found[0] if rate is None else rate
            channels = found[1] if channels is None else channels
            duration = found[2] if duration is None else duration
            self._known = (rate, channels, duration)
        return rate, channels, duration

    def to_numpy(self) -> npt.NDArray[np.float32]:
        """float32 in [-1, 1], shape (n, channels)."""
        from lollms_modalities.audio import decode_frames

        return decode_frames(self, max_duration=None)[0]

    def convert(self, output_format: str) -> Self:
        """The same sound as "wav", "flac", "ogg", "opus" or "mp3". Opus is resampled where it must be.

        A WAV file of which the header does not tell the truth gets another header, also as "wav".
        """
        wanted = check_format(output_format, type(self))
        if wanted == self.format:
            return self._with_true_header()
        from lollms_modalities.audio import decode_blocks

        with decode_blocks(self) as sound:
            converted = type(self)(_encoded(sound.sample_rate, sound.channels, wanted, sound.frames, sound.blocks))
        converted._format = wanted
        converted._provenance = self._provenance
        return converted

    def _save_converted(self, target: Path, wanted: str) -> None:
        from lollms_modalities.audio import decode_blocks
        from lollms_modalities.audio_encoder import AudioEncoder

        with (
            decode_blocks(self) as sound,
            AudioEncoder(target, sound.sample_rate, sound.channels, frames=sound.frames) as encoder,
        ):
            for block in sound.blocks:
                encoder.feed(block)

    def _save_as_it_is(self, target: Path) -> None:
        if (wav := self._lying_header()) is None:
            return super()._save_as_it_is(target)
        with open_media(self) as file:
            write_whole(target, with_true_header(file, wav))

    def _lying_header(self) -> Wav | None:
        """The header of a WAV file that would mislead programs, though all of its sound is there."""
        wav = self._wav()
        return None if wav is None or wav.true or wav.missing or not wav.size else wav

    def _with_true_header(self) -> Self:
        if (wav := self._lying_header()) is None:
            return self
        with open_media(self) as file:
            made = type(self)(with_true_header(file, wav).read())
        made._provenance = self._provenance
        return made

    def __repr__(self) -> str:
        if not self:
            return "<Audio empty>"
        try:
            rate, channels, duration = self._facts()
        except (MediaError, BindingDependencyError, OSError):
            return f"<Audio of unknown format, {self._size()}{self._where()}>"
        ways = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
        return f"<Audio {self.format} {duration:.2f} s, {rate} Hz {ways}, {self._size()}{self._where()}>"

    def _repr_html_(self) -> str:
        return f'<audio controls preload="metadata" src="{self._data_url()}"></audio>'


# --- images ---------------------------------------------------------------------------------------------------------


class Image(_Media):
    """An image: the bytes of an image file, PNG unless another format was asked for.

    Args:
        data: the file's bytes.
        path: the file that holds the image, where ``data`` is empty.
    """

    formats = IMAGE_FORMATS
    _pixels: tuple[int, int] | None = None

    def __new__(cls, data: bytes | bytearray | memoryview = b"", *, path: Path | None = None) -> Self:
        self = super().__new__(cls, data)
        if path is not None:
            self.path = path.absolute()  # the current folder may change
        return self

    @classmethod
    def from_pil(cls, image: PILImage, output_format: str = "png") -> Self:
        """From a Pillow image. JPEG has no transparency: it is laid on white."""
        wanted = check_format(output_format, cls)
        if wanted == "jpeg" and image.mode != "RGB":
            pillow = _pillow()
            rgba = image.convert("RGBA")
            image = pillow.new("RGB", image.size, "white")
            image.paste(rgba, mask=rgba.getchannel("A"))
        if wanted == "png" and image.mode in ("CMYK", "YCbCr", "HSV", "PA"):
            image = image.convert("RGBA" if image.mode == "PA" else "RGB")
        buffer = io.BytesIO()
        try:
            image.save(buffer, format=wanted.upper())
        except (OSError, ValueError) as exc:
            raise MediaError(f"A {image.mode} image cannot be written as {wanted}: {exc}.") from exc
        self = cls(buffer.getbuffer())
        self._pixels = image.size
        self._format = wanted
        return self

    @classmethod
    def from_pixels(cls, pixels: npt.NDArray[np.uint8], output_format: str = "png") -> Self:
        """From uint8 values of shape (height, width, 3 or 4) or (height, width)."""
        return cls.from_pil(_pillow().fromarray(pixels), output_format)

    def to_pil(self) -> PILImage:
        """The image as Pillow's, loaded.

        Raises:
            MediaError: the bytes are no image.
        """
        pillow = _pillow()
        try:
            with open_media(self) as file, pillow.open(file) as image:
                image.load()
                return image  # type: ignore[no-any-return]
        except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as exc:
            raise MediaError(f"{self._size()} of {self.format or 'unknown data'} are no image: {exc}.") from exc

    @property
    def width(self) -> int:
        """Pixels."""
        return self._dimensions()[0]

    @property
    def height(self) -> int:
        """Pixels."""
        return self._dimensions()[1]

    def _dimensions(self) -> tuple[int, int]:
        if self._pixels is None:
            head = self._head()
            if head.startswith(b"\x89PNG") and len(head) >= 24:
                self._pixels = struct.unpack_from(">II", head, 16)
            else:
                self._pixels = self.to_pil().size
        return self._pixels

    def convert(self, output_format: str) -> Self:
        """The same image as "png", "jpeg" or "webp"."""
        wanted = check_format(output_format, type(self))
        if wanted == self.format:
            return self
        converted = self.from_pil(self.to_pil(), wanted)
        converted._provenance = self._provenance
        return converted

    def __repr__(self) -> str:
        if not self:
            return "<Image empty>"
        try:
            width, height = self._dimensions()
        except (MediaError, BindingDependencyError, OSError):
            return f"<Image of unknown format, {self._size()}{self._where()}>"
        return f"<Image {self.format} {width}x{height}, {self._size()}{self._where()}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {self.mime_type: b64encode(read_media(self)).decode(), "text/plain": repr(self)}


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as exc:
        raise BindingDependencyError(
            "Images are read and converted with Pillow, which is not installed.",
            hint='Run pip install "lollms-modalities-core[image]".',
        ) from exc
    return PIL.Image


# --- video ----------------------------------------------------------------------------------------------------------


class Video(_Media):
    """A video: the bytes of a video file, MP4 (H.264) unless another format was asked for.

    Args:
        data: the file's bytes.
        path: the file that holds the video, where ``data`` is empty.
    """

    formats = VIDEO_FORMATS
    _facts: tuple[int, int, float, float, int] | None = None

    def __new__(cls, data: bytes | bytearray | memoryview = b"", *, path: Path | None = None) -> Self:
        self = super().__new__(cls, data)
        if path is not None:
            self.path = path.absolute()  # the current folder may change
        return self

    @classmethod
    def from_frames(cls, frames: Iterable[npt.NDArray[np.uint8]], fps: float) -> Self:
        """MP4 (H.264) from RGB frames: uint8 of shape (height, width, 3), all alike, sizes even."""
        from lollms_modalities.video import encode_video

        self = cls(encode_video(frames, fps))
        self._format = "mp4"
        return self

    @property
    def width(self) -> int:
        """Pixels."""
        return self._probe()[0]

    @property
    def height(self) -> int:
        """Pixels."""
        return self._probe()[1]

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._probe()[2]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self._probe()[3]

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self._probe()[4]

    def _probe(self) -> tuple[int, int, float, float, int]:
        if self._facts is None:
            from lollms_modalities.audio import probe_video

            self._facts = probe_video(self)
        return self._facts

    def convert(self, output_format: str) -> Self:
        """The video itself; another format than its own is refused with ``OptionError``."""
        wanted = check_format(output_format, type(self))
        if wanted == self.format:
            return self
        raise OptionError(
            f"A video in {self.format or 'an unknown format'} cannot be made {wanted} here.",
            hint=f"Save it with the suffix .{self.format or 'mp4'} and convert it with ffmpeg.",
        )

    def __repr__(self) -> str:
        if not self:
            return "<Video empty>"
        try:
            width, height, fps, duration, _ = self._probe()
        except (MediaError, BindingDependencyError, OSError):
            return f"<Video of unknown format, {self._size()}{self._where()}>"
        return f"<Video {self.format} {width}x{height}, {duration:.2f} s at {fps:g} fps, {self._size()}{self._where()}>"

    def _repr_html_(self) -> str:
        return f'<video controls src="{self._data_url()}"></video>'
