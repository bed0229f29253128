"""The five suites: what goes in, and what a result must be, for each modality."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lollms_modalities import media
from lollms_modalities.errors import AudioFileNotFoundError, LollmsError, MediaError
from lollms_modalities.testing.contract import contract, crosses, raises, works
from lollms_modalities.testing.encoded import EncodedTests
from lollms_modalities.testing.identity import IdentityTests
from lollms_modalities.testing.life import LifeTests
from lollms_modalities.testing.results import PromptTests, ResultTests
from lollms_modalities.testing.stopping import StoppingTests
from lollms_modalities.testing.streams import StreamTests
from lollms_modalities.testing.voices import VoiceTests

TEXT = "One sentence of a test. And another one."


class _Common(IdentityTests, ResultTests, StoppingTests, StreamTests, LifeTests):
    """What all five have."""


def _check_sound(audio: Any) -> None:
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
    peak = float(np.abs(audio.to_numpy()).max(initial=0.0))
    contract(peak > 0, "Sound that was asked for is not silence.", "results", peak)


class _SoundSuite(_Common):
    """Results that are sound."""

    def check(self, result: Any) -> None:
        _check_sound(result)

    def test_without_a_format_it_is_wav(self, result: Any) -> None:
        contract(result.format == "wav", "Without output_format the sound is WAV.", "results", result.format)

    def test_the_result_is_saved_in_other_formats(self, result: Any, tmp_path: Path) -> None:
        for suffix in (".flac", ".mp3", ".ogg"):
            saved = media.Audio(result.save(tmp_path / f"x{suffix}").read_bytes())
            contract(abs(saved.duration - result.duration) < 0.2, f"save() writes {suffix}.", "results", saved.duration)


class TTSBindingSuite(_SoundSuite, PromptTests, EncodedTests, VoiceTests):
    """For bindings of ``LollmsTTSBinding``."""

    verb = "generate_audio"
    stream_verb = "stream_audio"
    content = "text"
    name_argument = "voice"
    default_sample: ClassVar[Mapping[str, Any]] = {"text": TEXT}
    long_sample: ClassVar[Mapping[str, Any]] = {"text": TEXT * 20}

    def variants(self) -> list[dict[str, Any]]:
        return [{"text": f"{word} of a test."} for word in ("One", "Twenty seven", "A", "The very last line")]

    def joined(self, items: list[Any]) -> Any:
        return media.Audio.from_chunks(items).to_numpy().tobytes()

    def comparable(self, result: Any) -> Any:
        return result.to_numpy().tobytes()

    @crosses
    def test_chunks_are_what_they_say(self, bound: Any, result: Any) -> None:
        chunks = list(self.stream(bound))
        for chunk in chunks:
            contract(type(chunk) is media.AudioChunk, "A stream of sound gives AudioChunk.", "streams", type(chunk))
            contract(
                (chunk.sample_rate, chunk.channels) == (result.sample_rate, result.channels),
                "Each part of a stream has the rate and channels of the whole.",
                "streams",
                chunk.sample_rate,
            )

    def test_listed_voices_speak(self, bound: Any) -> None:
        for voice in bound.list_voices()[:2]:
            self.check(self.call(bound, voice=voice))


class TTMBindingSuite(_SoundSuite, PromptTests):
    """For bindings of ``LollmsTTMBinding``."""

    verb = "generate_music"
    content = "prompt"
    default_sample: ClassVar[Mapping[str, Any]] = {"prompt": "a slow piano"}

    def variants(self) -> list[dict[str, Any]]:
        return [{"prompt": prompt} for prompt in ("a slow piano", "quick drums", "a choir")]


class STTBindingSuite(_Common):
    """For bindings of ``LollmsSTTBinding``. ``sample`` names a recording: ``{"audio_path": ...}``.

    Attributes:
        expected: words that the transcript of the sample must hold.
    """

    verb = "transcribe_audio"
    stream_verb = "stream_transcript"
    whole_media = False
    name_argument = "model"
    expected: ClassVar[tuple[str, ...]] = ()

    def variants(self) -> list[dict[str, Any]]:
        return [{}]

    def long(self, **more: Any) -> dict[str, Any]:
        given = dict(self.long_sample)
        if "audio_path" not in given:
            given["audio_path"] = _repeated(self.arguments()["audio_path"], 12)
        return {**given, **more}

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
        heard = result.lower()
        missing = [word for word in self.expected if word.lower() not in heard]
        contract(not missing, "The transcript holds the words that were said.", "results", (missing, result))

    @crosses
    def test_every_kind_of_media_goes_in(self, bound: Any, result: Any, tmp_path: Path) -> None:
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
        audio = media.Audio(media.read_media(self.arguments()["audio_path"]))
        for suffix in (".mp3", ".flac", ".ogg"):
            with works(f"Sound is taken as {suffix}.", "media-input"):
                self.check(self.call(bound, audio_path=audio.save(tmp_path / f"x{suffix}")))

    @crosses
    def test_a_file_that_is_not_there(self, bound: Any, tmp_path: Path) -> None:
        with raises(AudioFileNotFoundError, "A file that is not there is an AudioFileNotFoundError.", "media-input"):
            self.call(bound, audio_path=tmp_path / "none.wav")
        with raises(LollmsError, "An address is no path: a typed error.", "hostile-input"):
            self.call(bound, audio_path="http://127.0.0.1:9/x.wav")

    def test_silence_and_very_short_sound(self, bound: Any) -> None:
        for seconds in (0.02, 2.0):
            silence = media.Audio.from_pcm(bytes(2 * int(16000 * seconds)), 16000)
            self.check(self.call(bound, audio_path=silence))

    def test_sound_that_is_none(self, bound: Any, tmp_path: Path) -> None:
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


class TTIBindingSuite(_Common, PromptTests):
    """For bindings of ``LollmsTTIBinding``."""

    verb = "generate_image"
    content = "prompt"
    default_sample: ClassVar[Mapping[str, Any]] = {"prompt": "a red square", "width": 64, "height": 64}

    def variants(self) -> list[dict[str, Any]]:
        return [{"prompt": prompt} for prompt in ("a red square", "a blue circle", "a green line")]

    def check(self, result: Any) -> None:
        contract(type(result) is media.Image, "The result is an Image.", "results", type(result))
        import PIL.Image

        with PIL.Image.open(io.BytesIO(media.read_media(result))) as image:
            image.load()
            found = (image.width, image.height, (image.format or "").lower())
        contract(
            (result.width, result.height, result.format) == found,
            "The size and format that an Image tells are those of its file.",
            "results",
            ((result.width, result.height, result.format), found),
        )

    def test_without_a_format_it_is_png(self, result: Any) -> None:
        contract(result.format == "png", "Without output_format the image is PNG.", "results", result.format)

    def test_it_has_the_size_that_was_asked_for(self, result: Any) -> None:
        asked = self.arguments()
        contract(
            (result.width, result.height) == (asked["width"], asked["height"]),
            "The image has the width and height that were asked for.",
            "results",
            (result.width, result.height),
        )

    def test_sizes_that_are_none(self, bound: Any) -> None:
        for wrong in ({"width": 0}, {"height": -5}, {"width": "wide"}, {"width": 10**9, "height": 10**9}):
            with raises(LollmsError, f"An image of the size {wrong} is a typed error.", "hostile-input"):
                self.call(bound, **wrong)

    def test_the_result_is_saved_in_other_formats(self, result: Any, tmp_path: Path) -> None:
        for suffix in (".jpg", ".webp"):
            saved = media.Image(result.save(tmp_path / f"x{suffix}").read_bytes())
            contract(
                (saved.width, saved.height) == (result.width, result.height), f"save() writes {suffix}.", "results"
            )

    def test_services_have_names(self, bound: Any) -> None:
        for service in bound.list_services():
            contract(
                {"name", "caption", "help"} <= service.keys(),
                "A service has name, caption and help.",
                "results",
                service,
            )


class TTVBindingSuite(_Common, PromptTests):
    """For bindings of ``LollmsTTVBinding``."""

    verb = "generate_video"
    content = "prompt"
    default_sample: ClassVar[Mapping[str, Any]] = {"prompt": "a ball that falls"}

    def variants(self) -> list[dict[str, Any]]:
        return [{"prompt": prompt} for prompt in ("a ball that falls", "a wave", "rain")]

    def check(self, result: Any) -> None:
        contract(type(result) is media.Video, "The result is a Video.", "results", type(result))
        import av

        with av.open(io.BytesIO(media.read_media(result)), mode="r") as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 0)
            found = (stream.width, stream.height, sum(1 for _ in container.decode(stream)))
            codec = stream.codec_context.name
        contract(
            (result.width, result.height, result.num_frames) == found and abs(result.fps - rate) < 0.1,
            "The size, frames and rate that a Video tells are those of its file.",
            "results",
            ((result.width, result.height, result.num_frames, result.fps), (*found, rate)),
        )
        contract(result.format != "mp4" or codec == "h264", "An MP4 is H.264.", "results", codec)

    @staticmethod
    def same(a: Any, b: Any) -> bool:
        return (a.width, a.height, a.num_frames) == (b.width, b.height, b.num_frames) and bool(a == b)

    def test_without_a_format_it_is_mp4(self, result: Any) -> None:
        contract(result.format == "mp4", "Without output_format the video is MP4.", "results", result.format)


def _wav(rate: int, pcm: bytes) -> bytes:
    return media.wav_header(rate, 1, len(pcm)) + pcm


def _repeated(audio: Any, times: int) -> media.Audio:
    """The same sound so many times."""
    whole = media.Audio(media.read_media(audio))
    samples = whole.to_numpy()
    return media.Audio.from_samples(np.concatenate([samples] * times), whole.sample_rate)
