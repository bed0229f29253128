"""From a sound file or a film to samples: what can be decoded is heard, at its place in time.

Decoding is PyAV's (FFmpeg), restricted to formats that hold media themselves: a playlist in the clothes of a sound file
opens nothing else, no file and no address. It goes packet by packet: one that is damaged is left out, and told.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lollms_modalities.calls.call import current_call
from lollms_modalities.errors import MediaError, MediaWarning, OptionError
from lollms_modalities.media.input import check_media, open_media
from lollms_modalities.media.libraries import import_av
from lollms_modalities.media.mixing import Made, Timeline, as_floats, refuse_no_numbers, too_long
from lollms_modalities.media.resync import resynced
from lollms_modalities.media.structure import links, refuse_cut
from lollms_modalities.media.wav import HIGHEST_RATE, LOWEST_RATE, read_wav, with_true_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.media.input import MediaInput


MAX_DURATION = 4 * 3600.0


# FFmpeg's names of the formats that hold media themselves, comma-separated.
CONTAINERS = (
    "wav,w64,flac,ogg,mp3,mov,mp4,m4a,3gp,matroska,webm,aac,aiff,au,caf,amr,asf,avi,flv,mpegts,mpeg,ac3,eac3,dts,"
    "wv,ape,tta"
)


# Formats of which the header tells the length exactly, if at all; others guess it, or tell that of the picture.
EXACT = {"wav", "w64", "flac", "aiff", "au", "caf", "wv", "ape", "tta"}


# Formats of which the clock has a zero that means the beginning, so that sound which starts later starts late. Up to so
# many seconds: what was cut out of a broadcast keeps the broadcast's clock.
FROM_ZERO = {"mov,mp4,m4a,3gp,3g2,mj2": 600.0, "matroska,webm": 600.0, "ogg": 30.0}
_SUMMED = ("tta", "wavpack")  # of which each packet has a checksum: one that is wrong is noise
_TELL_THE_END = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi", "asf")
_LONGEST_PACKET = 600.0
_TRIES = 20  # to read on after what cannot be read
_HINT = "Give a WAV, FLAC, Ogg, Opus, MP3, M4A or WebM file."


@dataclass
class Damage:
    """What could not be decoded."""

    packets: int = 0
    seconds: float = 0.0
    reason: str = ""

    def lost(self, seconds: float, reason: object) -> None:
        self.packets += 1
        self.seconds += seconds
        self.reason = self.reason or str(getattr(reason, "strerror", None) or reason)

    def pages(self, count: int, seconds: float) -> None:
        self.packets += count
        self.seconds += seconds
        self.reason = self.reason or ("damaged pages" if count else "")

    def all_in_all(self, seconds: float) -> None:
        """What is missing in the end, where that is known."""
        if seconds > max(self.seconds, 0.005):
            self.seconds = seconds
            self.reason = self.reason or "damaged"

    def __str__(self) -> str:
        return f"{self.packets} packets are damaged ({self.reason})" if self.packets else ""

    def tell(self, shown: str, duration: float) -> None:
        """Warn of it, and record it in the call's provenance; ``duration`` is that of what was decoded."""
        if not self.packets and not self.seconds:
            return
        seconds = round(self.seconds, 3)
        current_call().record(extra={"skipped_seconds": seconds, "skipped_packets": self.packets})
        warnings.warn(
            f"{shown} is damaged: {duration:.1f} s were decoded, about {seconds:.2f} s could not be and were "
            f"skipped ({self.packets} packets: {self.reason}).",
            MediaWarning,
            stacklevel=4,
        )


def decode(
    source: MediaInput, rate: int | None, mono: bool, max_duration: float | None, track: int | None
) -> tuple[npt.NDArray[np.float32], int]:
    """The sound, shape (n, 1) or (n, channels), and its sample rate; see ``decode_audio`` in ``audio``."""
    checked = check_media(source, role="audio")
    shown = shown_as(checked)
    damage = Damage()
    made = Made(shown, rate, mono, max_duration)
    with open_media(checked) as file:
        refuse_cut(file, shown)
        for gap, samples, its_rate in heard(file, shown, track, max_duration, damage):
            made.add_silence(gap, its_rate, samples.shape[1])
            made.add(samples, its_rate)
    samples, rate = made.whole(str(damage))
    damage.tell(shown, len(samples) / rate)
    call = current_call()
    call.heard = max(call.heard or 0.0, len(samples) / rate)
    if call.step is not None:
        call.step.heard(checked, samples, rate)
    return samples, rate


