"""Sound as the program reads it: WAV, 16 kHz, mono, 16 bit."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lollms_modalities import Audio, MediaError, open_media
from lollms_modalities.kit import CONTAINERS, MAX_DURATION, decode_audio, read_wav
from lollms_modalities.kit.program import Running

RATE = 16000


class Sound(NamedTuple):
    """A WAV file that the program reads, and its length in seconds."""

    path: Path
    duration: float


def as_wav(audio: Path | bytes, folder: Path, ffmpeg: Path | None, track: int | None = None) -> Sound:
    """The sound as a file. One that fits already is taken as it is; others are decoded, into ``folder``.

    Args:
        audio: a file, or the bytes of one.
        folder: for what is written.
        ffmpeg: the program that decodes; None for PyAV.
        track: which sound track of a film, from 0; None for the default one.

    Raises:
        MediaError: no sound in it, or more than ``MAX_DURATION`` seconds.
    """
    duration = None if track else _fitting(audio)
    if duration is not None and isinstance(audio, Path):
        return Sound(audio.absolute(), duration)
    target = folder / "sound.wav"
    if duration is not None and isinstance(audio, bytes):
        target.write_bytes(audio)
        return Sound(target, duration)
    if ffmpeg is not None:
        return _by_ffmpeg(ffmpeg, audio, target, track)
    samples = decode_audio(audio, RATE, track=track)
    target.write_bytes(Audio.from_samples(samples, RATE))
    return Sound(target, len(samples) / RATE)


def _fitting(audio: Path | bytes) -> float | None:
    """The length of a WAV that needs no decoding, in seconds; None for any other sound, and for one that is cut."""
    with open_media(audio) as file:
        wav = read_wav(file)
    if wav is None or not wav.pcm or (wav.sample_rate, wav.channels, wav.bits) != (RATE, 1, 16) or not wav.size:
        return None
    return wav.duration if wav.true and wav.duration <= MAX_DURATION else None


def _by_ffmpeg(ffmpeg: Path, audio: Path | bytes, target: Path, track: int | None) -> Sound:
    if isinstance(audio, bytes):
        source = target.with_name("given")
        source.write_bytes(audio)
    else:
        source = audio.absolute()
    decoded = target.with_name("decoded.wav")
    # Only files, and only of formats that hold sound themselves: a playlist would open others. "file:" goes before the
    # path, which may look like an address. One second more than the limit, so that it can be seen to be passed.
    reading = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS, "-i", f"file:{source}"]
    # Without a map it takes the default track. Gaps become silence; the channels are made one here.
    which = ["-vn", "-sn", "-dn"] if track is None else ["-map", f"0:a:{track}"]
    writing = ["-af", "aresample=async=1:first_pts=0", "-t", str(MAX_DURATION + 1), "-c:a", "pcm_s16le", "-f", "wav"]
    with Running([ffmpeg, "-nostdin", "-v", "error", *reading, *which, *writing, f"file:{decoded}"]) as run:
        for line in run:
            run.keep(line)
    if run.code or not decoded.is_file():
        raise MediaError(
            f"{str(ffmpeg)!r} cannot read it as sound (exit code {run.code}): {run.last}.",
            hint="Give a recording with a sound track.",
        )
    samples = decode_audio(decoded, RATE)
    decoded.unlink()
    target.write_bytes(Audio.from_samples(samples, RATE))
    return Sound(target, len(samples) / RATE)
