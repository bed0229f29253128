"""Times of spoken words: the engine's, or an aligner's; whole and in streams, in place and isolated."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import (
    Audio,
    AudioChunk,
    LollmsTTSBindingManager,
    OptionError,
    UnsupportedError,
    Word,
    split_words,
)
from lollms_modalities.entry_points.metadata import entry_points_in
from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.media.words import Fitting, fitted

SUPPORT = Path(__file__).parent / "support"
NAMES = ("English", "Unknown", "Whole", "Knowing", "Partly")
# Knows the engine's time: a tenth of a second for each character.
ALIGNER = """
asked = []

class Even:
    def languages(self):
        return ("en", "pt-BR")

    def align(self, audio, text, language):
        from lollms_modalities import Word, current_call, split_words
        asked.append((text, language, audio.duration))
        current_call().check()
        at, words = 0, []
        for word in split_words(text):
            bare = len(word) - len(word.lstrip())
            words.append(Word(word, (at + bare) / 10, (at + len(word.rstrip())) / 10))
            at += len(word)
        return tuple(words)
"""
TEXT = "  Hello, big\tworld. It is 23 degrees - outside!  "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bindings as an installed distribution, that a worker finds, too."""
    folder = tmp_path_factory.mktemp("spoken") / "site"
    points = "\n".join(f"{name.lower()} = spoken_bindings:{name}TTSBinding" for name in NAMES)
    install(folder, "spoken", f"[lollms_client.tts_bindings]\n{points}\n")
    shutil.copy(SUPPORT / "spoken_bindings.py", folder)
    return folder


