"""Results and media as input."""

from __future__ import annotations

import copy
import ctypes
import io
import os
import pickle
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    AudioFileNotFoundError,
    BindingDependencyError,
    CallOptions,
    GenerationError,
    Image,
    MediaError,
    MediaInput,
    OptionError,
    Provenance,
    Segment,
    Transcript,
    Video,
    check_media,
    media_path,
    open_media,
    option,
    read_media,
)
from lollms_modalities.media.sound import decode_audio
from PIL import Image as Pillow

RATE = 22050
SINE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.fixture
def audio() -> Audio:
    made = Audio.from_samples(SINE, RATE)
    made._provenance = lambda: Provenance(binding="b", seed=3)
    return made


@pytest.fixture
def image() -> Image:
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[:, :15] = (255, 0, 0, 255)
    return Image.from_pixels(pixels)


@pytest.fixture
def video() -> Video:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), n * 10, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Video(buffer.getvalue())


# --- results --------------------------------------------------------------------------------------------------------


def test_audio_is_bytes_that_know_themselves(audio: Audio) -> None:
    assert isinstance(audio, bytes)
    assert (audio.format, audio.mime_type) == ("wav", "audio/wav")
    assert (audio.sample_rate, audio.channels, audio.duration) == (RATE, 1, 1.0)
    again = Audio(bytes(audio))
    assert (again.sample_rate, again.channels, again.duration) == (RATE, 1, 1.0)
    assert repr(audio) == str(audio) == "<Audio wav 1.00 s, 22050 Hz mono, 44 kB>"
    assert audio == bytes(audio)
    assert np.abs(audio.to_numpy()[:, 0] - SINE).max() < 1e-4


@pytest.mark.parametrize("kind", ["audio", "image", "video"])
def test_results_copy_and_pickle_with_what_they_know(kind: str, request: pytest.FixtureRequest) -> None:
    media = request.getfixturevalue(kind)
    media._provenance = lambda: Provenance(binding="b", seed=3)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(media, protocol))
        assert type(again) is type(media)
        assert again == media
        assert again.provenance == Provenance(binding="b", seed=3)
    for again in (copy.copy(media), copy.deepcopy(media)):
        assert again == media
        assert again.provenance == media.provenance
        assert repr(again) == repr(media)


def test_a_transcript_copies_and_pickles_too() -> None:
    said = Transcript("hi", segments=[Segment("hi", 0, 1)], language="en", duration=1.5)
    for again in (copy.deepcopy(said), *(pickle.loads(pickle.dumps(said, p)) for p in range(6))):
        assert again == "hi"
        assert again.__dict__ == {**said.__dict__, "_provenance": None}


def test_chunks_become_one_sound_and_none_is_told() -> None:
    chunks = [AudioChunk.from_samples(SINE[:100], RATE), AudioChunk.from_samples(SINE[100:], RATE)]
    assert Audio.from_chunks(chunks) == Audio.from_samples(SINE, RATE)
    assert chunks[0].samples.base is not None, "a view, not a copy"
    assert chunks[0].duration == 100 / RATE
    assert Audio.from_chunks(chunks, "flac").format == "flac"
    stereo = AudioChunk.from_samples(np.stack([SINE, -SINE], 1), RATE)
    assert stereo.samples.shape == (RATE, 2)
    with pytest.raises(MediaError, match="no sound"):
        Audio.from_chunks([])
    with pytest.raises(MediaError, match="2 channels"):
        Audio.from_chunks([chunks[0], stereo])


def test_a_chunk_of_a_whole_sound(audio: Audio) -> None:
    assert AudioChunk.from_audio(audio).pcm == audio[44:]
    assert len(AudioChunk.from_audio(audio.convert("flac")).pcm) == len(audio) - 44


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg", ".opus", ".WAV"])
def test_audio_saves_in_the_format_of_the_name(audio: Audio, tmp_path: Path, suffix: str) -> None:
    path = audio.save(tmp_path / f"x{suffix}")
    assert path == tmp_path / f"x{suffix}"
    heard = decode_audio(path, RATE)
    assert abs(len(heard) / RATE - 1) < 0.1
    assert np.abs(np.fft.rfft(heard)).argmax() * RATE / len(heard) == pytest.approx(440, abs=2)
    assert os.listdir(tmp_path) == [path.name]


