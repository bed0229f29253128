"""Who says what: options of every verb that transcribes, the words shared out, whole and in streams, in place and
isolated."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributions import install
from lollms_modalities import (
    Audio,
    AudioChunk,
    CallCancelled,
    CancelToken,
    LollmsSTTBindingManager,
    MediaError,
    OptionError,
    Segment,
    Turn,
    UnsupportedError,
    Word,
)
from lollms_modalities.contract.attribution import spoken_by
from lollms_modalities.entry_points.metadata import entry_points_in
from lollms_modalities.entry_points.refs import refresh

SUPPORT = Path(__file__).parent / "support"
NAMES = ("Words", "Segments", "Knowing")
# Anna asks until 1.5 s, and speaks again from 2.5 to 4 s.
DIARIZER = """
asked = []

class Known:
    def diarize(self, audio, *, num_speakers, known):
        from lollms_modalities import Turn, report_progress
        asked.append((audio.sample_rate, round(audio.duration, 2), num_speakers, {n: bytes(a) or a.path for n, a in known.items()}))
        for done in (1, 2):
            report_progress(done, 2, stage="speakers")
        first = next(iter(known), "speaker_1")
        return Turn(2.4, 4.0, first), Turn(0.1, 1.45, first), Turn(1.55, 2.0, "speaker_2"), Turn(4.0, 5.5, "speaker_2")

def failing():
    raise ValueError("no weights")
"""
SOUND = Audio.from_samples(np.zeros(6 * 16000, np.float32), 16000)
SAID = [
    ("Who is there?", "speaker_1", 0.0, 1.5),
    ("Nobody.", "speaker_2", 1.5, 2.0),
    ("Then go home now.", "speaker_1", 2.0, 4.0),
    ("I will not.", "speaker_2", 4.0, 5.5),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bindings as an installed distribution, that a worker finds, too."""
    folder = tmp_path_factory.mktemp("heard") / "site"
    points = "\n".join(f"{name.lower()} = heard_bindings:{name}STTBinding" for name in NAMES)
    install(folder, "heard", f"[lollms_client.stt_bindings]\n{points}\n")
    shutil.copy(SUPPORT / "heard_bindings.py", folder)
    return folder