def heard(
    file: BinaryIO, shown: str, track: int | None, max_duration: float | None, damage: Damage
) -> Iterator[tuple[float, npt.NDArray[np.float32], int]]:
    """Seconds of silence that go before, samples of shape (n, channels), and their rate, frame by frame."""
    any_sound = False
    for number, link in enumerate(links(file)):
        try:
            with opened(link.file, shown, track) as (container, stream):
                damage.pages(link.lost_pages, link.lost * float(stream.time_base))
                _refuse_too_long(container, stream, shown, max_duration)
                clock = clock_of(container, max_duration, first=number == 0)
                for part in _sound(container, stream, clock, damage, shown):
                    any_sound = True
                    yield part
        except MediaError as exc:
            if number == 0 or not any_sound:
                raise
            damage.lost(0.0, exc)  # a later part that is no sound


def _sound(
    container: Any, stream: Any, clock: Timeline, damage: Damage, shown: str
) -> Iterator[tuple[float, npt.NDArray[np.float32], int]]:
    import av.error
    import numpy as np

    call = current_call()
    raw = stream.codec_context.name.startswith("pcm_f")
    exact = container.format.name in EXACT
    first = None
    ended = reached = decoded = 0.0
    for packet in packets_of(container, damage):
        call.check()
        seconds = length_of(packet)
        if packet.pts is not None and packet.time_base:
            end = float(packet.pts * packet.time_base) + seconds
            reached = max(reached, end)
            if packet.stream.index == stream.index:
                ended = end
        if packet.stream.index != stream.index:
            continue
        first = first or packet
        try:
            frames = packet.decode()
        except av.error.FFmpegError as exc:
            if packet.size:
                damage.lost(seconds, exc)
            continue
        for frame in frames:
            rate = rate_of(frame, stream)
            if not frame.samples:
                continue
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise no_rate(shown, rate)
            samples = as_floats(frame)
            if raw:
                refuse_no_numbers(samples, shown, clock.reached, rate)
            elif not np.isfinite(samples).all():
                damage.lost(frame.samples / rate, "samples that are no numbers")
                samples = np.zeros_like(samples)
            time = None if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)
            if exact and packet is first:
                time = None  # damage may have made one packet of many, which then has the last one's time
            decoded += frame.samples / rate
            yield clock.place(time, frame.samples / rate), np.clip(samples, -1, 1), rate
    _refuse_missing(container, stream, shown, ended, reached, damage)
    damage.all_in_all((_exact_duration(container, stream) or 0.0) - decoded)


def rate_of(frame: Any, stream: Any) -> int:
    """Samples per second of a frame that was just decoded."""
    # The first frame of joined MP3 files, and each after a change, has the rate of another one.
    context = stream.codec_context
    rate: int = context.sample_rate if context.name.startswith("mp3") else frame.sample_rate
    return rate


def length_of(packet: Any) -> float:
    """Seconds; the last packet of a Vorbis stream may have a number below zero there, wrapped around."""
    seconds = float((packet.duration or 0) * packet.time_base) if packet.time_base else 0.0
    return seconds if 0 <= seconds < _LONGEST_PACKET else 0.0


def packets_of(container: Any, damage: Damage) -> Iterator[Any]:
    """The packets of all tracks, also those after a place that cannot be read."""
    import av.error

    tries = 0
    while tries < _TRIES:
        try:
            yield from container.demux()
            return
        except IndexError:
            pass  # PyAV's, of a packet of a track that was not there at the beginning: that packet is behind now
        except av.error.FFmpegError as exc:
            tries += 1
            damage.lost(0.0, exc)


def clock_of(container: Any, max_duration: float | None, *, first: bool) -> Timeline:
    """Where the film begins by the container's clock."""
    start = (container.start_time or 0) / 1e6
    name = container.format.name
    if name in EXACT:
        return Timeline(0.0, max_duration or MAX_DURATION)
    zero = FROM_ZERO.get(name, 0.0) if first else 0.0
    seconds = (container.duration or 0) / 1e6 if name in _TELL_THE_END else 0.0
    end = max(seconds, start + seconds) + 1 if seconds > 0 else None
    return Timeline(0.0 if 0 <= start <= zero else start, max_duration or MAX_DURATION, end)


