"""Films with sound."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from lollms_modalities import Audio, GenerationError, LollmsTTVBinding, MediaError, MediaWarning, Video
from lollms_modalities.media.sound import decode_frames
from lollms_modalities.workers.values import pack, unpack


def frames(count: int) -> Iterator[np.ndarray[Any, Any]]:
    for number in range(count):
        yield np.full((32, 48, 3), number * 5 % 255, np.uint8)


def tone(seconds: float, rate: int = 44100, channels: int = 1, pitch: float = 440) -> Audio:
    sound = 0.4 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)
    return Audio.from_samples(np.stack([sound / (n + 1) for n in range(channels)], axis=1).astype(np.float32), rate)


def pitch_of(audio: Audio, channel: int = 0) -> float:
    samples = audio.to_numpy()[: audio.sample_rate, channel]
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * audio.sample_rate / len(samples))


@pytest.mark.parametrize("rate", [8000, 22050, 37000, 44100, 192000])
@pytest.mark.parametrize("fps", [7.5, 24, 30000 / 1001])
def test_the_sound_is_as_long_as_the_film(rate: int, fps: float) -> None:
    count = round(2 * fps)
    film = Video.from_frames(frames(count), fps, audio=tone(count / fps, rate))
    assert (film.num_frames, film.has_audio) == (count, True)
    sound = film.audio
    assert sound is not None
    assert sound.duration == pytest.approx(film.duration, abs=0.002)
    assert pitch_of(sound) == pytest.approx(440, abs=2)
    assert "with sound" in repr(film)
    with av.open(io.BytesIO(film)) as container:
        track = container.streams.audio[0]
        assert (track.codec_context.name, container.streams.video[0].codec_context.name) == ("aac", "h264")
        assert track.duration is not None
        assert track.time_base is not None
        assert float(track.duration * track.time_base) == pytest.approx(film.duration, abs=0.002)


class Films(LollmsTTVBinding):
    seconds = 2.0

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        return Video.from_frames(frames(50), 25, audio=tone(self.seconds))

    def list_models(self, **kwargs: Any) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("seconds", "told", "warned"),
    [(2.0, {}, ""), (3.25, {"sound_cut_seconds": 1.25}, "1.25 s of it were cut"),
     (0.5, {"sound_padded_seconds": 1.5}, "1.50 s of silence follow it"), (2.05, {"sound_cut_seconds": 0.05}, "")],
)  # fmt: skip
def test_sound_of_another_length_is_cut_or_padded_and_told(seconds: float, told: dict[str, float], warned: str) -> None:
    films = Films()
    films.seconds = seconds
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        film = films.generate_video("x")
    assert [w.category for w in caught] == ([MediaWarning] if warned else [])
    assert all(warned in str(w.message) for w in caught)
    assert film.provenance is not None
    assert film.provenance.extra == told
    sound = film.audio
    assert sound is not None
    assert sound.duration == pytest.approx(2.0, abs=0.002)
    samples = sound.to_numpy()[:, 0]
    heard = np.flatnonzero(np.abs(samples) > 0.05)
    assert heard[-1] / sound.sample_rate == pytest.approx(min(seconds, 2.0), abs=0.05)
    assert sound.provenance is film.provenance


def test_it_is_heard_at_its_place() -> None:
    samples = np.zeros((88200, 1), np.float32)
    samples[44100:44200] = 0.9
    film = Video.from_frames(frames(50), 25, audio=Audio.from_samples(samples, 44100))
    assert film.audio is not None
    found = film.audio.to_numpy()[:, 0]
    assert np.argmax(np.abs(found)) / 44100 == pytest.approx(1.0, abs=0.005)


def test_channels() -> None:
    film = Video.from_frames(frames(50), 25, audio=tone(2, channels=2))
    assert film.audio is not None
    assert film.audio.channels == 2
    left, right = np.sqrt((film.audio.to_numpy() ** 2).mean(axis=0))
    assert left / right == pytest.approx(2, abs=0.1)
    for many in (7, 9):
        with pytest.raises(GenerationError, match=f"{many} channels"):
            Video.from_frames(frames(5), 25, audio=tone(0.2, channels=many))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 8])
def test_each_channel_is_heard(channels: int) -> None:
    pitches = [300 + 200 * n for n in range(channels)]
    times = np.arange(44100) / 44100
    each = [0.5 * np.sin(2 * np.pi * pitch * times) for pitch in pitches]
    sound = Audio.from_samples(np.stack(each, axis=1).astype(np.float32), 44100)
    found = Video.from_frames(frames(25), 25, audio=sound).audio
    assert found is not None
    spectra = np.abs(np.fft.rfft(decode_frames(found)[0][:44100], axis=0))
    spectra[:50] = 0
    heard = sorted(int(spectrum.argmax()) for spectrum in spectra.T if spectrum.max() > 100)
    # What lies beyond the lowest octaves is cut from the channel of a subwoofer, wherever that stands.
    assert len(set(heard) & set(pitches)) >= channels - (channels >= 6), heard


def test_a_film_without_sound() -> None:
    film = Video.from_frames(frames(5), 25)
    assert (film.has_audio, film.audio) == (False, None)
    assert "sound" not in repr(film)


def test_every_kind_of_sound_goes_in(tmp_path: Path) -> None:
    sound = tone(0.2)
    for given in (sound, bytes(sound), sound.save(tmp_path / "x.flac"), str(tmp_path / "x.flac"), io.BytesIO(sound)):
        assert Video.from_frames(frames(5), 25, audio=given).has_audio
    with pytest.raises(MediaError):
        Video.from_frames(frames(5), 25, audio=b"no sound" * 100)


def test_the_same_gives_the_same_bytes() -> None:
    assert len({bytes(Video.from_frames(frames(25), 25, audio=tone(1))) for _ in range(3)}) == 1


def test_a_film_in_a_file(tmp_path: Path) -> None:
    film = Films().generate_video("x", output_path=tmp_path / "x.mp4")
    assert len(film) == 0
    assert film.has_audio
    assert film.audio is not None
    assert film.audio.duration == pytest.approx(2, abs=0.002)


def test_it_copies_pickles_and_crosses() -> None:
    film = Films().generate_video("x")
    assert film.has_audio
    payloads: list[Any] = []
    crossed = unpack(pack(film, payloads), payloads)
    for other in (copy.deepcopy(film), pickle.loads(pickle.dumps(film)), crossed):
        assert other == film
        assert other.has_audio
        assert other._sound == film._sound


def test_what_is_no_film() -> None:
    with pytest.raises(MediaError):
        _ = Video(b"nothing" * 100).has_audio
