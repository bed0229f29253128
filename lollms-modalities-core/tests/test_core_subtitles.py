"""Subtitles that can be shown: limits, cuts, speakers, nothing lost. Read again by parsers of their own."""

from __future__ import annotations

import io
import itertools
import random
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt
from lollms_modalities import Audio, MediaError, OptionError, Segment, Transcript, Word
from lollms_modalities.media import layout
from lollms_modalities.media.subtitles import Cue, cues, limits_of

SENTENCES = (
    "The harbour was quiet in the early morning, and only the gulls were awake.",
    "Mr. Smith, who had slept badly, walked slowly to the end of the pier; there he sat down.",
    "Nobody spoke.",
    "After a long while, when the sun had come up over the hills and the first boats had left, he went home again.",
)


def said(text: str, start: float = 0.0, rate: float = 14.0, speaker: str | None = None) -> Segment:
    """A segment with words, at so many characters a second."""
    words, at = [], start
    for token in re.findall(r"\s*\S+", text):
        end = at + len(token) / rate
        words.append(Word(token, at, end))
        at = end
    return Segment(text, start, at, tuple(words), speaker=speaker)


def plain(texts: Iterable[str]) -> str:
    return "".join("".join(texts).split())


def check(
    found: Sequence[Cue], segments: Sequence[Segment], chars: int, lines: int, seconds: float, labelled: bool = False
) -> None:
    for before, after in itertools.pairwise(found):
        assert before.end <= after.start
    for cue in found:
        assert 0 < cue.end - cue.start <= seconds + 0.0011
        assert 0 < len(cue.lines) <= lines
        assert all(line and line == line.strip() and len(line) <= chars for line in cue.lines), cue
    if not labelled:
        # Of segments that overlap the cues stand between each other's.
        assert sorted(plain(line for cue in found for line in cue.lines)) == sorted(plain(s.text for s in segments))


def test_cuts_are_behind_sentences_and_clauses() -> None:
    segment = said(" ".join(SENTENCES))
    found = cues([segment], limits_of(42, 2, 7))
    check(found, [segment], 42, 2, 7)
    assert [cue.lines for cue in found] == [
        ("The harbour was quiet in the early", "morning, and only the gulls were awake."),
        ("Mr. Smith, who had slept badly,", "walked slowly to the end of the pier;"),
        ("there he sat down. Nobody spoke.",),
        ("After a long while,", "when the sun had come up over"),
        ("the hills and the first boats had left,", "he went home again."),
    ]  # fmt: skip
    for cue in found:  # and shown when it is said
        first, last = cue.lines[0].split()[0], cue.lines[-1].split()[-1]
        assert any(w.text.strip() == first and abs(w.start - cue.start) < 0.002 for w in segment.words)
        assert any(w.text.strip() == last and abs(w.end - cue.end) < 0.002 for w in segment.words)


def test_lines_are_of_much_the_same_length() -> None:
    (cue,) = cues([said("He had not seen the house since he was a boy")], limits_of(42, 2, 7))
    assert cue.lines == ("He had not seen the house", "since he was a boy") or max(map(len, cue.lines)) <= 26


def test_a_segment_that_fits_stays_as_it_is() -> None:
    segments = [Segment("One.", 0, 1), Segment("two  words\nand a line", 1, 2.5), Segment("three", 9, 10)]
    found = cues(segments, limits_of(42, 2, 7))
    assert found == [
        Cue(0, 1, ("One.",), None), Cue(1, 2.5, ("two  words", "and a line"), None), Cue(9, 10, ("three",), None),
    ]  # fmt: skip
    assert found == cues(segments, limits_of(None, None, None))


def test_without_limits_a_cue_is_a_segment() -> None:
    segments = [said(" ".join(SENTENCES)), Segment("\n".join(SENTENCES), 100, 200)]
    first, second = cues(segments, limits_of(None, None, None))
    assert first.lines == (" ".join(SENTENCES),)
    assert second.lines == SENTENCES
    assert (second.start, second.end) == (100, 200)


def test_words_that_are_not_told_share_the_time_by_their_characters() -> None:
    text = " ".join(SENTENCES)
    told, untold = said(text), Segment(text, 0, len(text) / 14)
    for one, other in zip(cues([told], limits_of(42, 2, 7)), cues([untold], limits_of(42, 2, 7)), strict=True):
        assert one.lines == other.lines
        assert one.start == pytest.approx(other.start, abs=0.7)


