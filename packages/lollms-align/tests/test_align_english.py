"""How English is said: numbers, marks, abbreviations; and how a word is guessed from its letters."""

from __future__ import annotations

import pytest
from lollms_align.letters import guessed, possessive
from lollms_align.numbers import LARGEST, cardinal, ordinal, plural, ways
from lollms_align.spoken import ways_to_say

KNOWN = frozenset("hello at t smith's well-known cafe nasa x dot org".split())


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("Hello,", "hello"), ("“Hello!”", "hello"), ("23", "twenty three"), ("105", "one hundred and five"),
        ("105", "one hundred five"), ("1,234", "one thousand two hundred thirty four"), ("1999,", "nineteen ninety nine"),
        ("1999", "nineteen hundred ninety nine"), ("1905", "nineteen oh five"), ("1900", "nineteen hundred"),
        ("2024", "twenty twenty four"), ("2024", "two thousand and twenty four"), ("007", "oh oh seven"), ("0", "zero"),
        ("3.14", "three point one four"), ("1st", "first"), ("22nd", "twenty second"), ("30th.", "thirtieth"),
        ("1990s", "nineteen nineties"), ("'90s", "nineties"), ("$5", "five dollars"), ("$5", "dollar five"),
        ("$1", "one dollar"), ("£3.50", "three pounds fifty"), ("€20", "twenty euros"), ("50%", "fifty percent"),
        ("10:30", "ten thirty"), ("5-10", "five to ten"), ("-5", "minus five"), ("Dr.", "doctor"), ("St.", "street"),
        ("e.g.", "for example"), ("U.S.A.", "u s a"), ("BBC", "b b c"), ("NASA", "nasa"), ("AT&T", "at and t"),
        ("&", "and"), ("x²", "x two"), ("café", "cafe"), ("x.org", "x dot org"), ("it’s", "it's"), ("٣", "three"),
        ("well-known", "well-known"), ("half-done", "half done"), ("b2b", "b two b"),
    ],
)  # fmt: skip
def test_ways_to_say(token: str, said: str) -> None:
    assert said.split() in ways_to_say(token, KNOWN.__contains__)


@pytest.mark.parametrize("token", ["—", "...", "😀"])
def test_what_is_not_said(token: str) -> None:
    assert ways_to_say(token, KNOWN.__contains__) == [[]]


@pytest.mark.parametrize(
    "token", ["1-2-3-4-5-6-7-8-9-10-11-12-13", "9" * 400, "a.b" * 100, "$" + "9" * 40, "9" * 30 + "th"]
)
def test_there_are_not_too_many_ways(token: str) -> None:
    assert 1 <= len(ways_to_say(token, KNOWN.__contains__)) <= 24


def test_numbers() -> None:
    assert " ".join(cardinal(1_000_001)) == "one million one"
    assert " ".join(cardinal(1_000_001, "and")) == "one million and one"
    assert " ".join(cardinal(999_999)) == "nine hundred ninety nine thousand nine hundred ninety nine"
    assert len(cardinal(LARGEST)) > 20
    assert [" ".join(ordinal(cardinal(n))) for n in (1, 2, 3, 5, 8, 9, 12, 20, 101)] == [
        "first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth", "one hundred first",
    ]  # fmt: skip
    assert plural(["six"]) == ["sixes"]
    assert ways("00") == [["zero", "zero"], ["oh", "oh"]]


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("lake", "L EY K"),
        ("nation", "N AE SH AH N"),
        ("fable", "F AE B AH L"),
        ("lollms", "L AA L M S"),
        ("shrdlu", "SH R D L AH"),
        ("xkcd", "K S K K D AH"),
        ("日", ""),
        ("", ""),
    ],
)
def test_guesses(word: str, phones: str) -> None:
    assert guessed(word) == phones


def test_every_guess_is_of_phones_that_the_model_has() -> None:
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL")
    words = [
        "rhythm",
        "queue",
        "psyche",
        "knights",
        "through",
        "czech",
        "vieux",
        "yacht",
        "aeiou",
        "bcdfg",
        "hmm",
        "e",
        "tsk",
        "ce",
    ]
    for n, word in enumerate(words):
        assert guessed(word), word
        decoder.add_word(f"guess{n}", possessive(guessed(word)), False)
        assert decoder.lookup_word(f"guess{n}") == possessive(guessed(word))
