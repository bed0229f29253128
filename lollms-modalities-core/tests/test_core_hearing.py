"""Sound as it really comes: channels, tracks, times, damage, headers that lie."""

from __future__ import annotations

import io
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from lollms_modalities import Audio, AudioChunk, MediaError, MediaWarning, OptionError
from lollms_modalities.media.audio_encoder import encode_audio
from lollms_modalities.media.probing import probe_audio
from lollms_modalities.media.sound import decode_audio, decode_frames

RATE = 16000
NOW = np.arange(2 * RATE) / RATE
TONE = (0.5 * np.sin(2 * np.pi * 440 * NOW)).astype(np.float32)
HIGH = (0.5 * np.sin(2 * np.pi * 1000 * NOW)).astype(np.float32)
WAV = bytes(Audio.from_samples(TONE, RATE))
PICTURE = ("-f", "lavfi", "-i", "color=black:s=32x32:r=5:d=8")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "31")


def wav_of(*channels: np.ndarray) -> bytes:
    """As Python's own module writes it, without a word about where the channels stand."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((len(channels), 2, RATE, 0, "NONE", ""))
        file.writeframes((np.stack(channels, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


@pytest.fixture(scope="module")
def ffmpeg(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a file with ffmpeg; ``tone.wav`` and ``high.wav`` are there."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tone.wav").write_bytes(WAV)
    (folder / "high.wav").write_bytes(bytes(Audio.from_samples(HIGH, RATE)))

    def make(name: str, *arguments: str) -> Path:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments, name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / name

    return make


def pitch(samples: np.ndarray, rate: int = RATE) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


def loud(samples: np.ndarray) -> float:
    """RMS of a sine, as its amplitude."""
    return float(np.sqrt(2 * np.mean(samples**2)))


def sounding(samples: np.ndarray, rate: int = RATE) -> list[tuple[float, float]]:
    """When there is sound, in seconds, to a tenth."""
    tenth = rate // 10
    is_loud = [loud(samples[n : n + tenth]) > 0.1 for n in range(0, len(samples) - tenth // 2, tenth)]
    edges = np.flatnonzero(np.diff([0, *is_loud, 0]))
    return [(float(a) / 10, float(b) / 10) for a, b in edges.reshape(-1, 2)]


# --- channels -------------------------------------------------------------------------------------------------------

NOTHING = np.zeros_like(TONE)
LATE = np.where(NOW > 1, TONE, 0).astype(np.float32)
CHANNELS: dict[str, tuple[np.ndarray, ...]] = {
    "both alike": (TONE, TONE),
    "the second inverted": (TONE, -TONE),
    "the second inverted and fainter": (TONE, -0.3 * TONE),
    "left only": (TONE, NOTHING),
    "right only": (NOTHING, TONE),
    "two inverted pairs": (TONE, HIGH * 0.2, -TONE, -HIGH * 0.2),
    "six, of which the fourth": (*[NOTHING] * 3, TONE, *[NOTHING] * 2),
    "nine, of which the last": (*[NOTHING] * 8, TONE),
    "32, each second inverted": tuple(TONE * (-1) ** n for n in range(32)),
    "64, of which one": (*[NOTHING] * 40, TONE, *[NOTHING] * 23),
}


@pytest.mark.parametrize("which", CHANNELS)
def test_what_is_in_any_channel_is_heard_at_its_level(which: str) -> None:
    data = wav_of(*CHANNELS[which])
    heard = decode_audio(data, RATE)
    assert len(heard) == len(TONE)
    assert pitch(heard) == pytest.approx(440, abs=2)
    assert loud(heard) == pytest.approx(0.5, abs=0.03)
    samples, rate = decode_frames(data)
    assert samples.shape == (len(TONE), len(CHANNELS[which]))
    assert rate == RATE
    assert np.abs(samples - np.stack(CHANNELS[which], 1)).max() < 1e-3, "each channel as it is"


def test_who_speaks_late_in_one_channel_is_heard_beside_the_other() -> None:
    early = np.where(NOW <= 1, HIGH, 0).astype(np.float32)
    heard = decode_audio(wav_of(early, LATE), RATE)
    assert pitch(heard[: RATE - 800]) == pytest.approx(1000, abs=2)
    assert pitch(heard[RATE + 800 :]) == pytest.approx(440, abs=2)
    assert loud(heard[: RATE - 800]) == pytest.approx(loud(heard[RATE + 800 :]), rel=0.1)


def test_loud_channels_together_stay_in_the_range() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (4, len(TONE))).astype(np.float32)
    assert np.abs(decode_audio(wav_of(*noise), RATE)).max() <= 1


# --- tracks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two.mkv", "two.mp4"])
def test_the_track_that_is_marked_is_heard_or_the_one_that_is_asked_for(ffmpeg: Callable[..., Path], name: str) -> None:
    both = ("-i", "tone.wav", "-i", "high.wav", "-map", "0", "-map", "1", "-c:a", "aac")
    film = ffmpeg(name, *both, "-disposition:a:0", "0", "-disposition:a:1", "default")
    assert pitch(decode_audio(film)) == pytest.approx(1000, abs=3)
    for track, expected in ((0, 440), (1, 1000)):
        assert pitch(decode_audio(film, track=track)) == pytest.approx(expected, abs=3)
    with pytest.raises(OptionError, match="has 2 sound tracks"):
        decode_audio(film, track=2)


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec"), [("late.mp4", "aac"), ("late.mkv", "libopus"), ("late.ts", "aac"), ("late.mpg", "mp2")]
)
def test_sound_that_starts_late_stands_at_its_place_in_a_longer_film(
    ffmpeg: Callable[..., Path], name: str, codec: str
) -> None:
    film = ffmpeg(name, *PICTURE, "-itsoffset", "3", "-i", "tone.wav", *MPEG4, "-c:a", codec)
    ((start, end),) = sounding(decode_audio(film))
    assert (start, end) == (pytest.approx(3, abs=0.11), pytest.approx(5, abs=0.11))
    assert probe_audio(film)[2] == pytest.approx(5, abs=0.15)


@pytest.mark.parametrize(("name", "codec"), [("gap.mp4", "aac"), ("gap.webm", "libopus")])
def test_a_microphone_that_was_off_for_a_while_leaves_silence(
    ffmpeg: Callable[..., Path], name: str, codec: str
) -> None:
    film = ffmpeg(name, "-i", "tone.wav", "-af", "aselect='not(between(t,0.5,1.2))'", "-c:a", codec)
    (_, end), (start, last) = sounding(decode_audio(film))
    assert (end, start, last) == tuple(pytest.approx(t, abs=0.11) for t in (0.5, 1.2, 2.0))
    samples, rate = decode_frames(film)
    assert len(samples) / rate == pytest.approx(2, abs=0.05)
    assert Audio(film.read_bytes()).duration == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.avi", "long.flv"])
def test_a_picture_that_goes_on_longer_is_no_cut(ffmpeg: Callable[..., Path], name: str) -> None:
    video = ("-c:v", "flv") if name.endswith("flv") else MPEG4
    film = ffmpeg(name, "-i", "tone.wav", *PICTURE, *video, "-c:a", "mp3", "-ar", "44100")
    assert len(decode_audio(film, RATE)) / RATE == pytest.approx(2, abs=0.1)
    assert probe_audio(film)[2] == pytest.approx(2, abs=0.1)


def test_an_mp3_of_which_the_length_can_only_be_guessed_is_no_cut(ffmpeg: Callable[..., Path]) -> None:
    silence_first = ("-f", "lavfi", "-i", "anullsrc=r=44100:cl=mono:d=5", "-f", "lavfi", "-i", "anoisesrc=d=3:r=44100")
    joined = ("-filter_complex", "[0][1]concat=n=2:v=0:a=1", "-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0")
    heard = decode_audio(path := ffmpeg("vbr.mp3", *silence_first, *joined))
    assert len(heard) / RATE == pytest.approx(8, abs=0.1)
    assert probe_audio(path)[2] == pytest.approx(8, abs=0.1)


def test_sound_alone_that_starts_late_in_its_container_is_whole(ffmpeg: Callable[..., Path]) -> None:
    film = ffmpeg("alone.mka", "-itsoffset", "5", "-i", "tone.wav", "-c:a", "flac")
    ((start, end),) = sounding(decode_audio(film))
    assert (start, end) == (5.0, 7.0)
    assert probe_audio(film)[2] == pytest.approx(7, abs=0.01)


def test_a_file_that_lacks_its_end_is_refused(ffmpeg: Callable[..., Path]) -> None:
    film = (*PICTURE, "-i", "tone.wav", *MPEG4, "-c:a", "aac")
    noise = ("-f", "lavfi", "-i", "anoisesrc=d=3", "-c:a", "libmp3lame")
    ways = {"cut.mkv": film, "cut.mp4": (*film, "-movflags", "faststart"), "cut.avi": film, "cut.mp3": noise}
    for name, how in ways.items():
        whole = ffmpeg(name, *how).read_bytes()
        with pytest.raises(MediaError, match="cut short"):
            decode_audio(whole[: len(whole) * 2 // 3])


# --- damage ---------------------------------------------------------------------------------------------------------


def damaged(data: bytes, at: float) -> bytes:
    """With 200 other bytes at a part of it."""
    start = int(len(data) * at)
    return data[:start] + np.random.default_rng(0).bytes(200) + data[start + 200 :]


@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("form", ["mp3", "flac", "ogg", "opus"])
def test_damage_is_left_out_and_told(form: str, at: float) -> None:
    noisy = TONE + np.random.default_rng(1).normal(0, 0.05, len(TONE)).astype(np.float32)
    with pytest.warns(MediaWarning, match="is damaged: .* could not be and were skipped"):
        heard = decode_audio(damaged(encode_audio(noisy, RATE, form), at), RATE)
    # A page of Ogg is a second long.
    assert (0.9 if form in ("ogg", "opus") else 1.7) < len(heard) / RATE <= 2.15
    assert pitch(heard) == pytest.approx(440, abs=3)


def test_a_flac_without_its_last_byte() -> None:
    with pytest.warns(MediaWarning, match="1 packets"):
        heard = decode_audio(encode_audio(TONE, RATE, "flac")[:-1], RATE)
    assert len(heard) / RATE > 1.7


def test_junk_after_the_end() -> None:
    mp3 = encode_audio(TONE, RATE, "mp3")
    with pytest.warns(MediaWarning):
        assert len(decode_audio(mp3 + b"<html>" * 300, RATE)) == pytest.approx(len(decode_audio(mp3, RATE)), abs=1200)


def test_mp3_files_one_after_the_other_of_another_rate_and_other_channels() -> None:
    second = encode_audio(np.stack([HIGH, HIGH], 1), 44100, "mp3")
    heard = decode_audio(encode_audio(TONE, RATE, "mp3") + second, RATE)
    assert len(heard) / RATE == pytest.approx(2 + 2 * RATE / 44100, abs=0.2)
    assert pitch(heard[: 2 * RATE - 2000]) == pytest.approx(440, abs=3)
    assert pitch(heard[2 * RATE + 2000 :]) == pytest.approx(1000 * 44100 / RATE, abs=10)


@pytest.mark.parametrize(("first", "second"), [("ogg", "ogg"), ("opus", "opus"), ("ogg", "opus")])
def test_chained_ogg(first: str, second: str) -> None:
    chain = encode_audio(TONE, RATE, first) + encode_audio(np.stack([HIGH, -HIGH], 1), 24000, second)
    heard = decode_audio(chain, RATE)
    assert len(heard) / RATE == pytest.approx(2 + 2 * RATE / 24000, abs=0.1)
    assert pitch(heard[: RATE * 3 // 2]) == pytest.approx(440, abs=3)
    assert pitch(heard[RATE * 5 // 2 :]) == pytest.approx(1500, abs=10)
    samples, rate = decode_frames(chain)
    assert samples.shape[1] == 1
    assert rate == (RATE if first == "ogg" else 16000 if rate == 16000 else 48000)
    assert len(samples) / rate == pytest.approx(Audio(chain).duration, abs=0.1)


def test_nothing_that_can_be_decoded_is_an_error(ffmpeg: Callable[..., Path]) -> None:
    data = bytearray(ffmpeg("whole.mp4", "-i", "tone.wav", "-c:a", "aac").read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov", start) - 4
    data[start:end] = b"\xff" * (end - start)
    with pytest.raises(MediaError, match=r"no sound that can be decoded: .* packets are damaged"):
        decode_audio(bytes(data))


# --- headers of WAV files -------------------------------------------------------------------------------------------

DATA = WAV[44:]
FORM = WAV[12:36]


def wav(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def chunk(name: bytes, data: bytes, size: int | None = None) -> bytes:
    return name + (len(data) if size is None else size).to_bytes(4, "little") + data


ODD = {
    "size 0": wav(FORM, chunk(b"data", DATA, 0)),
    "size 2,000,000,000": wav(FORM, chunk(b"data", DATA, 2_000_000_000)),
    "size 0x7FFFF024": wav(FORM, chunk(b"data", DATA, 0x7FFFF024)),
    "size 0xFFFFFFFF": wav(FORM, chunk(b"data", DATA, 0xFFFFFFFF)),
    "the header counted in": wav(FORM, chunk(b"data", DATA, len(DATA) + 44)),
    "some bytes too large": wav(FORM, chunk(b"data", DATA, len(DATA) + 9)),
    "an odd byte at the end": wav(FORM, chunk(b"data", DATA + b"\0")),
    "an odd chunk without pad": wav(FORM, chunk(b"LIST", b"INFOISFT\x03\0\0\0abc"), chunk(b"data", DATA)),
    "an odd chunk with pad": wav(FORM, chunk(b"LIST", b"INFOISFT\x03\0\0\0abc") + b"\0", chunk(b"data", DATA)),
    "a long chunk before": wav(FORM, chunk(b"LIST", b"x" * 9000), chunk(b"data", DATA)),
    "a long chunk before, size 0": wav(FORM, chunk(b"bext", bytes(9000)), chunk(b"data", DATA, 0)),
    "a chunk after": wav(FORM, chunk(b"data", DATA), chunk(b"LIST", b"INFO")),
}


@pytest.mark.parametrize("which", ODD)
def test_a_wav_is_heard_by_what_is_there(which: str, tmp_path: Path) -> None:
    audio = Audio(ODD[which])
    assert np.array_equal(decode_audio(audio, RATE), decode_audio(WAV, RATE))
    assert audio.duration == 2.0
    assert probe_audio(audio) == (RATE, 1, 2.0, "wav")
    assert AudioChunk.from_audio(audio).pcm == DATA
    assert np.array_equal(decode_audio(audio.convert("flac"), RATE), decode_audio(WAV, RATE))
    for saved in (audio.convert("wav"), Audio(audio.save(tmp_path / "x.wav").read_bytes())):
        with wave.open(io.BytesIO(saved)) as file:  # which believes every word
            assert file.getnframes() == len(TONE)
            assert file.readframes(len(TONE)) == DATA
    (tmp_path / "y.wav").write_bytes(ODD[which])
    assert Audio(path=tmp_path / "y.wav").duration == 2.0


def test_a_real_cut_is_told_wherever_the_sound_begins() -> None:
    cut = wav(FORM, chunk(b"LIST", b"x" * 9000), chunk(b"data", DATA))[:-30_000]
    with pytest.raises(MediaError, match=r"cut short: its header says 64000 bytes of sound, 34000 are there"):
        decode_audio(cut)
    with pytest.raises(MediaError, match="cut short"):
        AudioChunk.from_audio(cut)


def test_a_wav_with_no_sound_at_all() -> None:
    for empty in (wav(FORM, chunk(b"data", b"")), wav(FORM, chunk(b"data", b""), chunk(b"LIST", b"INFO"))):
        with pytest.raises(MediaError, match="without sound"):
            decode_audio(empty)
        assert Audio(empty).duration == 0


# --- samples that are no numbers ------------------------------------------------------------------------------------


def float_wav(samples: np.ndarray, bits: int = 32) -> bytes:
    block = bits // 8
    form = b"".join(
        n.to_bytes(w, "little") for n, w in ((3, 2), (1, 2), (RATE, 4), (RATE * block, 4), (block, 2), (bits, 2))
    )
    return wav(chunk(b"fmt ", form), chunk(b"data", samples.astype(f"<f{block}").tobytes()))


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_told(wrong: float, bits: int) -> None:
    samples = TONE.astype(float)
    samples[RATE + 5 :: 7] = wrong
    for hear in (decode_audio, decode_frames, AudioChunk.from_audio):
        with pytest.raises(MediaError, match=r"no numbers \(NaN or infinite\), the first at 1\.00 s"):
            hear(float_wav(samples, bits))


def test_floats_beyond_one_are_clipped() -> None:
    heard: Any = decode_audio(float_wav(TONE * 20), RATE)
    assert (np.abs(heard).max(), np.abs(heard).min() >= 0) == (1.0, True)
    assert np.array_equal(heard, np.clip(TONE * 20, -1, 1))
