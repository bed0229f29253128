"""Sound as it really comes, what a second look found: many channels, joined files, headers that lie elsewhere."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lollms_modalities import Audio, AudioChunk, GenerationError, MediaError, MediaWarning
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


# --- lossless files with damage in the middle -----------------------------------------------------------------------

TEN = (0.5 * np.sin(2 * np.pi * 440 * np.arange(10 * RATE) / RATE)).astype(np.float32)


def lossless(name: str, coding: str) -> bytes:
    """Ten seconds of a tone, as FFmpeg writes such a file."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=name) as container:
        stream = container.add_stream(coding, rate=RATE, layout="mono")
        kind = {"wavpack": "s16p"}.get(coding, "s16")
        frame = av.AudioFrame.from_ndarray((TEN * 32767).astype(np.int16)[None], format=kind, layout="mono")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


CODINGS = {"wv": "wavpack", "tta": "tta"}


@pytest.mark.parametrize("size", [1, 300, 5000])
@pytest.mark.parametrize("how", ["zeros", "noise", "cut", "more"])
@pytest.mark.parametrize("name", CODINGS)
def test_what_is_whole_of_a_damaged_wavpack_or_tta_is_heard(name: str, how: str, size: int) -> None:
    data = lossless(name, CODINGS[name])
    at, noise = len(data) // 2, np.random.default_rng(1).bytes(size)
    after = at if how == "more" else at + size
    damaged = data[:at] + {"zeros": bytes(size), "noise": noise, "cut": b"", "more": noise}[how] + data[after:]
    if damaged == data:
        damaged = data[:at] + bytes(255 - byte for byte in data[at:after]) + data[after:]
    with pytest.warns(MediaWarning, match="is damaged"):
        heard = decode_audio(damaged, RATE)
    assert len(heard) == pytest.approx(len(TEN), abs=0.45 * RATE)
    assert np.abs(heard).max() <= 0.51, "no noise"
    loud = np.abs(heard[: len(heard) // 800 * 800].reshape(-1, 800)).max(1) > 0.4
    assert loud[:60].all()
    assert loud[-40:].all(), "what lies behind the damage"
    assert loud.mean() > 0.5


def test_a_damaged_file_with_tags_behind_it_is_heard() -> None:
    footer = struct.pack("<8sIIII8x", b"APETAGEX", 2000, 64, 1, 1 << 31)
    tags = struct.pack("<8sIIII8x", b"APETAGEX", 2000, 64, 1, 5 << 29) + bytes(64 - 32) + footer
    for end in (b"TAG" + bytes(125), tags, tags + b"TAG" + bytes(125)):
        for name in ("tta", "wv"):
            data = lossless(name, CODINGS[name])
            with pytest.warns(MediaWarning, match="is damaged"):
                heard = decode_audio(data[: len(data) // 2] + data[len(data) // 2 + 6000 :] + end, RATE)
            assert np.abs(heard[-RATE:]).max() == pytest.approx(0.5, abs=0.02)
            assert len(decode_audio(data + end, RATE)) == len(TEN)


@pytest.mark.parametrize("layout", ["7.1", "octagonal"])
def test_eight_planes_are_read_and_not_beyond(layout: str) -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000, layout=layout)
        loud = np.repeat((TONE * 32767).astype(np.int16), 8)[None]
        frame = av.AudioFrame.from_ndarray(loud, format="s16", layout=layout)
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    for _ in range(20):
        samples, _ = decode_frames(file.getvalue())
        assert samples.shape[1] == 8
        assert np.abs(samples).max() > 0.3


def test_a_truncated_tta_is_cut_short() -> None:
    data = lossless("tta", "tta")
    with pytest.raises(MediaError, match="cut short"):
        decode_audio(data[: len(data) // 3])


def flv(frames: int = 100) -> tuple[bytearray, list[int]]:
    """Sound in an FLV file, and where its tags begin: their kind, the size of their data, their time (24 + 8 bits)."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="flv") as container:
        stream = container.add_stream("mp3", rate=44100, layout="mono")
        for n in range(frames):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 1152), 3000 * (-1) ** n, np.int16), format="s16p", layout="mono"
            )
            frame.sample_rate, frame.pts = 44100, n * 1152
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(file.getvalue())
    at, found = 13, []
    while at + 11 <= len(data):
        found.append(at)
        at += 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
    return data, found


def test_a_damaged_time_makes_no_hour_of_silence() -> None:
    data, tags = flv()
    data[tags[len(tags) // 2] + 4] ^= 0x40  # an hour and ten minutes later
    heard = decode_audio(bytes(data))
    assert 2.4 < len(heard) / 16000 < 3


def test_a_track_that_begins_in_the_middle_is_passed_over() -> None:
    """As damage makes one of a tag; PyAV has no place for it."""
    data, tags = flv(1500)  # beyond what is looked at first
    for at in tags[-300:][:50][::-1]:
        picture = bytes([0x12]) + bytes(9)
        data[at:at] = bytes([9, 0, 0, 10]) + data[at + 4 : at + 8] + bytes(3) + picture + (21).to_bytes(4, "big")
    assert 38 < len(decode_audio(bytes(data))) / 16000 < 40
    probe_audio(bytes(data))
