"""Results that are sound: of speech and of music."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np

from lollms_modalities import media
from lollms_modalities.testing.contract import contract
from lollms_modalities.testing.looks import QUIET, loudness, unfilled, wrapped
from lollms_modalities.testing.suite import Suite


class SoundTests(Suite):
    """Results that are sound."""

    def check(self, result: Any) -> None:
        check_sound(result)

    def test_it_can_be_heard(self, result: Any) -> None:
        """Give samples from -1 to 1, or int16. A float that was divided by 32768 twice is nearly silent. Give only what
        the engine has filled of a buffer."""
        samples = media.Audio(media.read_media(result)).to_numpy()
        peaks = [loudness(channel) for channel in np.atleast_2d(samples.T)]
        contract(
            min(peaks) >= QUIET,
            f"Sound is loud enough to be heard: {QUIET} of full scale, on each channel.",
            "results",
            peaks,
        )
        rest = unfilled(samples)
        contract(rest < 0.6, "Sound is heard to its end, but for a pause.", "results", f"{rest:.0%} of it are zeros")

    def test_it_does_not_wrap(self, result: Any) -> None:
        """Clip before you convert to int16, or give floats to ``Audio.from_samples``, which clips."""
        found = wrapped(media.Audio(media.read_media(result)).to_numpy())
        contract(
            not found, "Sound that is too loud is clipped: it never comes round to the other sign.", "results", found
        )

    def test_without_a_format_it_is_wav(self, result: Any) -> None:
        """Give samples to ``Audio.from_samples``; the core converts to other formats."""
        contract(result.format == "wav", "Without output_format the sound is WAV.", "results", result.format)

    def test_the_result_is_saved_in_other_formats(self, result: Any, tmp_path: Path) -> None:
        """Return sound that can be decoded: WAV of int16 samples."""
        for suffix in (".flac", ".mp3", ".ogg"):
            saved = media.Audio(result.save(tmp_path / f"x{suffix}").read_bytes())
            contract(abs(saved.duration - result.duration) < 0.2, f"save() writes {suffix}.", "results", saved.duration)


def check_sound(audio: Any) -> None:
    """Fail unless it is an ``Audio`` that can be heard, and says what its file says."""
    contract(type(audio) is media.Audio, "The result is an Audio.", "results", type(audio))
    data = media.read_media(audio)
    if audio.format == "wav":
        # Read by the standard library, so that what the core says is checked by somebody else.
        with wave.open(io.BytesIO(data)) as file:
            frames, bits = file.getnframes(), 8 * file.getsampwidth()
            found = (file.getframerate(), file.getnchannels(), frames / file.getframerate())
        contract(bits == 16, "A WAV holds 16-bit samples.", "results", bits)
    else:
        import soundfile

        with soundfile.SoundFile(io.BytesIO(data)) as file:
            found = (file.samplerate, file.channels, file.frames / file.samplerate)
    contract(
        (audio.sample_rate, audio.channels) == found[:2] and abs(audio.duration - found[2]) < 0.05,
        "The rate, channels and duration that an Audio tells are those of its file.",
        "results",
        ((audio.sample_rate, audio.channels, audio.duration), found),
    )
    contract(audio.mime_type.startswith("audio/"), "An Audio knows its MIME type.", "results", audio.mime_type)
    contract(audio.duration > 0, "Sound is longer than nothing.", "results", audio.duration)
    peak = loudness(audio.to_numpy())
    contract(peak > 0, "Sound that was asked for is not silence.", "results", peak)
