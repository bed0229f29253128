"""Sound as it really comes, what a second look found: many channels, joined files, headers that lie elsewhere."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lollms_modalities import Audio, AudioChunk, GenerationError, MediaError
from lollms_modalities.media.audio_encoder import AudioEncoder, encode_audio
from lollms_modalities.media.mixing import Made
from lollms_modalities.media.probing import probe_audio
from lollms_modalities.media.sound import decode_audio, decode_blocks, decode_frames
from lollms_modalities.media.wav import HIGHEST_RATE, wav_header

RATE = 16000
NOW = np.arange(2 * RATE) / RATE
TONE = (0.5 * np.sin(2 * np.pi * 440 * NOW)).astype(np.float32)
STEREO = np.stack([TONE, TONE], 1)
WAV = bytes(Audio.from_samples(TONE, RATE))
FORM, DATA = WAV[12:36], WAV[44:]


@pytest.mark.parametrize(("form", "channels"), [("ogg", 9), ("ogg", 100), ("opus", 10)])
def test_more_than_eight_planes_are_read_and_not_beyond(form: str, channels: int) -> None:
    factors = ((np.arange(channels) + 1) / channels).astype(np.float32)
    samples, rate = decode_frames(encode_audio(TONE[:4000, None] * factors, RATE, form))
    assert samples.shape[1] == channels
    middle = samples[len(samples) // 4 : len(samples) // 2]
    assert np.abs(middle).max(0) == pytest.approx(0.5 * factors, abs=0.07), "each channel as it is"
    assert rate == (RATE if form == "ogg" else 48000)


def test_joined_mp3_files_have_the_rate_and_channels_of_the_first_one() -> None:
    first, second = encode_audio(STEREO, 44100, "mp3"), encode_audio(TONE, RATE, "mp3")
    for joined in (first + second, first + second + first):
        samples, rate = decode_frames(joined)
        assert (rate, samples.shape[1]) == (44100, 2)
        assert probe_audio(joined)[:2] == (44100, 2)
        assert (Audio(joined).sample_rate, Audio(joined).channels) == (44100, 2)
        assert Audio(joined).convert("flac").sample_rate == 44100


def test_joined_flac_files_are_as_long_as_they_are_heard() -> None:
    joined = encode_audio(TONE, RATE, "flac") * 2
    assert len(decode_audio(joined, RATE)) == 4 * RATE
    assert Audio(joined).duration == pytest.approx(4)


def test_a_part_of_another_rate_is_given_away_while_it_comes() -> None:
    made = Made("it", None, mono=False, max_duration=None)
    made.add(np.zeros((8000, 2), np.float32), 8000)
    given = sum(map(len, made.ready()))
    for _ in range(20):
        made.add(STEREO[:, :1], RATE)
        came = sum(map(len, made.ready()))
        assert came, "nothing is held for the end"
        given += came
    made.finish("")
    assert given + sum(map(len, made.ready())) == pytest.approx(8000 * 41, abs=8)


def test_a_part_of_another_kind_sounds_alike_whole_and_in_blocks() -> None:
    joined = encode_audio(TONE, RATE, "ogg") + encode_audio(np.stack([TONE, -TONE], 1), 24000, "ogg")
    whole, _ = decode_frames(joined)
    with decode_blocks(joined) as sound:
        parts = np.concatenate(list(sound.blocks))
    assert np.array_equal(whole, np.clip(parts, -1, 1))
    assert np.abs(whole[5 * RATE // 2 : 3 * RATE]).max() == pytest.approx(0.5, abs=0.05)


# --- headers of WAV files -------------------------------------------------------------------------------------------


def riff(size: int, form: bytes = FORM) -> bytes:
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + form + b"data" + struct.pack("<I", len(DATA)) + DATA


WRONG = {
    "RIFF size 0": riff(0),
    "RIFF size of an empty file": riff(36),
    "RIFF size far too large": riff(2_000_000_000),
    "no size of a frame": riff(36 + len(DATA), FORM[:16] + bytes(6) + FORM[22:]),
}


@pytest.mark.parametrize("which", WRONG)
def test_what_is_saved_has_a_true_header_whatever_part_of_it_was_wrong(which: str, tmp_path: Path) -> None:
    audio = Audio(WRONG[which])
    assert audio.duration == 2.0
    assert AudioChunk.from_audio(audio).pcm == DATA
    for saved in (audio.convert("wav"), Audio(audio.save(tmp_path / "x.wav").read_bytes())):
        assert struct.unpack("<I", saved[4:8])[0] == len(saved) - 8
        with wave.open(io.BytesIO(saved)) as file:
            assert file.readframes(len(TONE)) == DATA


def test_a_refusal_of_the_encoder_names_no_object_of_ours() -> None:
    with pytest.raises(GenerationError, match="6 channels at 16000 Hz cannot be written as mp3") as refused:
        encode_audio(np.zeros((100, 6), np.float32), RATE, "mp3")
    assert "object at" not in str(refused.value)


def test_numbers_of_numpy_are_numbers_and_true_is_none() -> None:
    out = io.BytesIO()
    with AudioEncoder(out, np.int64(RATE), np.int64(2)) as encoder:
        encoder.feed(STEREO)
    assert Audio(out.getvalue()).channels == 2
    for rate, channels in ((True, 1), (RATE, True), (RATE, 1.0)):
        with pytest.raises(GenerationError):
            AudioEncoder(io.BytesIO(), rate, channels)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [1, 200, 999, HIGHEST_RATE + 1, 2**31 - 1])
def test_a_rate_that_is_no_sound_s_is_refused_by_all_alike(rate: int) -> None:
    header = bytearray(wav_header(8000, 1, 2 * 999))
    header[24:32] = struct.pack("<II", rate, 2 * rate)
    audio = Audio(bytes(header) + bytes(2 * 999))
    ways: list[Callable[[], object]] = [
        lambda: audio.duration, lambda: decode_audio(audio, 16000), lambda: audio.convert("mp3"),
        lambda: AudioChunk.from_audio(audio), lambda: audio.to_numpy(),
    ]  # fmt: skip
    for way in ways:
        with pytest.raises(MediaError, match=f"{rate} Hz, which is no sound"):
            way()