@pytest.fixture(params=[False, True], ids=["in place", "isolated"])
def opened(folder: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    made: list[Any] = []

    def make(name: str) -> Any:
        made.append(LollmsSTTBindingManager(folder).require_binding(name, isolated=request.param))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


@pytest.fixture
def here(folder: Path) -> Callable[[str], Any]:
    """A binding of this process."""
    return lambda name: LollmsSTTBindingManager(folder).require_binding(name)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the diarizer of this process was asked."""
    (tmp_path / "made_diarizer.py").write_text(DIARIZER, "utf-8")
    install(tmp_path, "two-speakers", "[lollms_client.providers]\ndiarizer = made_diarizer:Known\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        "lollms_modalities.contract.providers.read_entry_points",
        lambda group: [entry for entry in entry_points_in(str(tmp_path)) if entry.group == group],
    )
    refresh()
    sys.modules.pop("made_diarizer", None)
    import made_diarizer  # type: ignore[import-not-found]

    yield made_diarizer.asked
    sys.modules.pop("made_diarizer", None)
    refresh()


@pytest.fixture
def no_diarizer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("lollms_modalities.contract.providers.read_entry_points", lambda group: [])
    refresh()
    yield
    refresh()


def told(segments: Any) -> list[tuple[str, str | None, float, float]]:
    return [(s.text, s.speaker, round(s.start, 2), round(s.end, 2)) for s in segments]


class TestWhatIsHeard:
    def test_a_segment_is_cut_where_the_speaker_changes(self, opened: Any, asked: list[Any]) -> None:
        made = opened("words").transcribe_audio(SOUND, diarize=True)
        assert told(made.segments) == SAID
        assert made.words == ()  # they were not asked for
        assert str(made) == " ".join(text for text, *_ in SAID)
        assert asked == [(16000, 6.0, None, {})]
        made_by = made.provenance.extra["speakers"]
        assert made_by.pop("version")
        assert made_by == {"by": "two-speakers", "found": ["speaker_1", "speaker_2"], "cut_at": "words"}
        assert made.provenance.options["diarize"] is True
        assert made.provenance.options["timestamps"] == "segment"

    def test_every_word_has_its_speaker(self, opened: Any, asked: list[Any]) -> None:
        made = opened("words").transcribe_audio(SOUND, diarize=True, timestamps="word")
        assert [w.speaker for w in made.words] == [
            *["speaker_1"] * 3, "speaker_2", *["speaker_1"] * 4, *["speaker_2"] * 3,
        ]  # fmt: skip
        assert all({w.speaker for w in s.words} == {s.speaker} for s in made.segments)

    def test_a_stream_gives_them_at_its_end(self, opened: Any, asked: list[Any]) -> None:
        stream = opened("words").stream_transcript(SOUND, diarize=True)
        assert told(stream) == SAID
        assert stream.provenance.extra["speakers"]["by"] == "two-speakers"

    def test_the_awaitable_twins(self, opened: Any, asked: list[Any]) -> None:
        binding = opened("words")

        async def both() -> Any:
            whole = await binding.atranscribe_audio(SOUND, diarize=True)
            return whole.segments, [s async for s in binding.astream_transcript(SOUND, diarize=True)]

        whole, streamed = asyncio.run(both())
        assert told(whole) == told(streamed) == SAID

    def test_an_engine_without_words_has_segments_of_one_speaker(self, opened: Any, asked: list[Any]) -> None:
        made = opened("segments").transcribe_audio(SOUND, diarize=True)
        assert [(s.text, s.speaker) for s in made.segments] == [
            ("Who is there? Nobody.", "speaker_1"),
            ("Then go home now. I will not.", "speaker_1"),
        ]
        assert made.provenance.extra["speakers"]["cut_at"] == "segments"

    def test_times_that_were_not_wanted_are_there_for_the_speakers(self, opened: Any, asked: list[Any]) -> None:
        made = opened("words").transcribe_audio(SOUND, diarize=True, timestamps="none")
        assert told(made.segments) == SAID

    def test_what_is_not_asked_for_is_not_done(self, opened: Any, asked: list[Any]) -> None:
        made = opened("words").transcribe_audio(SOUND, diarize=False)
        assert [s.speaker for s in made.segments] == [None, None]
        assert asked == []
        assert "speakers" not in made.provenance.extra

    def test_subtitles_have_the_names(self, here: Any, asked: list[Any]) -> None:
        made = here("words").transcribe_audio(SOUND, diarize=True, known_speakers={"Anna": SOUND})
        assert "<v Anna>Who is there?" in made.to_vtt()
        assert "<v speaker_2>Nobody." in made.to_vtt()
        assert "[Anna] Who is there?" in made.to_srt()
        assert [s["speaker"] for s in made.to_dict()["segments"]] == ["Anna", "speaker_2", "Anna", "speaker_2"]


class TestWhatTheProviderIsAsked:
    def test_how_many_and_who_is_known(self, opened: Any, asked: list[Any], tmp_path: Path) -> None:
        file = SOUND.save(tmp_path / "anna.wav")
        made = opened("words").transcribe_audio(
            SOUND, diarize=True, num_speakers=2, known_speakers={"Anna": file, "Bo": bytes(SOUND)}
        )
        assert asked == [(16000, 6.0, 2, {"Anna": file, "Bo": bytes(SOUND)})]
        assert [s.speaker for s in made.segments] == ["Anna", "speaker_2", "Anna", "speaker_2"]
        options = made.provenance.options
        assert (options["num_speakers"], options["known_speakers"]) == (2, ["Anna", "Bo"])

    def test_what_the_engine_decoded_is_not_decoded_again(self, here: Any, asked: list[Any], tmp_path: Path) -> None:
        from lollms_modalities.media import sound

        decoded = []
        original = sound._decode

        def counting(source: Any, *more: Any) -> Any:
            decoded.append(source)
            return original(source, *more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sound, "_decode", counting)
            here("words").transcribe_audio(SOUND.save(tmp_path / "a.flac"), diarize=True)
            assert len(decoded) == 1
            here("words").transcribe_audio(SOUND, diarize=True, rate=8000)  # too little to know a voice by
            here("segments").transcribe_audio(SOUND, diarize=True)  # decodes nothing
            assert len(decoded) == 4
        assert [a[:2] for a in asked] == [(16000, 6.0)] * 3

    def test_the_track_that_is_transcribed(self, here: Any, asked: list[Any]) -> None:
        with pytest.raises(OptionError, match="track=1"):
            here("words").transcribe_audio(SOUND, diarize=True, track=1, rate=8000)

    def test_progress_and_cancelling_reach_it(self, opened: Any, asked: list[Any]) -> None:
        token, seen = CancelToken(), []

        def sink(progress: Any) -> None:
            if progress.stage == "speakers":
                seen.append((progress.done, progress.total))
                token.cancel()

        with pytest.raises(CallCancelled):
            opened("words").transcribe_audio(SOUND, diarize=True, progress=sink, cancel=token)
        assert seen == [(1, 2)]


class TestWhatIsRefused:
    def test_without_a_provider_before_the_engine_works(self, here: Any, no_diarizer: None) -> None:
        binding = here("words")
        before = type(binding).calls
        for call in (binding.transcribe_audio, lambda *a, **k: list(binding.stream_transcript(*a, **k))):
            with pytest.raises(UnsupportedError, match=r"who speaks when") as caught:
                call(SOUND, diarize=True)
            assert 'pip install "lollms-client[speakers]' in str(caught.value)
        assert type(binding).calls == before
        binding.transcribe_audio(SOUND)
        assert type(binding).told["timestamps"] == "segment"

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"diarize": "perhaps"}, "diarize"),
            ({"diarize": True, "num_speakers": 0}, "num_speakers"),
            ({"diarize": True, "num_speakers": 1.5}, "num_speakers"),
            ({"diarize": True, "known_speakers": ["a.wav"]}, "known_speakers"),
            ({"diarize": True, "known_speakers": {"": SOUND}}, "known_speakers"),
            ({"diarize": True, "known_speakers": {"Anna": 3}}, "known_speakers"),
            ({"num_speakers": 2}, "num_speakers"),
            ({"diarize": False, "known_speakers": {"Anna": SOUND}}, "known_speakers"),
            ({"diarise": True}, "diarise"),
        ],
    )
    def test_wrong_options(self, opened: Any, asked: list[Any], options: dict[str, Any], named: str) -> None:
        with pytest.raises(OptionError, match=named) as caught:
            opened("words").transcribe_audio(SOUND, **options)
        assert named in caught.value.names
        assert asked == []

    def test_a_recording_that_is_not_there(self, here: Any, asked: list[Any]) -> None:
        with pytest.raises((MediaError, OptionError), match=r"anna\.wav"):
            here("words").transcribe_audio(SOUND, diarize=True, known_speakers={"Anna": "/nowhere/anna.wav"})
        assert asked == []

    def test_live_speech_has_no_end_to_wait_for(self, here: Any, asked: list[Any]) -> None:
        chunks = iter([AudioChunk(bytes(3200), 16000, 1)])
        with pytest.raises(UnsupportedError, match="whole recording"):
            list(here("words").transcribe_live(chunks, diarize=True))

    def test_an_engine_that_knows_speakers_is_asked_itself(self, here: Any, asked: list[Any]) -> None:
        binding = here("knowing")
        binding.transcribe_audio(SOUND, diarize=True)
        assert type(binding).told["diarize"] is True
        assert asked == []
        with pytest.raises(UnsupportedError, match="itself"):
            binding.transcribe_audio(SOUND, diarize=True, num_speakers=2)


class TestWords:
    TURNS = (Turn(0.0, 2.0, "a"), Turn(3.0, 5.0, "b"))

    def shared(self, *words: tuple[str, float, float], turns: tuple[Turn, ...] = TURNS) -> list[tuple[str, str | None]]:
        timed = tuple(Word(f" {text}", start, end) for text, start, end in words)
        text = "".join(word.text for word in timed).strip()
        segment = Segment(text, timed[0].start, timed[-1].end, timed, id="7", extra={"x": 1})
        parts = spoken_by(segment, turns)
        assert " ".join(part.text for part in parts) == text
        assert [(w.text, w.start) for part in parts for w in part.words] == [(w.text, w.start) for w in timed]
        assert all(word.speaker == part.speaker for part in parts for word in part.words)
        assert all(part.extra == {"x": 1} for part in parts)
        return [(part.text, part.speaker) for part in parts]

    def test_a_word_in_a_pause_goes_with_its_sentence(self) -> None:
        said = self.shared(("Go", 1.0, 1.5), ("away.", 2.7, 2.8), ("Me?", 2.8, 2.9), ("No.", 3.0, 3.4))
        # Alone in a pause: the nearest, though it is a sentence of its own.
        assert said == [("Go away.", "a"), ("Me? No.", "b")]

    def test_one_short_word_at_the_edge_of_a_sentence_is_no_turn(self) -> None:
        said = self.shared(("Who", 1.9, 2.0), ("are", 3.0, 3.2), ("you", 3.2, 3.4), ("now?", 3.4, 3.6))
        assert said == [("Who are you now?", "b")]
        said = self.shared(("Where", 1.0, 1.4), ("is", 1.4, 1.6), ("it?", 3.0, 3.2), ("Here.", 3.3, 3.6))
        assert said == [("Where is it?", "a"), ("Here.", "b")]

    def test_a_sentence_that_the_other_ends_is_cut(self) -> None:
        said = self.shared(("I", 1.0, 1.1), ("am", 1.1, 1.3), ("a", 3.0, 3.2), ("doctor.", 3.2, 3.8))
        assert said == [("I am", "a"), ("a doctor.", "b")]

    def test_who_speaks_longest_meanwhile(self) -> None:
        turns = (Turn(0, 0.4, "a"), Turn(0.4, 1.0, "b"), Turn(0.9, 1.2, "a"))
        assert self.shared(("Hm.", 0.0, 1.2), turns=turns) == [("Hm.", "a")]

    def test_nobody(self) -> None:
        assert self.shared(("Hm.", 0.0, 1.2), turns=()) == [("Hm.", None)]
