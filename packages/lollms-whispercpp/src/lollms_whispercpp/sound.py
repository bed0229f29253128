"""Sound as the program reads it: WAV, 16 kHz, mono, 16 bit."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lollms_modalities import Audio, MediaError, open_media
from lollms_modalities.audio import CONTAINERS, MAX_DURATION, decode_audio
from lollms_modalities.wav import read_wav

from lollms_whispercpp.process import Running

RATE = 16000


class Sound(NamedTuple):
    """A WAV file that the program reads, and its length in seconds."""

    path: Path
    duration: float


def as_wav(audio: Path | bytes, folder: Path, ffmpeg: Path | None) -> Sound:
    """The sound as a file. One that fits already is taken as it is; others are decoded, into ``folder``.

    Args:
        audio: a file, or the bytes of one.
        folder: for what is written.
        ffmpeg: the program that decodes; None for PyAV.

    Raises:
        MediaError: no sound in it, or more than ``MAX_DURATION`` seconds.
    """
    duration = _fitting(audio)
    if duration is not None and isinstance(audio, Path):
        return Sound(audio.absolute(), duration)
    target = folder / "sound.wav"
    if duration is not None and isinstance(audio, bytes):
        target.write_bytes(audio)
        return Sound(target, duration)
    if ffmpeg is not None:
        return _by_ffmpeg(ffmpeg, audio, target)
    samples = decode_audio(audio, RATE)
    target.write_bytes(Audio.from_samples(samples, RATE))
    return Sound(target, len(samples) / RATE)


def _fitting(audio: Path | bytes) -> float | None:
    """The length of a WAV that needs no decoding, in seconds; None for any other sound, and for one that is cut."""
    with open_media(audio) as file:
        wav = read_wav(file)
    if wav is None or not wav.pcm or (wav.sample_rate, wav.channels, wav.bits) != (RATE, 1, 16) or not wav.size:
        return None
    return wav.duration if wav.true and wav.duration <= MAX_DURATION else None


def _by_ffmpeg(ffmpeg: Path, audio: Path | bytes, target: Path) -> Sound:
    if isinstance(audio, bytes):
        source = target.with_name("given")
        source.write_bytes(audio)
    else:
        source = audio.absolute()
    # Only files, and only of formats that hold sound themselves: a playlist would open others. "file:" goes before the
    # path, which may look like an address. One second more than the limit, so that it can be seen to be passed.
    reading = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS, "-i", f"file:{source}"]
    writing = ["-t", str(MAX_DURATION + 1), "-ac", "1", "-ar", str(RATE), "-c:a", "pcm_s16le", "-f", "wav"]
    with Running([ffmpeg, "-nostdin", "-v", "error", *reading, "-map", "0:a:0", *writing, f"file:{target}"]) as run:
        for line in run:
            run.keep(line)
    duration = _fitting(target) if not run.code and target.is_file() else None
    if duration is None and not run.code and target.is_file() and target.stat().st_size > 2 * RATE * MAX_DURATION:
        raise MediaError(f"The sound is longer than {MAX_DURATION:g} s.", hint="Cut it into parts.")
    if duration is None:
        raise MediaError(
            f"{str(ffmpeg)!r} cannot read it as sound (exit code {run.code}): {run.last}.",
            hint="Give a recording with a sound track.",
        )
    return Sound(target, duration)
