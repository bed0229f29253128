"""What real files hold, with PyAV and with ffmpeg: the same is heard."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from harvard import spoken
from lollms_modalities import Audio, OptionError
from lollms_modalities.kit import decode_audio
from lollms_whispercpp import WhisperCppSTTBinding
from lollms_whispercpp.binding import _language
from lollms_whispercpp.models import Model
from lollms_whispercpp.sound import as_wav

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
SENTENCE = "Rice is often served in round bowls."


@pytest.mark.parametrize("ffmpeg", [None, FFMPEG], ids=["av", "ffmpeg"])
def test_tracks_channels_and_times(ffmpeg: Path | None, tmp_path: Path) -> None:
    now = np.arange(16000) / 16000
    low, high = (0.5 * np.sin(2 * np.pi * pitch * now).astype(np.float32) for pitch in (440, 1000))
    Audio.from_samples(np.stack([low, -low], 1), 16000).save(tmp_path / "low.wav")
    Audio.from_samples(high, 16000).save(tmp_path / "high.wav")
    film = tmp_path / "film.mkv"
    picture = ("-f", "lavfi", "-i", "color=black:s=32x32:r=5:d=6")
    sound = ("-itsoffset", "3", "-i", tmp_path / "low.wav", "-i", tmp_path / "high.wav")
    which = ("-map", "0", "-map", "1", "-map", "2", "-disposition:a:0", "default", "-disposition:a:1", "0")
    coding = ("-c:v", "mpeg4", "-c:a", "flac")
    subprocess.run([FFMPEG, "-v", "error", *picture, *sound, *which, *coding, film], check=True)
    for track, begins, pitch in ((None, 3.0, 440), (0, 3.0, 440), (1, 0.0, 1000)):
        heard = decode_audio(as_wav(film, tmp_path, ffmpeg, track).path)
        loud = np.flatnonzero(np.abs(heard) > 0.25)
        assert loud[0] / 16000 == pytest.approx(begins, abs=0.03), "an inverted channel does not cancel the other"
        second = heard[loud[0] : loud[0] + 15000]
        assert float(np.abs(np.fft.rfft(second)).argmax() * 16000 / 15000) == pytest.approx(pitch, abs=2)


def test_a_track_that_is_not_there(program: Path, models: Path) -> None:
    with (
        WhisperCppSTTBinding(models / "ggml-tiny.en.bin", program) as whisper,
        pytest.raises(OptionError, match="has 1 sound tracks"),
    ):
        whisper.transcribe_audio(spoken(SENTENCE), track=3)


def test_a_language_by_name_and_no_times(program: Path, models: Path) -> None:
    with WhisperCppSTTBinding(models / "ggml-tiny.en.bin", program, default_beam_size=1) as whisper:
        heard = whisper.transcribe_audio(spoken(SENTENCE), language="english", timestamps="none")
    assert "round bowls" in heard
    assert (heard.segments, heard.words) == ((), ())


@pytest.mark.parametrize(
    ("tag", "code"), [("auto", "auto"), ("", "auto"), (None, "auto"), ("english", "en"), ("en-GB", "en"), ("nb", "no")]
)
def test_languages_as_the_program_is_told(tag: str | None, code: str) -> None:
    assert _language(tag, Model(Path("ggml-tiny.bin"), english_only=False)) == code
