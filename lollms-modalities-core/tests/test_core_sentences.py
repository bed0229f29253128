"""Text into pieces."""

from __future__ import annotations

import pytest
from lollms_modalities.kit.splitting import pieces, sentences

LONG = "a clause of some words, " * 60


@pytest.mark.parametrize("longest", [20, 200])
@pytest.mark.parametrize(
    "text",
    [
        LONG, "word " * 500, "x" * 1000, "吾輩は猫である。名前はまだ無い。" * 30, "吾輩は猫である、" * 60,
        'He said: "Stop!" Then he left. Mr. Smith paid 3.5 dollars, e.g. in coins. J. R. Tolkien came.\n\nNew paragraph',
    ],
)  # fmt: skip
def test_no_text_is_lost_and_no_piece_too_long(text: str, longest: int) -> None:
    cut = list(pieces(text, longest))
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(0 < len(piece) <= longest for piece in cut)


def test_a_long_sentence_is_cut_at_its_clauses() -> None:
    assert set(pieces(LONG, 200)) == {", ".join(["a clause of some words"] * n) + "," for n in (8, 4)}


def test_sentences_are_cut_where_they_end() -> None:
    text = 'He said: "Stop!" Then he left. Mr. Smith paid 3.5 dollars, e.g. in coins. Really?\n\nNew paragraph'
    assert list(sentences(text)) == [
        'He said: "Stop!"', "Then he left.", "Mr. Smith paid 3.5 dollars, e.g. in coins.", "Really?", "New paragraph",
    ]  # fmt: skip
    assert list(sentences("猫である。名前は「無い。」そう")) == ["猫である。", "名前は「無い。」", "そう"]


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize("text", ["one two three four five six seven", "a bb ccc " * 30, "One. Two, three. Four"])
def test_pieces_may_be_measured_otherwise_than_in_characters(text: str) -> None:
    cut = list(pieces(text, 3, words))
    assert all(0 < words(piece) <= 3 for piece in cut)
    assert " ".join(cut).split() == text.split()
    assert list(pieces("one long word", 0, lambda piece: 9)) == list("onelongword")  # no smaller piece there is
