"""Transcripts of recordings."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lollms_modalities import media
from lollms_modalities.errors import AudioFileNotFoundError, LollmsError, MediaError
from lollms_modalities.testing.contract import contract, crosses, raises, works
from lollms_modalities.testing.suite import Suite


class TranscriptTests(Suite):
    """What goes in is a recording, which ``sample`` names: ``{"audio_path": ...}``.

    Attributes:
        expected: words that the transcript of the sample must hold.
    """

    verb = "transcribe_audio"
    stream_verb = "stream_transcript"
    whole_media = False
    name_argument = "model"
    expected: ClassVar[tuple[str, ...]] = ()

    def variants(self) -> list[dict[str, Any]]:
        sample = self.arguments()["audio_path"]
        return [{}, {"audio_path": joined(sample, sample)}, {"audio_path": joined(1.0, sample)}]

    def differing(self) -> list[list[dict[str, Any]]]:
        sample = self.arguments()["audio_path"]
        silence = joined(1.37)
        if self.expected and not self.network:  # a recording that is as long and says nothing is another one
            whole = joined(sample)
            silence = media.Audio.from_samples(np.zeros_like(one_channel(whole)), whole.sample_rate)
        return [[{}, {"audio_path": joined(sample, sample)}], [{}, {"audio_path": silence}]]

    @staticmethod
    def same(a: Any, b: Any) -> bool:
        times = [[(s.text, s.start, s.end) for s in one.segments] for one in (a, b)]
        return bool(a == b) and times[0] == times[1]

    def long(self, **more: Any) -> dict[str, Any]:
        given = dict(self.long_sample)
        if "audio_path" not in given:
            given["audio_path"] = self._twelve_times(self.arguments()["audio_path"])
        return {**given, **more}

    @classmethod
    def _twelve_times(cls, sample: Any) -> media.Audio:
        if "_long_sample" not in vars(cls):
            cls._long_sample = joined(*[sample] * 12)
        return cls._long_sample

    _long_sample: ClassVar[media.Audio]

    def check(self, result: Any) -> None:
        contract(type(result) is media.Transcript, "The result is a Transcript.", "results", type(result))
        for segment in result.segments:
            contract(0 <= segment.start <= segment.end, "A segment's times are in order.", "results", segment)
            for word in segment.words:
                contract(0 <= word.start <= word.end, "A word's times are in order.", "results", word)
        said = "".join("".join(s.text for s in result.segments).split())
        contract(
            not result.segments or said == "".join(result.split()),
            "The segments say what the transcript says.",
            "results",
            (said, result),
        )

    def check_saved(self, result: Any, folder: Path) -> None:
        for suffix in (".txt", ".srt", ".vtt", ".json"):
            text = result.save(folder / f"x{suffix}").read_text("utf-8")
            contract(
                suffix in (".srt", ".vtt") or all(word in text for word in str(result).split()),
                f"save() writes the transcript as {suffix}.",
                "results",
            )

    def joined(self, items: list[Any]) -> Any:
        return [(s.text, s.start, s.end) for s in items]

    def comparable(self, result: Any) -> Any:
        return self.joined(list(result.as_segments()))

    def test_it_hears_what_was_said(self, result: Any) -> None:
        """Name in ``expected`` words of the sample that the model hears; or look at what is wrong with the sound."""
        heard = result.lower()
        missing = [word for word in self.expected if word.lower() not in heard]
        contract(not missing, "The transcript holds the words that were said.", "results", (missing, result))

    @crosses
    def test_every_kind_of_media_goes_in(self, bound: Any, result: Any, tmp_path: Path) -> None:
        """Take what the verb is given, a ``Path`` or ``bytes``, to ``kit.decode_audio`` or ``read_media``."""
        data = media.read_media(self.arguments()["audio_path"])
        path = tmp_path / "sound with spaces ü.wav"
        path.write_bytes(data)
        kinds = {
            "a path": path, "a str": str(path), "bytes": data, "a bytearray": bytearray(data),
            "an Audio": media.Audio(data), "a binary file": io.BytesIO(data),
        }  # fmt: skip
        for kind, given in kinds.items():
            with works(f"Sound is taken as {kind}.", "media-input"):
                heard = self.call(bound, audio_path=given)
            contract(heard == result, f"Sound is taken as {kind}.", "media-input", heard)

    def test_other_formats_go_in(self, bound: Any, tmp_path: Path) -> None:
        """Read with ``kit.decode_audio``."""
        audio = media.Audio(media.read_media(self.arguments()["audio_path"]))
        for suffix in (".mp3", ".flac", ".ogg"):
            with works(f"Sound is taken as {suffix}.", "media-input"):
                self.check(self.call(bound, audio_path=audio.save(tmp_path / f"x{suffix}")))

    @crosses
    def test_a_file_that_is_not_there(self, bound: Any, tmp_path: Path) -> None:
        """Read with ``kit.decode_audio``, which raises what is promised."""
        with raises(AudioFileNotFoundError, "A file that is not there is an AudioFileNotFoundError.", "media-input"):
            self.call(bound, audio_path=tmp_path / "none.wav")
        with raises(LollmsError, "An address is no path: a typed error.", "hostile-input"):
            self.call(bound, audio_path="http://127.0.0.1:9/x.wav")

    def test_silence_and_very_short_sound(self, bound: Any) -> None:
        """Give an empty transcript where nothing is said; do not divide by a length of zero."""
        for seconds in (0.02, 2.0):
            silence = media.Audio.from_pcm(bytes(2 * int(16000 * seconds)), 16000)
            self.check(self.call(bound, audio_path=silence))

    def test_sound_that_is_none(self, bound: Any, tmp_path: Path) -> None:
        """Read with ``kit.decode_audio``, which raises what is promised; never take bytes for samples."""
        data = media.read_media(self.arguments()["audio_path"])
        lies = {
            "no bytes at all": b"",
            "text": b"this is no sound" * 100,
            "a WAV header alone": media.wav_header(16000, 1, 0)[:30],
            "a WAV that claims 1 Hz, so that its little data lasts for hours": _wav(1, bytes(2 * 30_000)),
            "an image": b"\x89PNG\r\n\x1a\n" + bytes(200),
        }
        for what, lie in lies.items():
            with raises(MediaError, f"Sound that is {what} is a MediaError.", "hostile-input"):
                self.call(bound, audio_path=lie)
        try:
            self.check(self.call(bound, audio_path=data[: len(data) // 2]))
        except MediaError:
            return  # half of a file may be refused, or heard as far as it goes


def _wav(rate: int, pcm: bytes) -> bytes:
    return media.wav_header(rate, 1, len(pcm)) + pcm


def joined(*parts: Any) -> media.Audio:
    """Recordings one after the other, made one channel; a number is so many seconds of silence."""
    wholes = [media.Audio(media.read_media(part)) for part in parts if not isinstance(part, float)]
    rate = wholes[0].sample_rate if wholes else 16000
    rest = iter(wholes)
    samples = [np.zeros(round(part * rate)) if isinstance(part, float) else one_channel(next(rest)) for part in parts]
    return media.Audio.from_samples(np.concatenate(samples), rate)


def one_channel(audio: media.Audio) -> npt.NDArray[np.float32]:
    """Of (n,) or (n, channels): (n,)."""
    samples = audio.to_numpy()
    return samples if samples.ndim == 1 else samples.mean(axis=1)