def test_a_text_in_much_silence_is_shown_when_it_is_said() -> None:
    assert cues([Segment("Two words", 10, 70)], limits_of(42, 2, 7)) == [Cue(10, 17, ("Two words",), None)]
    late = Segment("Two words", 10, 70, (Word("Two", 60, 61), Word(" words", 61, 62)))
    assert cues([late], limits_of(42, 2, 7)) == [Cue(60, 62, ("Two words",), None)]


def test_scripts_without_blanks_and_very_long_words() -> None:
    japanese = (
        "今日は天気がいいので、友達と一緒に公園へ行きました。そこで花を見て、お弁当を食べて、夕方まで話しました。"
    )
    segment = Segment(japanese, 0, 12)
    found = cues([segment], limits_of(16, 2, 7))
    check(found, [segment], 16, 2, 7)
    assert found[0].lines == ("今日は天気がいいので、", "友達と一緒に公園へ行きました。")
    long = Segment("Look at " + "x" * 100 + " now", 0, 10)
    found = cues([long], limits_of(42, 2, 7))
    check(found, [long], 42, 2, 7)
    accents = Segment("e\u0301" * 30, 0, 3)
    found = cues([accents], limits_of(7, 1, 7))
    check(found, [accents], 7, 1, 7)
    assert not any(line.startswith("\u0301") for cue in found for line in cue.lines)


def test_cues_never_overlap_and_nobody_is_left_out() -> None:
    segments = [
        said("One of them talks on and on.", 0, 6),
        said("Another one interrupts.", 1),
        Segment("Yes!", 1, 1),
        Segment("No!", 1.0, 1.05),
    ]
    found = cues(segments, limits_of(42, 2, 7))
    check(found, segments, 42, 2, 7)
    assert len(found) == 4


TEXTS = (
    "a",
    "to",
    "the",
    "house,",
    "walked",
    "pier;",
    "morning.",
    "extraordinarily",
    "東京",
    "行きました。",
    "x" * 50,
    "¿qué?",
    "—",
    "ok!",
)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_said(seed: int) -> None:
    chance = random.Random(seed)
    segments: list[Segment] = []
    at = 0.0
    for _ in range(chance.randint(1, 6)):
        text = "".join(chance.choice((" ", " ", "\n", "")) + chance.choice(TEXTS) for _ in range(chance.randint(1, 40)))
        segment = said(
            text, at, chance.choice((2.0, 14.0, 40.0)), chance.choice((None, "Anna", "A very long name of somebody"))
        )
        if chance.random() < 0.4:
            segment = Segment(text, at, segment.end, speaker=segment.speaker)
        segments.append(segment)
        at = max(0.0, segment.end + chance.choice((0.0, 0.5, -0.5, 5.0)))
    chars, lines, seconds = chance.choice((8, 16, 42)), chance.choice((1, 2, 3)), chance.choice((2.0, 7.0))
    check(cues(segments, limits_of(chars, lines, seconds)), segments, chars, lines, seconds)
    check(
        cues(segments, limits_of(chars, lines, seconds), labelled=True), segments, chars, lines, seconds, labelled=True
    )
    heard = Transcript.from_segments(segments)
    shown = list(srt.parse(heard.to_srt(chars, lines, seconds)))
    assert [cue.index for cue in shown] == list(range(1, len(shown) + 1))
    for cue in shown:
        assert all(len(line) <= chars for line in cue.content.splitlines())
    spoken = plain(re.sub(r"(?s)\[[^\]]*\]", "", cue.content) for cue in shown)
    assert sorted(spoken) == sorted(plain(s.text for s in segments))
    assert list(webvtt.from_buffer(io.StringIO(heard.to_vtt(chars, lines, seconds))))


MEETING = Transcript.from_segments(
    [
        said("Good morning, everybody.", 0, speaker="Anna"),
        said("Morning!", 3, speaker="Bob & <Co>"),
        Segment("Yes. And no.", 5, 8, (Word("Yes.", 5, 6, speaker="Anna"), Word(" And", 6, 7, speaker="Bob & <Co>"), Word(" no.", 7, 8, speaker="Bob & <Co>"))),
        Segment("Music", 9, 10),
    ]
)  # fmt: skip


def test_speakers_have_their_names() -> None:
    shown = list(srt.parse(MEETING.to_srt()))
    assert [cue.content for cue in shown] == [
        "[Anna] Good morning, everybody.", "[Bob & <Co>] Morning!", "[Anna] Yes.", "[Bob & <Co>] And no.", "Music",
    ]  # fmt: skip
    assert (shown[3].start, shown[3].end) == (timedelta(seconds=6), timedelta(seconds=8))
    vtt = MEETING.to_vtt()
    assert "<v Anna>Good morning, everybody.\n" in vtt
    assert "<v Bob &amp; &lt;Co&gt;>Morning!\n" in vtt
    assert "\nMusic\n" in vtt
    assert next(cue.voice for cue in webvtt.from_buffer(io.StringIO(vtt))) == "Anna"


