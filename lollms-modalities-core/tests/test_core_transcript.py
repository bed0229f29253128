"""Subtitles, read again by parsers of their own."""

from __future__ import annotations

import copy
import io
import json
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt
from lollms_modalities import OptionError, Segment, Transcript, Word
from lollms_modalities.workers.values import pack, unpack

SEGMENTS = [
    Segment("Fish & chips <b>now</b>.", 0.0, 1.25, (Word(" Fish", 0.0, 0.5, 0.9), Word(" &", 0.5, 0.6))),
    Segment("  First line\n\n\nsecond --> line ", 1.25, 2.5),
    Segment("No length", 2.5, 2.5),
    Segment("Overlaps", 2.0, 4.0),
    Segment("   ", 4.0, 5.0),
    Segment("Zażółć 日本語", 3599.9996, 3661.5),
    Segment("After many hours", 360_001.5, 360_002.0),
]
SAID = Transcript.from_segments(SEGMENTS, language="en")


def test_srt_is_read_again() -> None:
    cues = list(srt.parse(SAID.to_srt()))
    assert [cue.index for cue in cues] == list(range(1, 7))
    assert [cue.content for cue in cues] == [
        "Fish & chips <b>now</b>.", "First line\nsecond -> line", "Overlaps", "No length", "Zażółć 日本語", "After many hours",
    ]  # fmt: skip
    assert cues[0].end == timedelta(seconds=1.25)
    assert cues[-1].start == timedelta(seconds=360_001.5)
    assert all(cue.end > cue.start for cue in cues)
    assert [cue.start for cue in cues] == sorted(cue.start for cue in cues)


def test_vtt_is_read_again() -> None:
    cues = list(webvtt.from_buffer(io.StringIO(SAID.to_vtt())))
    assert len(cues) == 6
    assert cues[0].raw_text == "Fish &amp; chips &lt;b&gt;now&lt;/b&gt;."
    assert cues[1].lines == ["First line", "second --&gt; line"]
    assert cues[0].end == "00:00:01.250"
    assert cues[-1].start == "100:00:01.500"


def test_no_times_and_nothing_said() -> None:
    (cue,) = srt.parse(Transcript("only text", duration=2.5).to_srt())
    assert (cue.content, cue.end) == ("only text", timedelta(seconds=2.5))
    assert Transcript("").to_srt() == ""
    assert Transcript("").to_vtt() == "WEBVTT\n\n"
    assert list(webvtt.from_buffer(io.StringIO(Transcript("").to_vtt()))) == []


def test_it_is_the_text_and_knows_more() -> None:
    assert SAID.startswith("Fish & chips")
    assert [word.text for word in SAID.words] == [" Fish", " &"]
    assert SAID.language == "en"
    told = json.loads(json.dumps(SAID.to_dict()))
    assert told["segments"][0]["words"][0] == {"text": " Fish", "start": 0.0, "end": 0.5, "probability": 0.9}


def test_the_text_of_a_translation_has_a_language_of_its_own() -> None:
    said = Transcript.from_segments(SEGMENTS, language="fr", text_language="en")
    packed: list[Any] = []
    for other in (said, copy.copy(said), pickle.loads(pickle.dumps(said)), unpack(pack(said, packed), packed)):
        assert (other.language, other.text_language) == ("fr", "en")
    assert said.to_dict()["text_language"] == "en"
    assert SAID.text_language == SAID.to_dict()["text_language"] == "en"
    assert Transcript("x").text_language is None


def test_it_saves_by_suffix(tmp_path: Path) -> None:
    assert SAID.save(tmp_path / "x.srt").read_text("utf-8") == SAID.to_srt()
    assert SAID.save(tmp_path / "x.vtt").read_text("utf-8") == SAID.to_vtt()
    assert SAID.save(tmp_path / "x.txt").read_text("utf-8") == SAID + "\n"
    assert json.loads(SAID.save(tmp_path / "x.json").read_text("utf-8"))["text"] == SAID
    with pytest.raises(OptionError, match=r"\.srt"):
        SAID.save(tmp_path / "x.doc")


def test_arrows_and_the_shortest_cue() -> None:
    said = Transcript.from_segments([Segment("a ---> b", 0, 1), Segment("short", 1.0015, 1.0015)])
    first, second = srt.parse(said.to_srt())
    assert first.content == "a -> b"
    assert second.end > second.start