@pytest.fixture(params=[False, True], ids=["in place", "isolated"])
def opened(folder: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    made: list[Any] = []

    def make(name: str) -> Any:
        made.append(LollmsTTSBindingManager(folder).require_binding(name, isolated=request.param))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


@pytest.fixture
def no_aligner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In this process."""
    monkeypatch.setattr("lollms_modalities.contract.providers.read_entry_points", lambda group: [])
    refresh()
    yield
    refresh()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the aligner of this process was asked."""
    (tmp_path / "made_aligner.py").write_text(ALIGNER, "utf-8")
    install(tmp_path, "even-words", "[lollms_client.providers]\naligner = made_aligner:Even\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        "lollms_modalities.contract.providers.read_entry_points",
        lambda group: [entry for entry in entry_points_in(str(tmp_path)) if entry.group == group],
    )
    refresh()
    sys.modules.pop("made_aligner", None)
    import made_aligner  # type: ignore[import-not-found]

    yield made_aligner.asked
    sys.modules.pop("made_aligner", None)
    refresh()


def check(words: tuple[Word, ...], text: str = TEXT) -> None:
    """Each word at its place: a character lasts a tenth of a second."""
    assert "".join(word.text for word in words) == text
    at = 0
    for word in words:
        at += len(word.text)
        said = re.search(r"\w.*\w|\w", word.text)
        assert said is not None
        start = at - len(word.text) + said.start()
        assert word.start <= start / 10 + 0.001, word
        assert start / 10 <= word.end <= at / 10 + 0.001, word


@pytest.mark.parametrize("name", ["english", "whole", "knowing"])
def test_words_have_their_times_and_joined_they_are_the_text(opened: Any, asked: list[Any], name: str) -> None:
    tts = opened(name)
    audio = tts.generate_audio(TEXT, timestamps="word")
    check(audio.words)
    shown = [word.text.strip() for word in audio.words]
    assert shown == ["Hello,", "big", "world.", "It", "is", "23", "degrees", "- outside!"]
    assert audio.words[-1].end <= audio.duration + 0.001
    by = "engine" if name == "knowing" else "even-words"
    provenance = audio.provenance
    assert provenance.extra["words"]["by"] == by
    assert provenance.options["timestamps"] == "word"
    # Once, with all the sound, where it arrived.
    assert [duration for _, _, duration in asked] == ([] if by == "engine" else [pytest.approx(audio.duration)])


@pytest.mark.parametrize("name", ["english", "whole", "knowing"])
def test_a_stream_has_the_same_words(opened: Any, asked: list[Any], name: str) -> None:
    tts = opened(name)
    whole = tts.generate_audio(TEXT, timestamps="word")
    stream = tts.stream_audio(TEXT, timestamps="word")
    chunks = list(stream)
    for chunk in chunks:
        assert all(0 <= word.start <= chunk.duration for word in chunk.words)
    joined = Audio.from_chunks(chunks)
    check(joined.words)
    assert joined == whole
    assert [word.text for word in joined.words] == [word.text for word in whole.words]
    assert stream.provenance.extra["words"]["by"] == ("engine" if name == "knowing" else "even-words")
    assert stream.provenance.options["timestamps"] == "word"


def test_a_stream_gives_a_part_as_soon_as_its_words_can_be_known(opened: Any, asked: list[Any]) -> None:
    with opened("english").stream_audio("One two. Three four. Five.", timestamps="word") as stream:
        first = next(stream)
        assert [word.text for word in first.words] == ["One"]
        assert [text for text, _, _ in asked] == ["One two."]


def test_the_twin_and_a_file_have_them_too(opened: Any, asked: list[Any], tmp_path: Path) -> None:
    tts = opened("english")
    check(asyncio.run(tts.agenerate_audio(TEXT, timestamps="word")).words)

    async def streamed() -> Audio:
        return Audio.from_chunks([chunk async for chunk in tts.astream_audio(TEXT, timestamps="word")])

    check(asyncio.run(streamed()).words)
    for name in ("x.wav", "x.flac"):
        for which in ("english", "knowing"):
            audio = opened(which).generate_audio(TEXT, timestamps="word", output_path=tmp_path / name)
            assert audio.path == tmp_path / name
            check(audio.words)
    check(tts.generate_audio(TEXT, timestamps="word", output_format="flac").words)


@pytest.mark.parametrize("name", ["english", "knowing"])
def test_who_asks_for_none_gets_none_and_no_aligner_is_asked(opened: Any, asked: list[Any], name: str) -> None:
    tts = opened(name)
    for options in ({}, {"timestamps": "none"}, {"timestamps": None}):
        assert tts.generate_audio(TEXT, **options).words == ()
        assert all(chunk.words == () for chunk in tts.stream_audio(TEXT, **options))
    assert asked == []
    assert "words" not in tts.generate_audio(TEXT).provenance.extra


def test_without_an_aligner_it_is_refused_before_the_work(folder: Path, no_aligner: None) -> None:
    tts = LollmsTTSBindingManager(folder).require_binding("english")
    before = type(tts).spoken
    with pytest.raises(UnsupportedError, match=r"timestamps='word'.*lollms-client\[align\]"):
        tts.generate_audio(TEXT, timestamps="word")
    with pytest.raises(UnsupportedError, match=r"lollms-client\[align\]"):
        list(tts.stream_audio(TEXT, timestamps="word"))
    assert type(tts).spoken == before
    knowing = LollmsTTSBindingManager(folder).require_binding("knowing")
    check(knowing.generate_audio(TEXT, timestamps="word").words)  # which needs none


def test_where_the_program_has_no_aligner_the_worker_is_asked(folder: Path, no_aligner: None) -> None:
    """It may have one, as where lollms-align is installed; or it refuses before the work, as in place."""
    with LollmsTTSBindingManager(folder).require_binding("english", isolated=True) as tts:
        if importlib.util.find_spec("lollms_align") is None:
            with pytest.raises(UnsupportedError, match="timestamps='word'"):
                tts.generate_audio(TEXT, timestamps="word")
            return
        audio = tts.generate_audio(TEXT, timestamps="word")
        assert "".join(word.text for word in audio.words) == TEXT
        assert audio.provenance.extra["words"]["by"] == "lollms-align"


@pytest.mark.parametrize("voice", ["mute", "untold"])
def test_a_voice_whose_times_the_engine_does_not_know(
    opened: Any, asked: list[Any], tmp_path: Path, voice: str
) -> None:
    """The words are found where the speech arrives, whatever the worker's environment has."""
    tts = opened("partly")
    audio = tts.generate_audio(TEXT, voice, timestamps="word")
    check(audio.words)
    check(tts.generate_audio(TEXT, voice, timestamps="word", output_path=tmp_path / "said.flac").words)
    stream = tts.stream_audio(TEXT, voice, timestamps="word")
    check(Audio.from_chunks(stream).words)
    for provenance in (audio.provenance, stream.provenance):
        assert provenance.extra["words"]["by"] == "even-words"
        assert provenance.options["timestamps"] == "word"
    assert {language for _, language, _ in asked} == {"pt-PT" if voice == "mute" else "pt"}
    assert [text for text, _, _ in asked[:2]] == [TEXT, TEXT]
    assert [text for text, _, _ in asked[2:]] == ["Hello, big\tworld.", "It is 23 degrees - outside!"]
    assert tts.generate_audio(TEXT, voice).words == ()
    check(tts.generate_audio(TEXT, "flat", timestamps="word").words)
    assert len(asked) == 4


def test_a_voice_whose_times_nobody_knows(opened: Any, asked: list[Any]) -> None:
    tts = opened("partly")
    with pytest.raises(UnsupportedError, match="en, pt-BR only, not of 'fr'") as caught:
        tts.generate_audio("Oui.", "mute", timestamps="word")
    assert "lollms-client" not in str(caught.value.hint)
    with pytest.raises(UnsupportedError, match="not of 'fr'"):
        list(tts.stream_audio("Oui.", "mute", timestamps="word"))
    check(tts.generate_audio(TEXT, "mute", timestamps="word").words)


def test_a_stream_that_is_closed_while_its_worker_asks(folder: Path, asked: list[Any]) -> None:
    with LollmsTTSBindingManager(folder).require_binding("partly", isolated=True) as tts:
        stream = tts.stream_audio(TEXT, "late", timestamps="word")
        next(stream)
        pid = tts.worker_pid()
        stream.close()  # nobody answers the worker, which asks before its next part
        check(tts.generate_audio(TEXT, "mute", timestamps="word").words)
        assert tts.worker_pid() == pid


def test_a_worker_of_an_older_core_asks_nobody(folder: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_modalities.workers.protocol.MINOR", 1)
    with LollmsTTSBindingManager(folder).require_binding("partly", isolated=True) as tts:
        with pytest.raises(UnsupportedError, match="timestamps='word'"):
            tts.generate_audio(TEXT, "mute", timestamps="word")
        check(tts.generate_audio(TEXT, "flat", timestamps="word").words)


def test_a_language_that_the_aligner_lacks_is_refused_before_the_work(folder: Path, asked: list[Any]) -> None:
    tts = LollmsTTSBindingManager(folder).require_binding("unknown")
    before = type(tts).spoken
    with pytest.raises(UnsupportedError, match=r"en, pt-BR only, not of 'fr'"):
        tts.generate_audio(TEXT, timestamps="word", language="fr")
    assert type(tts).spoken == before
    for language in ("en-GB", "EN", "pt", None):
        check(tts.generate_audio(TEXT, timestamps="word", language=language).words)
    assert [language for _, language, _ in asked] == ["en-GB", "EN", "pt", None]


def test_a_wrong_value_and_a_word_of_help(opened: Any, asked: list[Any]) -> None:
    tts = opened("english")
    for wrong in ("segment", "", False, 0, [], {}):
        with pytest.raises(OptionError, match="'word' or 'none'"):
            tts.generate_audio(TEXT, timestamps=wrong)
    assert tts.supports("timestamps")
    assert tts.capabilities.timestamps == ()
    with pytest.raises(OptionError, match="timestamps"):
        tts.generate_audio(TEXT, timestamp="word")


def test_cancelled_while_the_words_are_looked_for(folder: Path, asked: list[Any]) -> None:
    from lollms_modalities import CallCancelled, CancelToken

    token = CancelToken()

    class Asked(list[Any]):
        def append(self, value: Any) -> None:
            token.cancel("enough")

    import made_aligner

    made_aligner.asked = Asked()
    with pytest.raises(CallCancelled, match="enough"):
        LollmsTTSBindingManager(folder).require_binding("english").generate_audio(TEXT, timestamps="word", cancel=token)


WORDS = (Word("Hi", 0.0, 0.5), Word(" there", 0.5, 1.0))


def test_what_is_made_of_an_audio_knows_its_words(tmp_path: Path) -> None:
    audio = Audio.from_pcm(bytes(2000), 1000).with_words(WORDS)
    for other in (
        copy.copy(audio),
        copy.deepcopy(audio),
        pickle.loads(pickle.dumps(audio)),
        audio.convert("flac"),
        audio.convert("wav"),
        audio.moved_to(tmp_path / "x.wav"),
        audio.moved_to(tmp_path / "x.flac"),
    ):
        assert other.words == WORDS
    chunk = AudioChunk.from_audio(audio, "Hi there")
    assert chunk.words == WORDS
    twice = Audio.from_chunks(iter([chunk, AudioChunk(bytes(1000), 1000), chunk]), output_format="flac")
    assert [(w.start, w.end) for w in twice.words] == [(0, 0.5), (0.5, 1), (1.5, 2), (2, 2.5)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello world", ["Hello", " world"]),
        (" - Hello,  world! \n", [" - Hello,", "  world! \n"]),
        ("«Oui», dit-il… non ?", ["«Oui»,", " dit-il…", " non ?"]),
        ("Fish & chips, $5 (50 %)", ["Fish", " &", " chips,", " $5", " (50", " %)"]),
        ("今日は、東京。", ["今", "日", "は、", "東", "京。"]),
        ("「今日」とWord", ["「今", "日」", "と", "Word"]),
        ("きゃットー", ["きゃッ", "トー"]),
        ("a — b", ["a", " — b"]),
        ("... !", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_words(text) == words
    if words:
        assert "".join(words) == text


def times(words: tuple[Word, ...]) -> list[tuple[str, float, float]]:
    return [(w.text, round(w.start, 3), round(w.end, 3)) for w in words]


def test_words_are_fitted_to_the_text() -> None:
    said = [Word("hello", 0, 1), Word("twenty", 1, 2), Word("three", 2, 3), Word("times", 3, 4)]
    assert times(fitted("Hello, 23 times.", said)) == [("Hello,", 0, 1), (" 23", 1, 3), (" times.", 3, 4)]
    said = [Word("On the", 0, 1), Word(" way", 1, 2)]
    assert times(fitted("On the way", said)) == [("On the", 0, 1), (" way", 1, 2)]
    said = [Word("onthe", 0, 1), Word("way", 1, 2)]
    assert times(fitted("on the way!", said)) == [("on", 0, 0.4), (" the", 0.4, 1), (" way!", 1, 2)]
    # What the engine does not tell lies between its neighbours.
    assert times(fitted("a b c", [Word("a", 0, 1), Word("c", 2, 3)])) == [("a", 0, 1), (" b", 1, 2), (" c", 2, 3)]
    assert times(fitted("x a", [Word("a", 1, 2)])) == [("x", 1, 1), (" a", 1, 2)]
    assert times(fitted("a x", [Word("a", 1, 2)])) == [("a", 1, 2), (" x", 2, 2)]
    assert fitted("...", [Word("a", 0, 1)]) == ()


def test_words_of_a_stream_are_fitted_part_by_part() -> None:
    fitting = Fitting(' "Hello", she said ... bye. ')
    assert times(fitting.next([Word("Hello", 0, 1), Word("she", 1, 2)]) or ()) == [(' "Hello",', 0, 1), (" she", 1, 2)]
    assert fitting.next([Word("nothing", 0, 1)]) is None
    assert times(fitting.next([Word("said", 0, 1)]) or ()) == [(" said", 0, 1)]
    assert times(fitting.next([Word("bye", 0, 1)]) or ()) == [(" ... bye. ", 0, 1)]


def test_marks_that_an_engine_tells_are_no_words() -> None:
    text = "... start ... end ?! "
    said = [Word(token, n, n + 1) for n, token in enumerate(text.split())]
    whole = [("... start", 1, 2), (" ... end ?! ", 3, 4)]
    assert times(fitted(text, said)) == whole
    fitting = Fitting(text)
    assert [told for word in said for told in times(fitting.next([word]) or ())] == whole


def test_words_of_a_stream_that_are_told_as_they_are_said_are_fitted_to_their_part() -> None:
    fitting = Fitting("In 1999, it was $5. - At 10:30 (or so)! ")
    said = [Word(token, n, n + 1) for n, token in enumerate("in nineteen ninety nine it was five dollars".split())]
    first = fitting.next(said, "In 1999, it was $5.") or ()
    assert times(first)[:3] == [("In", 0, 1), (" 1999,", 1, 4), (" it", 4, 5)]
    assert times(first)[3:] == [(" was", 5, 6), (" $5.", 6, 8)]
    assert fitting.next([Word("elsewhere", 0, 1)], "Somewhere else.") is None
    said = [Word(token, n, n + 1) for n, token in enumerate("at half past ten or so".split())]
    last = fitting.next(said, " At 10:30 (or so)!") or ()
    assert times(last) == [(" - At", 0, 1), (" 10:30", 1, 4), (" (or", 4, 5), (" so)! ", 5, 6)]