@pytest.mark.parametrize("limits", [(42, 2), (20, 1), (None, None)])
def test_a_name_with_brackets_ends_where_it_ends(limits: tuple[int | None, int | None]) -> None:
    heard = Transcript.from_segments([said("Good morning.", speaker="Ann [Dr.] O]"), said("-->[x] Hi", 4, speaker="]")])
    for cue in srt.parse(heard.to_srt(*limits)):
        label, _, text = cue.content.partition("]")
        assert label.startswith("[Ann (Dr") or label == "[)"
        assert text.split() in (["Good", "morning."], ["Good"], ["morning."], ["->[x]", "Hi"])


def test_an_arrow_in_a_text_is_no_times() -> None:
    (cue,) = srt.parse(Transcript.from_segments([Segment("a --> b\n00:00:01,000 --> 00:00:02,000", 0, 2)]).to_srt())
    assert cue.content == "a -> b\n00:00:01,000 -> 00:00:02,000"


def test_a_table() -> None:
    rows = [line.split("\t") for line in MEETING.to_tsv().splitlines()]
    assert rows[0] == ["start", "end", "speaker", "text"]
    assert rows[3] == ["5000", "6000", "Anna", "Yes."]
    assert rows[5] == ["9000", "10000", "", "Music"]
    tabs = Transcript.from_segments([Segment("a\tb\nc", 0, 1.5)])
    assert tabs.to_tsv() == "start\tend\ttext\n0\t1500\ta b c\n"
    assert Transcript("").to_tsv() == "start\tend\ttext\n"


def test_it_saves_a_table(tmp_path: Path) -> None:
    assert MEETING.save(tmp_path / "x.tsv").read_text("utf-8") == MEETING.to_tsv()


@pytest.mark.parametrize(
    "limits",
    [
        {"max_chars": 0},
        {"max_lines": 0},
        {"max_seconds": 0},
        {"max_chars": 4.5},
        {"max_lines": True},
        {"max_seconds": "7"},
        {"max_seconds": float("nan")},
    ],
)
def test_limits_that_leave_nothing(limits: dict[str, Any]) -> None:
    for show in (MEETING.to_srt, MEETING.to_vtt, MEETING.to_tsv):
        with pytest.raises(OptionError, match=next(iter(limits))):
            show(**limits)


def test_subtitles_of_speech() -> None:
    words = said(" ".join(SENTENCES)).words
    audio = Audio.from_pcm(bytes(2000), 1000).with_words(words)
    shown = list(srt.parse(audio.to_srt()))
    assert plain(cue.content for cue in shown) == plain(SENTENCES)
    assert shown[2].content == "there he sat down. Nobody spoke."
    assert audio.to_vtt(max_chars=30, max_lines=1).startswith("WEBVTT\n\n00:00:00.000 --> ")
    with pytest.raises(MediaError, match="timestamps='word'"):
        Audio.from_pcm(bytes(2000), 1000).to_srt()


def test_an_hour_is_laid_out_in_time_proportional_to_it() -> None:
    calls = []

    class Counting(str):
        __slots__ = ()

        def strip(self, *args: Any) -> str:
            calls.append(1)
            return str.strip(self, *args)

    counts = []
    for times in (20, 80):
        text = " ".join(SENTENCES * times)
        segment = said(text)
        calls.clear()
        words = tuple(Word(Counting(w.text), w.start, w.end) for w in segment.words)
        cues([Segment(text, 0, segment.end, words)], limits_of(42, 2, 7))
        counts.append(len(calls))
    assert counts[1] <= 4.5 * counts[0] + 1000


@pytest.mark.parametrize(("limits", "each"), [((42, 2, 7), 400), ((42, None, None), 100), ((600, 2, None), 3000)])
def test_long_parts_are_laid_out_without_measuring_everything_again(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[Any, Any, Any], each: int
) -> None:
    measured = 0
    width = layout._width

    def counted(token: Word, begins_line: bool) -> int:
        nonlocal measured
        measured += 1
        return width(token, begins_line)

    monkeypatch.setattr(layout, "_width", counted)
    segment = said(" ".join(SENTENCES * 20))
    made = cues([segment], limits_of(*limits))
    assert " ".join(line for cue in made for line in cue.lines).split() == segment.text.split()
    assert measured < each * len(segment.words), measured / len(segment.words)
