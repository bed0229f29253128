"""Times of what was said, whatever an engine tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_modalities import (
    Audio,
    CallOptions,
    LollmsSTTBinding,
    OptionError,
    Segment,
    Timestamps,
    Transcript,
    Word,
    current_call,
)
from lollms_modalities.kit.languages import WHISPER_LANGUAGES, whisper_language
from lollms_modalities.media.sound import decode_audio

SOUND = Audio.from_pcm(bytes(2 * 8000 * 4), 8000)  # four seconds
LONG = Audio.from_pcm(bytes(2 * 1000 * 70), 1000)


class Engine(LollmsSTTBinding):
    """Gives the segments that it is told to."""

    class Options(CallOptions):
        timestamps: Timestamps = "word"

    told: tuple[Segment, ...] = ()
    decodes = False

    def transcribe_audio(self, audio_path: Any, model: str | None = None, **kwargs: Any) -> Transcript:
        if self.decodes:
            decode_audio(audio_path)
        return Transcript.from_segments(self.told)

    def stream_transcript(self, audio_path: Any, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        yield from self.told

    def list_models(self, **kwargs: Any) -> list[str]:
        return []


def engine(*told: Segment, decodes: bool = False) -> Engine:
    made = Engine()
    made.told, made.decodes = told, decodes
    return made


WILD = (
    Segment("second", np.float64(2.5), np.float64(9.0), (Word(" second", np.float64(1.9), np.float32(8.5), np.float32(0.5)),)),
    Segment("first", -1.0, 0.9, extra={"score": np.float64(0.25)}, probability=np.float64(0.5)),
    Segment("backwards", 3.9, 3.0),
    Segment("beyond", 60.0, 90.0),
    Segment("unknown", float("nan"), float("inf")),
)  # fmt: skip


@pytest.mark.parametrize("decodes", [False, True])
def test_times_are_possible(decodes: bool) -> None:
    heard = engine(*WILD, decodes=decodes).transcribe_audio(SOUND)
    assert [s.start for s in heard.segments] == sorted(s.start for s in heard.segments)
    for thing in (*heard.segments, *heard.words):
        assert 0 <= thing.start <= thing.end <= 4
        assert {type(thing.start), type(thing.end)} == {float}
        assert type(thing.probability) in (float, type(None))
    assert all(s.start <= w.start and w.end <= s.end for s in heard.segments for w in s.words)
    assert {s.text for s in heard.segments} == {s.text for s in WILD}
    assert type(heard.segments[0].extra.get("score", 0.25)) is float
    for segment in engine(*WILD).stream_transcript(SOUND):
        assert 0 <= segment.start <= segment.end <= 4
        assert type(segment.start) is float


TWO = Segment(
    "Before. After it.", 0.5, 68.0, (Word(" Before.", 1.0, 2.0), Word(" After", 65.0, 66.0), Word(" it.", 66, 67))
)
UNSPACED = Segment(
    "Before. After it.", 1.0, 67.0, (Word("Before.", 1.0, 2.0), Word("After", 65.0, 66.0), Word("it.", 66, 67))
)
CHINESE = Segment("你好世界", 1.0, 67.0, (Word("你好", 1.0, 2.0), Word("世", 65.0, 66.0), Word("界", 66.0, 67.0)))
ONE = Segment("Before.", 0.9, 63.0, (Word(" Before.", 1.0, 2.0),))


@pytest.mark.parametrize("stream", [False, True])
def test_a_cue_over_a_long_silence_is_cut_at_the_words(stream: bool) -> None:
    def heard(segment: Segment, **options: Any) -> list[tuple[str, float, float, int]]:
        made = engine(segment)
        found = made.stream_transcript(LONG, **options) if stream else made.transcribe_audio(LONG, **options).segments
        return [(s.text, s.start, s.end, len(s.words)) for s in found]

    for segment in (TWO, UNSPACED):
        assert heard(segment) == [("Before.", 1.0, 2.0, 1), ("After it.", 65.0, 67.0, 2)]
        assert heard(segment, timestamps="segment") == [("Before.", 1.0, 2.0, 0), ("After it.", 65.0, 67.0, 0)]
    assert [text for text, *_ in heard(CHINESE)] == ["你好", "世界"]
    assert heard(ONE) == [("Before.", 0.9, 2.0, 1)]


def test_no_times_are_given_where_none_were_asked_for() -> None:
    heard = engine(TWO).transcribe_audio(LONG, timestamps="none")
    assert (str(heard), heard.segments, heard.words) == ("Before. After it.", (), ())
    assert "00:00:00,000 --> " in heard.to_srt(), "subtitles are of the whole"
    assert heard.provenance is not None


def test_what_the_engine_gave_is_left_as_it_was() -> None:
    given = Transcript.from_segments([TWO])

    class Keeps(Engine):
        def transcribe_audio(self, audio_path: Any, model: str | None = None, **kwargs: Any) -> Transcript:
            return given

    assert Keeps().transcribe_audio(LONG, timestamps="none").segments == ()
    assert given.segments == (TWO,)


def test_damage_is_told_in_the_provenance(tmp_path: Path) -> None:
    flac = bytes(Audio.from_samples(np.random.default_rng(0).normal(0, 0.1, 16000), 8000).convert("flac"))
    with pytest.warns(UserWarning, match="damaged"):
        heard = engine(decodes=True).transcribe_audio(flac[:-1])
    assert heard.provenance is not None
    assert 0 < heard.provenance.extra["skipped_seconds"] < 0.6
    assert heard.provenance.extra["skipped_packets"] == 1
    assert current_call().heard is None


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        (None, None), ("", None), ("auto", None), ("Auto", None), ("en", "en"), ("en-GB", "en"), ("EN_us", "en"),
        ("english", "en"), ("English", "en"), ("eng", "en"), ("nb-NO", "no"), ("zh-Hant-TW", "zh"), ("yue", "yue"),
        ("haitian creole", "ht"), ("castilian", "es"), ("ger", "de"), ("iw", "he"),
    ],
)  # fmt: skip
def test_a_language_by_tag_or_name(tag: str | None, code: str | None) -> None:
    assert whisper_language(tag, WHISPER_LANGUAGES, "m") == code


@pytest.mark.parametrize("tag", ["qx", "e n", "en\n", "--", "klingon", "x" * 30])
def test_a_language_that_is_none(tag: str) -> None:
    with pytest.raises(OptionError, match="does not know"):
        whisper_language(tag, WHISPER_LANGUAGES, "m")