def _refuse_missing(container: Any, stream: Any, shown: str, ended: float, reached: float, damage: Damage) -> None:
    """Refuse what ends before the length that its header tells, where that can be believed.

    Args:
        ended: the end of the sound's last packet, damaged ones too, by the container's clock.
        reached: that of any track.
    """
    declared, holds = _exact_duration(container, stream), ended
    if declared is None and container.format.name in ("asf", "matroska,webm") and container.duration is not None:
        # The length of the longest track; Matroska counts it from zero, wherever the first one begins.
        start = 0.0 if container.format.name == "matroska,webm" else (container.start_time or 0) / 1e6
        declared, holds = container.duration / 1e6, reached - start
    if container.format.name in ("avi", "flv") and container.duration is not None:
        missing = container.duration / 1e6 - (reached - (container.start_time or 0) / 1e6)
        if missing > max(0.5, 0.05 * container.duration / 1e6):  # there it was, as ``refuse_cut`` has seen
            damage.lost(missing, "damaged")
    if declared is None or holds >= declared - max(0.5, 0.05 * declared):
        return
    if container.format.name == "matroska,webm":
        damage.lost(declared - holds, "damaged")  # all of the file is there, as ``refuse_cut`` has seen
        return
    raise MediaError(
        f"{shown} is cut short: it says {declared:.1f} s and holds {holds:.1f} s.", hint="Fetch or record it again."
    )


def _exact_duration(container: Any, stream: Any) -> float | None:
    if container.format.name not in EXACT or stream.duration is None or stream.time_base is None:
        return None
    return float(stream.duration * stream.time_base)


def _refuse_too_long(container: Any, stream: Any, shown: str, limit: float | None) -> None:
    declared = _exact_duration(container, stream)
    if limit is not None and declared is not None and declared > limit:
        raise too_long(shown, declared, limit)


@contextmanager
def opened(file: BinaryIO, shown: str, track: int | None) -> Iterator[tuple[Any, Any]]:
    """The container and the sound track that is to be heard; what FFmpeg refuses becomes a ``MediaError``."""
    av = import_av()
    wav = read_wav(file)
    file.seek(0)
    if wav is not None and not wav.size:
        raise MediaError(f"{shown} has a sound track without sound.", hint="Give a whole recording.")
    whole = resynced(file) if wav is None else file if wav.true else with_true_header(file, wav)
    try:
        with open_container(av, whole) as container:
            stream = _track(container, shown, track)
            if stream.codec_context.name in _SUMMED:
                stream.codec_context.options = {"err_detect": "crccheck+explode"}
            yield container, stream
    except (av.error.FFmpegError, ValueError, OverflowError) as exc:
        if isinstance(exc, (MediaError, OptionError)):
            raise
        raise MediaError(
            f"{shown} cannot be read as sound: {getattr(exc, 'strerror', None) or exc}.", hint=_HINT
        ) from exc


def _track(container: Any, shown: str, track: int | None) -> Any:
    """The sound track of that number; the default one where there is none."""
    tracks = list(container.streams.audio)
    if not tracks:
        kinds = sorted({f"{s.type} ({s.codec_context.name})" for s in container.streams if s.codec_context})
        raise MediaError(
            f"{shown} holds {', '.join(kinds) or 'nothing'} and no sound.", hint="Give a recording with a sound track."
        )
    if track is not None and track >= len(tracks):
        raise OptionError(
            f"track={track} was asked for, and {shown} has {len(tracks)} sound tracks.",
            hint=f"Give one from 0 to {len(tracks) - 1}.",
            names=["track"],
        )
    known = [stream for stream in tracks if stream.codec_context is not None]
    marked = (stream for stream in known if int(stream.disposition) & 1)  # AV_DISPOSITION_DEFAULT
    stream = tracks[track] if track is not None else next(marked, known[0] if known else tracks[0])
    if stream.codec_context is None:
        raise MediaError(f"{shown} holds sound in a coding that is not known.", hint=_HINT)
    # 0 where it is not known before the sound comes, late in a film.
    if stream.rate and not LOWEST_RATE <= stream.rate <= HIGHEST_RATE:
        raise no_rate(shown, stream.rate)
    return stream


def open_container(av: Any, file: BinaryIO) -> Any:
    """The file as a container of PyAV's; what it names is not opened."""
    # PyAV before 19 gives up on a title that is not UTF-8.
    lenient = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
    # A file object and no protocol: what the container names is not opened.
    return av.open(file, options={"protocol_whitelist": "none", "format_whitelist": CONTAINERS}, **lenient)


def no_rate(shown: str, rate: int) -> MediaError:
    return MediaError(
        f"{shown} says that its sample rate is {rate} Hz, which is no sound.", hint="Write its header anew."
    )


def shown_as(checked: Path | bytes) -> str:
    from lollms_modalities.media.formats import sniff

    if isinstance(checked, Path):
        return repr(str(checked))
    kind = sniff(checked) or f"unknown data that begins with {checked[:8]!r}"
    return f"{len(checked)} bytes of {kind}"