def test_saving_writes_all_or_nothing(audio: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.wav").write_bytes(b"old")

    def fail(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        audio.save(tmp_path / "x.wav")
    assert os.listdir(tmp_path) == ["x.wav"]
    assert (tmp_path / "x.wav").read_bytes() == b"old"


@pytest.mark.parametrize(("name", "said"), [("x.docx", "wav"), ("x", "wav"), ("no/x.wav", "folder"), (".", "folder")])
def test_a_name_that_cannot_be_saved_to_says_why(audio: Audio, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        audio.save(tmp_path / name)


def test_image_knows_and_converts_itself(image: Image, tmp_path: Path) -> None:
    assert (image.width, image.height, image.format) == (30, 20, "png")
    assert repr(image) == f"<Image png 30x20, {len(image)} bytes>"
    assert Image(bytes(image)).width == 30
    for name, kind in (("x.jpg", "JPEG"), ("x.webp", "WEBP"), ("x.png", "PNG")):
        with Pillow.open(image.save(tmp_path / name)) as saved:
            assert (saved.format, saved.size) == (kind, (30, 20))
    jpeg = image.convert("jpg").to_pil()
    assert min(jpeg.getpixel((25, 10))) > 250, "what was transparent is white"  # type: ignore[arg-type]
    red, green, _ = jpeg.getpixel((5, 10))  # type: ignore[misc]
    assert red > 240
    assert green < 20
    with pytest.raises(MediaError, match="no image"):
        Image(b"not an image").to_pil()
    assert repr(Image(b"not an image")) == "<Image of unknown format, 12 bytes>"


def test_video_knows_itself(video: Video, tmp_path: Path) -> None:
    assert (video.width, video.height, video.fps, video.duration, video.num_frames) == (64, 48, 10.0, 2.0, 20)
    assert video.mime_type == "video/mp4"
    assert video.save(tmp_path / "x.mp4").read_bytes() == video
    with pytest.raises(OptionError, match="ffmpeg"):
        video.save(tmp_path / "x.webm")


def test_results_show_themselves_in_html(audio: Audio, video: Video) -> None:
    assert audio._repr_html_().startswith('<audio controls preload="metadata" src="data:audio/wav;base64,UklGR')
    assert video._repr_html_().startswith('<video controls src="data:video/mp4;base64,')


def test_samples_that_are_no_sound_are_told() -> None:
    with pytest.raises(GenerationError, match="NaN"):
        Audio.from_samples(np.array([0.0, np.nan]), RATE)
    with pytest.raises(GenerationError, match="shape"):
        Audio.from_samples(np.zeros((2, 2, 2)), RATE)
    with pytest.raises(GenerationError, match="int64"):
        Audio.from_samples(np.zeros(5, np.int64), RATE)
    loud = Audio.from_samples(np.array([2.0, -2.0]), RATE)
    assert np.frombuffer(loud[44:], "<i2").tolist() == [32767, -32768]


def test_a_missing_library_says_what_to_install(audio: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(BindingDependencyError, match=r"lollms-modalities-core\[audio\]"):
        audio.convert("mp3")


# --- input ----------------------------------------------------------------------------------------------------------


def test_a_large_sound_is_not_copied_for_a_look_at_its_header(tmp_path: Path) -> None:
    large = Audio(bytes(Audio.from_pcm(bytes(20 << 20), 48000)))
    tracemalloc.start()
    try:
        assert large.duration == pytest.approx((20 << 20) / 96000)
        large.save(tmp_path / "large.wav")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2 << 20
    with open_media(large) as file:
        assert (file.read(4), file.seek(-4, 2), file.read(), file.read(1)) == (b"RIFF", len(large) - 4, bytes(4), b"")
        assert (file.seek(8), file.read(4), file.tell()) == (8, b"WAVE", 12)
        with pytest.raises(ValueError, match="negative seek"):
            file.seek(-1)


def test_media_is_taken_as_path_bytes_result_or_file(audio: Audio, tmp_path: Path) -> None:
    path = audio.save(tmp_path / "x.wav")
    lying = audio.moved_to(tmp_path / "y.wav")
    assert len(lying) == 0
    with path.open("rb") as file:
        for given in (str(path), path, bytes(audio), bytearray(audio), memoryview(audio), audio, file, lying):
            assert read_media(given) == audio  # type: ignore[arg-type]
            if given is file:
                file.seek(0)
            assert len(decode_audio(given, RATE)) == RATE  # type: ignore[arg-type]
    assert check_media(audio) is audio
    assert media_path(path) == path
    assert media_path(audio) is None
    with open_media(audio) as file_of_bytes:
        assert file_of_bytes.read(4) == b"RIFF"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("no/such.wav", AudioFileNotFoundError), (Path("no.wav"), AudioFileNotFoundError), ("x" * 10000, AudioFileNotFoundError),
        ("", MediaError), ("a\0b", MediaError), (".", MediaError), (b"", MediaError), (5, MediaError), (None, MediaError),
        ("https://example.org/x.wav", MediaError), ("data:audio/wav;base64,", MediaError), (io.StringIO("x"), MediaError),
    ],
)  # fmt: skip
def test_what_is_no_media_is_told(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        check_media(given, role="audio")
    assert type(caught.value) is error
    assert len(str(caught.value)) < 400


def test_media_input_as_an_option(audio: Audio, tmp_path: Path) -> None:
    class Options(CallOptions):
        speaker: MediaInput | None = option(None, description="Recording.")

    assert Options(speaker=audio).speaker is audio
    path = audio.save(tmp_path / "x.wav")
    assert Options(speaker=str(path)).speaker == path
    assert Options(speaker=io.BytesIO(audio)).speaker == audio
    assert Options().speaker is None
    with pytest.raises(ValueError, match="There is no media file"):
        Options(speaker="no.wav")
    schema = Options.model_json_schema()["properties"]["speaker"]
    assert {"type": "string", "format": "lollms-media"} in schema["anyOf"]
    assert Options(speaker=audio).model_dump(mode="json") == {"speaker": f"<{len(audio)} bytes>"}


@pytest.mark.parametrize("given", ["~nobody_of_that_name/x.wav", "\ud800.wav"])
def test_a_name_that_cannot_be_a_path_is_told(given: str) -> None:
    with pytest.raises(MediaError, match="no path"):
        check_media(given, role="audio")


@pytest.mark.parametrize("kind", [Audio, Image, Video])
def test_a_result_whose_file_is_gone_still_has_a_repr(kind: Any, tmp_path: Path) -> None:
    assert "not there" in repr(kind(path=tmp_path / "gone"))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "PA"])
def test_images_of_other_colour_models_become_png(mode: str) -> None:
    assert Image.from_pil(Pillow.new(mode, (4, 3))).to_pil().size == (4, 3)


def test_the_longest_name_can_be_saved(audio: Audio, tmp_path: Path) -> None:
    assert audio.save(tmp_path / ("音" * 83 + ".wav")).is_file()


def test_the_same_frames_give_the_same_bytes() -> None:
    rows, columns = np.mgrid[:160, :160]
    frames = [
        np.stack([columns + 3 * n, rows + 5 * n, rows * columns // (50 + n)], -1).astype(np.uint8) for n in range(9)
    ]
    # What fresh memory holds must not matter; glibc fills it where it is asked to.
    fill = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    found = set()
    for byte in (0, 1, 77, 200, 255):
        if fill is not None:
            fill(-6, byte)
        found.add(bytes(Video.from_frames(frames, 25)))
    if fill is not None:
        fill(-6, 0)
    assert len(found) == 1


def _tag(size: int, *, footer: bool = False) -> bytes:
    """An ID3 tag of ``size`` bytes of padding."""
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00" + (b"\x10" if footer else b"\x00") + length + bytes(size) + bytes(10 if footer else 0)


@pytest.mark.parametrize("tag", ["_tag(10)", "_tag(300_000)", "_tag(200) + _tag(3)", "_tag(77, footer=True)"])
@pytest.mark.parametrize("name", ["flac", "mp3", "aac"])
def test_a_format_is_told_past_a_tag_in_front(name: str, tag: str, audio: Audio, tmp_path: Path) -> None:
    tagged = eval(tag) + bytes(audio.convert(name))
    assert Audio(tagged).format == name
    (tmp_path / "x.bin").write_bytes(tagged)
    assert Audio(path=tmp_path / "x.bin").format == name
    assert Audio(tagged).save(tmp_path / f"x.{name}").read_bytes() == tagged  # nothing to convert
    other = "mp3" if name != "mp3" else "flac"
    assert Audio(Audio(tagged).save(tmp_path / f"y.{other}").read_bytes()).format == other
    assert abs(Audio(tagged).duration - 1) < 0.1


def test_tags_without_end_are_no_endless_loop() -> None:
    assert Audio(_tag(0) * 100_000).format == "mp3"
    assert Audio(_tag(300_000)[:64]).format == "mp3"  # a head alone


def test_the_encoder_s_threads_end_with_a_film_that_fails() -> None:
    def frames() -> Iterator[npt.NDArray[np.uint8]]:
        yield from [np.zeros((64, 96, 3), np.uint8)] * 3
        raise ValueError("no more")

    def threads() -> int:
        return psutil.Process().num_threads()

    def fail() -> ValueError:
        with pytest.raises(ValueError, match="no more") as caught:
            Video.from_frames(frames(), 12)
        return caught.value

    kept = [fail()]  # and its traceback
    before = threads()
    kept += [fail() for _ in range(8)]
    assert threads() < before + 8


def test_an_image_that_is_a_program_is_not_run() -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(MediaError, match="EPS is a program, which is not run"):
        Image(program).to_pil()
    with pytest.raises(MediaError, match="EPS is a program, which is not run"):
        _ = Image(program).width
