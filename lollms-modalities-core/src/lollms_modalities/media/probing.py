"""What a file of sound or video holds, without decoding it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from lollms_modalities.errors import MediaError
from lollms_modalities.media.decoding import (
    EXACT,
    FROM_ZERO,
    Damage,
    clock_of,
    length_of,
    open_container,
    opened,
    packets_of,
    rate_of,
    shown_as,
)
from lollms_modalities.media.formats import sniff
from lollms_modalities.media.input import MediaInput, check_media, open_media
from lollms_modalities.media.libraries import import_av
from lollms_modalities.media.structure import links
from lollms_modalities.media.wav import read_wav


def probe_audio(source: MediaInput, *, track: int | None = None) -> tuple[int, int, float, str]:
    """Sample rate, channels, duration in seconds and format ("wav", "mp3", ...; "" where unknown), without decoding.

    The duration is that of what ``decode_audio`` gives, by the packets' times; where neither they nor the header tell
    it, the sound is decoded. Raises as ``decode_audio``.
    """
    checked = check_media(source, role="audio")
    with open_media(checked) as file:
        kind = sniff(file)
        return *_probed(checked, file, track), kind


def _probed(checked: Path | bytes, file: BinaryIO, track: int | None) -> tuple[int, int, float]:
    shown = shown_as(checked)
    rate = channels = 0
    duration, unknown = 0.0, False
    wav = read_wav(file)
    if wav is not None and wav.plain and wav.size:
        return wav.sample_rate, wav.channels, wav.duration
    for number, link in enumerate(links(file)):
        with opened(link.file, shown, track) as (container, stream):
            clock, exact = clock_of(container, None, first=number == 0), container.format.name in EXACT
            for packet in packets_of(container, Damage()):
                if packet.stream.index != stream.index:
                    continue
                if not rate:
                    rate, channels = _kind_of(packet, stream)
                # Where FLAC files are joined, one packet holds several frames and has no length.
                unknown |= bool(packet.size and packet.pts is None and not packet.duration and exact)
                if packet.size and packet.time_base:
                    time = None if packet.pts is None else float(packet.pts * packet.time_base)
                    clock.place(time, length_of(packet))
            rate, channels = rate or stream.rate, channels or stream.channels
            duration += _by_header(container, stream, clock.reached)
    if unknown or not rate or not channels or not duration:  # the header tells nothing
        from lollms_modalities.media.sound import decode_blocks

        with decode_blocks(checked, track=track) as sound:
            return sound.sample_rate, sound.channels, sum(map(len, sound.blocks)) / sound.sample_rate
    return rate, channels, duration


def _kind_of(packet: Any, stream: Any) -> tuple[int, int]:
    """Rate and channels of the first frame, which are those of the whole; 0 where this packet does not tell."""
    import av.error

    try:
        frame = next((frame for frame in packet.decode() if frame.samples), None)
    except av.error.FFmpegError:
        return 0, 0
    return (0, 0) if frame is None else (rate_of(frame, stream), frame.layout.nb_channels)


def _by_header(container: Any, stream: Any, seconds: float) -> float:
    """The length that the header tells, where it is about that of the packets: it knows what an encoder added."""
    told = []
    if stream.duration is not None and stream.time_base:
        told.append(float(stream.duration * stream.time_base))
    if container.duration is not None:
        told.append(container.duration / 1e6)
    if container.format.name not in (EXACT | FROM_ZERO.keys() | {"mp3"}):
        return seconds
    return next((length for length in told if abs(length - seconds) < 0.25), seconds)


def count_tracks(source: MediaInput) -> int:
    """How many sound tracks there are. Raises as ``decode_audio``."""
    checked = check_media(source, role="audio")
    with open_media(checked) as file, opened(file, shown_as(checked), None) as (container, _):
        return len(container.streams.audio)


def probe_video(source: MediaInput) -> tuple[int, int, float, float, int]:
    """Width, height, frames per second, duration in seconds and number of frames.

    Raises:
        MediaError: no video in it.
    """
    av = import_av()
    checked = check_media(source, role="video")
    with open_media(checked) as file:
        try:
            with open_container(av, file) as container:
                if not container.streams.video:
                    raise MediaError(f"{shown_as(checked)} holds no video.")
                stream = container.streams.video[0]
                fps = float(stream.average_rate or 0)
                duration = _duration_of(container, stream)
                frames = stream.frames or round(duration * fps)
                return stream.width, stream.height, fps, duration, frames
        except av.error.FFmpegError as exc:
            raise MediaError(f"{shown_as(checked)} cannot be read as video: {exc.strerror}.") from exc


def sound_end(source: MediaInput) -> float | None:
    """Where the sound of a film ends by its header, in seconds; 0 where that does not tell, None where it has no sound.

    Raises as ``probe_video``.
    """
    av = import_av()
    checked = check_media(source, role="video")
    with open_media(checked) as file:
        try:
            with open_container(av, file) as container:
                tracks = container.streams.audio
                if not tracks:
                    return None
                track = tracks[0]
                ticks = (track.start_time or 0) + (track.duration or 0) if track.duration else 0
                return float(ticks * track.time_base) if track.time_base else 0.0
        except av.error.FFmpegError as exc:
            raise MediaError(f"{shown_as(checked)} cannot be read as video: {exc.strerror}.") from exc


def _duration_of(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1e6
