"""Sound that is encoded while it is made."""

from __future__ import annotations

import io
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from lollms_modalities import (
    Audio,
    AudioChunk,
    AudioEncoder,
    CallCancelled,
    CancelToken,
    GenerationError,
    LollmsTTSBinding,
    MediaError,
    OptionError,
    SaveError,
)
from lollms_modalities.media.audio_encoder import encode_audio
from lollms_modalities.media.probing import probe_audio
from lollms_modalities.media.sound import decode_frames
from lollms_modalities.media.wav import wav_header

RATE = 22050
SINE = (12000 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)).astype(np.int16)
STEREO = np.stack([SINE, SINE // 2], 1)
FORMATS = ["wav", "flac", "ogg", "opus", "mp3"]


class Pipe:
    """A target that can only be written to."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


class Short(Pipe):
    """It takes a thousand bytes at a time, as a socket may."""

    def write(self, data: Any) -> int:
        return super().write(data[:1000])


def fed(target: Any, samples: np.ndarray, step: int = 5000, **named: Any) -> AudioEncoder:
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with AudioEncoder(target, RATE, channels, **named) as encoder:
        for start in range(0, len(samples), step):
            encoder.feed(samples[start : start + step])
    return encoder


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("samples", [SINE, STEREO], ids=["mono", "stereo"])
def test_every_target_gets_the_same_sound(output_format: str, samples: np.ndarray, tmp_path: Path) -> None:
    whole = decode_frames(encode_audio(samples, RATE, output_format))[0]
    encoder = fed(tmp_path / f"x.{output_format}", samples)
    assert (encoder.format, encoder.frames) == (output_format, len(samples))
    behind = io.BytesIO(b"before")  # which does not stand at its beginning
    behind.seek(0, io.SEEK_END)
    fed(behind, samples, output_format=output_format)
    for target in (pipe := Pipe(), short := Short()):
        fed(target, samples, output_format=output_format)
    assert behind.getvalue()[:6] == b"before"
    for data in (tmp_path / f"x.{output_format}", behind.getvalue()[6:], pipe.data, short.data):
        heard, rate = decode_frames(data)
        assert (heard.shape[1], rate) == (encoder.channels, 48000 if output_format == "opus" else encoder.output_rate)
        assert len(heard) == pytest.approx(len(whole), abs=2500)  # what a codec pads, where no header says how much
        if output_format == "mp3":  # where no header says how much was padded, it is heard a little later
            assert np.abs(heard[5000:50000]).mean() == pytest.approx(np.abs(whole[5000:50000]).mean(), rel=0.02)
        else:
            assert np.abs(heard[5000:50000] - whole[5000:50000]).max() < 0.02
    assert probe_audio(tmp_path / f"x.{output_format}")[2] == pytest.approx(3, abs=0.1)
    assert names(tmp_path) == [f"x.{output_format}"]


def test_raw_samples_and_wav_in_a_folder_of_any_name(tmp_path: Path) -> None:
    for samples in (SINE, STEREO):
        fed(target := Pipe(), samples, output_format="pcm")
        assert target.data == samples.tobytes()
        fed(tmp_path / "x.raw", samples, output_format="pcm")
        assert (tmp_path / "x.raw").read_bytes() == samples.tobytes()
    assert fed(io.BytesIO(), SINE).format == "wav"


def test_what_can_be_fed() -> None:
    bytes_of = SINE.tobytes()
    each: list[Any] = [SINE, SINE[:, None], bytes_of, bytearray(bytes_of), memoryview(bytes_of), SINE.astype("<i2")]
    each += [AudioChunk(bytes_of, RATE), SINE / np.float32(32768), SINE / 32768.0]
    for samples in each:
        target = io.BytesIO()
        with AudioEncoder(target, RATE, output_format="pcm") as encoder:
            encoder.feed(samples[:0] if hasattr(samples, "shape") else b"")
            encoder.feed(samples)
        assert target.getvalue() == bytes_of


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (AudioChunk(b"\0\0", 8000), MediaError), (AudioChunk(b"\0\0" * 2, RATE, 2), MediaError),
        (b"\0\0\0", GenerationError), (STEREO, GenerationError), (SINE.astype(int), GenerationError),
        (np.array([0.0, np.nan]), GenerationError), (np.zeros((2, 2, 2)), GenerationError), ("text", GenerationError),
        (np.zeros(0, int), GenerationError), (np.float32(1), GenerationError), (None, GenerationError),
    ],
    ids=repr,
)  # fmt: skip
def test_wrong_samples_leave_no_file(wrong: Any, error: type[Exception], tmp_path: Path) -> None:
    encoder = AudioEncoder(tmp_path / "x.flac", RATE)
    encoder.feed(SINE)
    with pytest.raises(error), encoder:
        encoder.feed(wrong)
    assert names(tmp_path) == []


def test_arguments_are_checked_before_a_file_is_made(tmp_path: Path) -> None:
    wrong: list[tuple[type[Exception], tuple[Any, ...], dict[str, Any]]] = [
        (OptionError, (tmp_path / "x.flac", RATE), {"output_format": "wav"}),
        (OptionError, (tmp_path / "x.docx", RATE), {}),
        (OptionError, (io.BytesIO(), RATE), {"output_format": "docx"}),
        (OptionError, (tmp_path / "no" / "x.wav", RATE), {}),
        (OptionError, (3, RATE), {}),
        (GenerationError, (tmp_path / "x.wav", 0), {}),
        (GenerationError, (tmp_path / "x.wav", RATE, 0), {}),
        (GenerationError, (tmp_path / "x.wav", RATE, 256), {}),
        (GenerationError, (tmp_path / "x.mp3", 48000, 5), {}),
    ]
    for error, given, named in wrong:
        with pytest.raises(error):
            AudioEncoder(*given, **named)
    assert names(tmp_path) == []


@pytest.mark.parametrize("output_format", FORMATS)
def test_an_exception_leaves_the_old_file(output_format: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{output_format}"
    path.write_bytes(b"old")
    encoder = AudioEncoder(path, RATE)
    encoder.feed(SINE)
    with pytest.raises(KeyError), encoder:
        raise KeyError
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == [path.name]
    with pytest.raises(GenerationError, match="finished"):
        encoder.feed(SINE)


def test_finish_twice_and_abort_after_it(tmp_path: Path) -> None:
    encoder = AudioEncoder(tmp_path / "x.wav", RATE)
    encoder.feed(SINE)
    assert not (tmp_path / "x.wav").exists()
    encoder.finish()
    (tmp_path / "x.wav").rename(tmp_path / "y.wav")
    encoder.finish()
    encoder.abort()
    (tmp_path / "y.wav").rename(tmp_path / "x.wav")
    assert Audio(path=tmp_path / "x.wav").duration == 3
    with pytest.raises(GenerationError, match="finished"):
        encoder.feed(SINE)


@pytest.mark.parametrize("output_format", FORMATS)
def test_what_the_target_raises_arrives(output_format: str) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 20000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    noise = np.random.default_rng(0).integers(-9000, 9000, 60 * RATE).astype(np.int16)
    with (
        pytest.raises(OSError, match="No space left") as caught,
        AudioEncoder(Full(), RATE, output_format=output_format) as e,
    ):
        e.feed(noise)
    assert not isinstance(caught.value, SaveError)


def test_a_full_disk_is_a_typed_error() -> None:
    with pytest.raises(SaveError, match=r"/dev/full.* cannot be written: No space left"):
        fed("/dev/full", SINE, output_format="pcm")


def test_sound_without_a_sample(tmp_path: Path) -> None:
    fed(tmp_path / "x.wav", SINE[:0])
    assert Audio(path=tmp_path / "x.wav").duration == 0
    for name in ("x.flac", "x.mp3"):
        with pytest.raises(GenerationError, match="without a sample"):
            fed(tmp_path / name, SINE[:0])
    assert names(tmp_path) == ["x.wav"]


def test_frames_that_were_announced(tmp_path: Path) -> None:
    fed(pipe := Pipe(), SINE, frames=len(SINE))
    assert pipe.data == bytes(Audio.from_samples(SINE, RATE))
    with pytest.raises(GenerationError, match="announced, and 10 were fed"):
        fed(tmp_path / "x.wav", SINE[:10], frames=11)
    assert names(tmp_path) == []


def test_short_wav_has_the_plain_header_and_long_wav_room_for_a_wide_one(tmp_path: Path) -> None:
    fed(tmp_path / "short.wav", SINE)
    assert (tmp_path / "short.wav").read_bytes() == bytes(Audio.from_samples(SINE, RATE))
    long = np.tile(SINE, 20)
    fed(tmp_path / "long.wav", long)
    with wave.open(str(tmp_path / "long.wav")) as read:
        assert (read.getnframes(), read.getframerate()) == (len(long), RATE)
        assert read.readframes(len(long)) == long.tobytes()
    assert (tmp_path / "long.wav").stat().st_size == 80 + 2 * len(long)


def test_wav_beyond_4_gb_is_rf64(tmp_path: Path) -> None:
    class Head(io.BytesIO):
        """Keeps the first bytes, and counts the others."""

        at = 0

        def write(self, data: Any) -> int:
            if self.at < 80:
                self.seek(self.at)
                super().write(data[: 80 - self.at])
            self.at += len(data)
            return len(data)

        def seek(self, at: int, whence: int = 0) -> int:
            assert whence == 0
            self.at = at
            return super().seek(min(at, 80))

        def tell(self) -> int:
            return self.at

    block = memoryview(bytes(1 << 26))
    with AudioEncoder(head := Head(), 48000, 2) as encoder:
        for _ in range(65):
            encoder.feed(block)
    size = 65 << 26
    header = head.getvalue()[:80]
    assert header == wav_header(48000, 2, size)
    path = tmp_path / "sparse.wav"
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(80 + size)
    assert soundfile.info(path).frames == size // 4
    assert probe_audio(path) == (48000, 2, size / 4 / 48000, "wav")
    assert Audio(path=path).duration == size / 4 / 48000


class Reader(LollmsTTSBinding):
    """Speaks as many seconds as the text says."""

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for _ in range(int(text)):
            yield AudioChunk.from_samples(SINE[:RATE], RATE)


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_stream_goes_straight_into_its_output_path(output_format: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{output_format}"
    seen: list[list[str]] = []

    class Seen(Reader):
        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
            for chunk in super().stream_audio(text):
                seen.append(names(tmp_path))
                yield chunk

    made = Seen().generate_audio("4", output_path=path)
    assert (len(made), made.path, made.format) == (0, path, output_format)
    assert made.duration == pytest.approx(4, abs=0.1)
    assert made.provenance is not None
    assert names(tmp_path) == [path.name]
    assert [len(s) for s in seen] == [0, 1, 1, 1]  # its part, from the first chunk on
    assert path.name not in seen[-1]
    whole = Reader().generate_audio("4", output_format=output_format)
    assert (path.read_bytes() == bytes(whole)) is (output_format not in ("ogg", "opus"))  # these have serial numbers


def test_a_stream_that_fails_or_is_stopped_leaves_the_old_file(tmp_path: Path) -> None:
    path, token = tmp_path / "x.mp3", CancelToken()
    path.write_bytes(b"old")

    class Fails(Reader):
        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
            yield from super().stream_audio("2")
            if text == "fail":
                raise ValueError("no more")
            token.cancel()

    for text, error in (("fail", GenerationError), ("stop", CallCancelled)):
        with pytest.raises(error):
            Fails().generate_audio(text, output_path=path, cancel=token)
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["x.mp3"]


def test_parts_that_the_result_is_not_are_taken_away(tmp_path: Path) -> None:
    class Twice(Reader):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            first, second = (super(Twice, self).generate_audio(text) for _ in range(2))
            assert first.path != second.path
            return second

    made = Twice().generate_audio("1", output_path=tmp_path / "x.flac")
    assert made.duration == 1
    assert names(tmp_path) == ["x.flac"]


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from lollms_modalities import Audio, AudioChunk, LollmsTTSBinding

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) / 1024

NOISE = (np.random.default_rng(0).normal(size=22050) * 3000).astype(np.int16)

class Reader(LollmsTTSBinding):
    def list_voices(self, **kwargs):
        return []

    def generate_audio(self, text, voice=None, **kwargs):
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text, voice=None, **kwargs):
        for n in range(int(text)):
            yield AudioChunk.from_samples(np.roll(NOISE, n), 22050)

folder, seconds, formats = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
reader = Reader()
for name in ("wav", *formats):  # the libraries themselves are not counted
    made = reader.generate_audio("2", output_path=folder / f"short.{name}")
    made.save(folder / ("again.flac" if name != "flac" else "again.wav"))
before = peak()
for name in formats:
    made = reader.generate_audio(seconds, output_path=folder / f"long.{name}")
    assert abs(made.duration - int(seconds)) < 1, made
    made.save(folder / ("again.flac" if name != "flac" else "again.wav"))
    made.path.unlink()
print(peak() - before)
"""


def grown(folder: Path, seconds: int, formats: list[str]) -> float:
    """Megabytes by which making and saving that much sound raised a process's peak memory."""
    program = [sys.executable, "-c", MEMORY, str(folder), str(seconds), *formats]
    done = subprocess.run(program, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_memory_does_not_grow_with_the_sound(tmp_path: Path) -> None:
    # In memory the samples alone would be 26 MB as int16, 53 MB as float32.
    assert grown(tmp_path, 600, ["wav", "flac"]) < 15


@pytest.mark.full
@pytest.mark.parametrize("output_format", FORMATS)
def test_an_hour_of_sound_is_written_within_50_mb(output_format: str, tmp_path: Path) -> None:
    assert grown(tmp_path, 3600, [output_format]) < 50


@pytest.mark.full
def test_sound_beyond_the_limit_of_input_is_saved_and_converted(tmp_path: Path) -> None:
    """Five hours in memory: input may hold four."""
    audio = Audio.from_pcm(bytes(2 * 8000 * 5 * 3600), 8000)
    assert audio.convert("flac").duration == 5 * 3600
    audio.save(tmp_path / "x.mp3")
    long = Audio(path=tmp_path / "x.mp3")
    assert long.duration == pytest.approx(5 * 3600, abs=1)
    assert long.save(tmp_path / "y.flac").is_file()
    assert len(long.to_numpy()) == pytest.approx(8000 * 5 * 3600, abs=8000)
