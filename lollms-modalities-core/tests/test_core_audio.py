"""Sound files in and out."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from lollms_modalities import Audio, AudioFileNotFoundError, GenerationError, MediaError, OptionError
from lollms_modalities.media.audio_encoder import encode_audio
from lollms_modalities.media.probing import probe_audio
from lollms_modalities.media.samples import resample
from lollms_modalities.media.sound import decode_audio, decode_frames
from memory import SUPPORT

RATE = 22050
SINE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
WAV = bytes(Audio.from_samples(SINE, RATE))


def pitch(samples: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


def by_av(codec: str, container_format: str, *, video: bool = False) -> bytes:
    """Two seconds of sound (and a picture) in a format that we do not write ourselves."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format) as container:
        if video:
            picture = container.add_stream("libx264", rate=5)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        stream = container.add_stream(codec, rate=48000, layout="mono") if codec else None
        if video:
            for _ in range(10):
                container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
            container.mux(picture.encode())
        if stream is not None:
            samples = resample(SINE, RATE, 48000).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
            frame.sample_rate = 48000
            resampler = av.AudioResampler(stream.format.name, stream.layout.name, 48000, stream.frame_size or None)
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                container.mux(stream.encode(part))
            container.mux(stream.encode())
    return buffer.getvalue()


@pytest.mark.parametrize("output_format", ["wav", "flac", "ogg", "opus", "mp3"])
@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100, 48000, 32123])
@pytest.mark.parametrize("channels", [1, 2])
def test_round_trip(output_format: str, rate: int, channels: int) -> None:
    samples = resample(SINE, RATE, rate)
    if channels == 2:
        samples = np.stack([samples, np.zeros_like(samples)], 1)
    data = encode_audio(samples, rate, output_format)
    heard, heard_rate = decode_frames(data)
    assert heard.shape[1] == channels
    assert abs(len(heard) / heard_rate - 2) < 0.12
    assert pitch(heard[:, 0], heard_rate) == pytest.approx(440, abs=2)
    middle = heard[len(heard) // 4 : len(heard) // 2]
    assert np.abs(middle[:, 0]).max() == pytest.approx(0.5, abs=0.05)
    if output_format not in ("opus", "mp3"):
        assert heard_rate == rate
    if channels == 2:
        assert np.abs(middle[:, 1]).max() < 0.05
    told_rate, told_channels, duration, told_format = probe_audio(data)
    assert (told_channels, told_format) == (channels, output_format)
    assert duration == pytest.approx(2, abs=0.12)
    assert Audio(data).sample_rate == told_rate


def test_lossless_formats_are_lossless() -> None:
    exact = np.frombuffer(WAV[44:], "<i2")
    for output_format in ("wav", "flac"):
        samples, _ = decode_frames(encode_audio(exact, RATE, output_format))
        assert (np.rint(samples[:, 0] * 32768).astype(np.int16) == exact).all()


@pytest.mark.parametrize(
    ("codec", "container"), [("aac", "mp4"), ("aac", "adts"), ("libopus", "webm"), ("libopus", "matroska")]
)
def test_decodes_what_it_does_not_write(codec: str, container: str) -> None:
    heard = decode_audio(by_av(codec, container), 16000)
    assert heard.dtype == np.float32
    assert abs(len(heard) / 16000 - 2) < 0.12
    assert pitch(heard, 16000) == pytest.approx(440, abs=2)


def test_sound_of_a_video_and_a_video_without() -> None:
    assert len(decode_audio(by_av("aac", "mp4", video=True))) > 30000
    with pytest.raises(MediaError, match=r"video \(h264\) and no sound"):
        decode_audio(by_av("", "mp4", video=True))


def test_a_title_that_is_not_utf_8_does_not_matter() -> None:
    title = b"TIT2" + (5).to_bytes(4, "big") + b"\0\0" + b"\0\xe9\xff\xe9\xff"
    tagged = b"ID3\x03\0\0" + bytes([0, 0, 0, len(title)]) + title + encode_audio(SINE, RATE, "mp3")
    assert len(decode_audio(tagged, RATE)) == pytest.approx(len(SINE), rel=0.1)
    listed = WAV + b"LIST" + (12).to_bytes(4, "little") + b"INFOINAM" + b"\xe9\xff\xe9\xff"
    assert len(decode_audio(listed, RATE)) == len(SINE)


def test_long_sound_is_written_in_parts() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 30 * 48000).astype(np.float32)
    for output_format in ("ogg", "opus", "mp3"):
        assert len(decode_audio(encode_audio(noise, 48000, output_format), 48000)) == pytest.approx(
            len(noise), rel=0.01
        )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes"),
        (b"Dear reader, this is no sound. " * 20, "unknown data that begins with b'Dear rea'"),
        (np.random.default_rng(1).bytes(4000), "unknown data"),
        (b"RIFF" + bytes(200), "RIFF"),
        (WAV[:44], "cut short"),
        (WAV[:30000], "cut short: its header says 88200 bytes of sound, 29956 are there"),
        (encode_audio(SINE, RATE, "flac")[:9000], "flac"),
        (encode_audio(SINE, RATE, "ogg")[:-500], "ogg is cut short"),
        (encode_audio(SINE, RATE, "opus")[:-500], "opus is cut short"),
        (WAV[:20] + b"\x34\x12" + WAV[22:], "not known"),
        (by_av("aac", "mp4")[:9000], "mp4"),
        (by_av("libopus", "webm")[:3000], "webm"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n", "unknown data"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "unknown data"),
        (b"<?xml version='1.0'?><MPD></MPD>", "unknown data"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_cannot_be_read_says_what_was_found(data: bytes, said: str) -> None:
    with pytest.raises(MediaError) as caught:
        decode_audio(data)
    assert said in str(caught.value)


def test_a_wav_header_of_unknown_size_is_legal() -> None:
    for size in (0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000):
        streamed = WAV[:4] + struct.pack("<I", size) + WAV[8:40] + struct.pack("<I", size) + WAV[44:]
        assert len(decode_audio(streamed, RATE)) == len(SINE)
        assert Audio(streamed).duration == 2.0


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioFileNotFoundError, match=r"no\.wav"):
        decode_audio(tmp_path / "no.wav")
    with pytest.raises(MediaError, match="no regular file"):
        decode_audio(tmp_path)


def test_the_cap_holds_while_decoding() -> None:
    """Two hours of silence in a small file of which the header tells no length: memory stays far below the whole."""
    program = f"""
import io, sys
sys.path.append({SUPPORT!r})
import av, numpy as np
from memory import peak
buffer = io.BytesIO()
with av.open(buffer, "w", format="adts") as container:
    stream = container.add_stream("aac", rate=8000, layout="mono")
    stream.bit_rate = 1000
    silence = np.zeros((1, 1024), np.float32)
    for n in range(8000 * 7200 // 1024):
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, n * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
from lollms_modalities.media.sound import decode_audio
from lollms_modalities import Audio, MediaError
decode_audio(Audio.from_samples(silence[0], 8000))
before = peak()
try:
    decode_audio(buffer.getvalue(), 16000, max_duration=60)
except MediaError as exc:
    print(len(buffer.getvalue()), peak() - before, exc)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    size, grown, said = done.stdout.split(" ", 2)
    assert int(size) < 1_000_000
    assert int(grown) < 60e6, "the whole would be 460 MB"
    assert "more than 60 s" in said


def test_a_declared_length_beyond_the_cap_is_refused_at_once() -> None:
    with pytest.raises(MediaError, match="at least 2 s"):
        decode_audio(WAV, max_duration=1)
    assert len(decode_audio(WAV, RATE, max_duration=2)) == len(SINE)


def test_what_cannot_be_encoded_is_told() -> None:
    with pytest.raises(OptionError, match="flac"):
        encode_audio(SINE, RATE, "docx")
    with pytest.raises(GenerationError, match="cannot be written as mp3"):
        encode_audio(np.zeros((100, 5), np.float32), 48000, "mp3")


@pytest.mark.parametrize("output_format", ["wav", "flac", "ogg", "opus", "mp3"])
@pytest.mark.parametrize("rate", [0, -1, 22050.0, None])
def test_a_rate_that_is_none_is_told(output_format: str, rate: object) -> None:
    with pytest.raises(GenerationError, match="sample rate"):
        encode_audio(SINE, rate, output_format)  # type: ignore[arg-type]


def test_vorbis_beyond_its_highest_rate_is_resampled() -> None:
    assert probe_audio(encode_audio(np.zeros(400_000, np.float32), 400_000, "ogg"))[0] == 48000


@pytest.mark.parametrize("output_format", ["flac", "mp3"])
def test_sound_without_a_sample_makes_no_file(output_format: str) -> None:
    with pytest.raises(GenerationError, match="without a sample"):
        encode_audio(np.zeros(0, np.float32), RATE, output_format)


def test_floats_far_beyond_the_range_are_clipped() -> None:
    for loud in (np.array([9.0, -9.0], np.float16), np.array([1e308, -1e308])):
        assert np.frombuffer(Audio.from_samples(loud, RATE)[44:], "<i2").tolist() == [32767, -32768]
