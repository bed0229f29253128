"""What engines of speech need to tell when a word is said: phonemes of words, and numbers that a network keeps."""

from __future__ import annotations

import pytest
from lollms_modalities.kit import WordSpan, read_onnx_graph, with_onnx_output, word_spans
from lollms_modalities.kit.phoneme_words import fewest_changes


def test_the_fewest_changes() -> None:
    def pairs(expected: str, heard: str) -> list[str]:
        return ["-" if n is None else expected[n] for n in fewest_changes(expected, heard)]

    assert pairs("abc", "abc") == ["a", "b", "c"]
    assert pairs("abc", "abxc") == ["a", "b", "-", "c"]
    assert pairs("abxc", "abc") == ["a", "b", "c"]
    assert pairs("", "abc") == ["-"] * 3
    assert pairs("abc", "") == []
    assert pairs("ðəæpəl" * 60, "ðɪæpəl" * 60) == list("ðəæpəl" * 60)


def test_words_that_are_joined_and_marks_that_are_not_heard() -> None:
    tokens = ["on", " the", " —", " mat!"]
    alone = [["ˈɔn"], ["ðə"], [""], ["mˈæt!"]]
    assert word_spans(tokens, alone, ["ɔnðə mˈæt!"]) == [
        WordSpan("on", 0, 0, 1),
        WordSpan(" the —", 0, 2, 3),
        WordSpan(" mat!", 0, 5, 8),
    ]
    assert word_spans(["— a"], [["ɐ"]], [["ɐ"]]) == [WordSpan("— a", 0, 0, 0)]
    assert word_spans(["—"], [[""]], ["—"]) == []


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def node(made: str, kind: str) -> bytes:
    return field(1, field(1, b"x") + field(2, made.encode()) + field(4, kind.encode()))


def test_a_network_gives_what_it_kept() -> None:
    model = field(2, b"a producer") + field(7, node("kept", "Ceil") + node("y", "Add") + field(12, field(1, b"y")))
    graph = read_onnx_graph(model)
    assert (graph.made, graph.outputs) == ({"kept": "Ceil", "y": "Add"}, ("y",))
    more = read_onnx_graph(with_onnx_output(model, "kept"))
    assert (more.made, more.outputs) == (graph.made, ("y", "kept"))
    renamed = read_onnx_graph(with_onnx_output(model, "kept", "duration"))
    assert (renamed.made["duration"], renamed.outputs) == ("Identity", ("y", "duration"))


@pytest.mark.parametrize("content", [b"\xff" * 20, b"no network at all", bytes([7 << 3 | 2, 100])])
def test_what_is_no_network(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"early|wire type"):
        read_onnx_graph(content)
