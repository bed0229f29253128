"""Who speaks when, in conversations of real voices."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from conversation import RATE, Conversation, conversation, noisy, telephone, utterance
from diarization import diarization_errors
from lollms_modalities import Audio, CallCancelled, MediaError, Turn, provider
from lollms_modalities.calls.call import Call
from lollms_modalities.kit import resample
from lollms_speakers import SpeakerDiarizer

Samples = np.ndarray[Any, Any]

THREE = ("joe", "heart", "heart-15")


def heard(
    talk: Conversation | Samples, rate: int = RATE, *, speakers: int | None = None,
    known: Mapping[str, Audio] | None = None,
) -> tuple[Turn, ...]:  # fmt: skip
    samples = talk.samples if isinstance(talk, Conversation) else talk
    return SpeakerDiarizer().diarize(Audio.from_samples(samples, rate), num_speakers=speakers, known=known or {})


def names(turns: tuple[Turn, ...]) -> list[str]:
    return list(dict.fromkeys(turn.speaker for turn in turns))


@pytest.fixture(scope="module")
def talk() -> Conversation:
    return conversation(THREE, 45)


class TestConversations:
    def test_three_voices(self, talk: Conversation) -> None:
        turns = heard(talk)
        assert diarization_errors(talk.turns, turns).rate < 0.05
        assert names(turns) == ["speaker_1", "speaker_2", "speaker_3"]
        assert all(0 <= turn.start < turn.end <= talk.seconds for turn in turns)
        assert all(before.end <= after.start for before, after in pairwise(turns))

    def test_the_same_each_time(self, talk: Conversation) -> None:
        assert heard(talk) == heard(talk)

    @pytest.mark.parametrize("voice", ["joe", "heart"])
    def test_one_voice_is_one_speaker(self, voice: str) -> None:
        assert names(heard(conversation([voice], 40))) == ["speaker_1"]

    def test_as_many_as_are_told(self, talk: Conversation) -> None:
        assert [len(names(heard(talk, speakers=count))) for count in (1, 2, 3)] == [1, 2, 3]
        assert diarization_errors(talk.turns, heard(talk, speakers=3)).rate < 0.05
        assert 1 <= len(names(heard(conversation(["joe"], 5), speakers=40))) <= 40

    def test_voices_that_are_alike(self) -> None:
        alike = conversation(["joe", "joe+10"], 40)
        assert diarization_errors(alike.turns, heard(alike)).rate < 0.05

    def test_short_turns(self) -> None:
        short = conversation(["joe", "heart"], 30, longest=0.6, pauses=(0.3, 0.6))
        turns = heard(short)
        errors = diarization_errors(short.turns, turns)
        assert len(names(turns)) == 2
        assert errors.confusion < 0.05 * errors.spoken
        assert errors.rate < 0.25  # the edges of so short turns count for much

    def test_turns_without_a_pause(self) -> None:
        close = conversation(["joe", "heart"], 40, pauses=(0.0, 0.05))
        turns = heard(close)
        assert len(names(turns)) == 2
        assert diarization_errors(close.turns, turns).rate < 0.15

    def test_somebody_who_speaks_once(self) -> None:
        first = conversation(["joe"], 20)
        turns = heard(np.concatenate([first.samples, utterance("heart", 0), utterance("heart", 1)]))
        assert names(turns) == ["speaker_1", "speaker_2"]
        assert all((turn.speaker == "speaker_2") == (turn.start >= first.seconds - 0.1) for turn in turns)


class TestRecordings:
    def test_stereo_of_another_rate(self, talk: Conversation) -> None:
        stereo = resample(np.stack([talk.samples, talk.samples * np.float32(0.5)], axis=1), RATE, 44100)
        assert diarization_errors(talk.turns, heard(stereo, 44100)).rate < 0.05

    @pytest.mark.parametrize(
        ("through", "rate"), [(telephone, 8000), (lambda samples: noisy(samples, 15), RATE)], ids=["telephone", "noise"]
    )
    def test_of_less_quality(self, talk: Conversation, through: Any, rate: int) -> None:
        turns = heard(through(talk.samples), rate)
        errors = diarization_errors(talk.turns, turns)
        assert len(names(turns)) == 3
        assert errors.confusion < 0.05 * errors.spoken
        assert errors.rate < (0.05 if rate == 8000 else 0.15)

    @pytest.mark.parametrize("gain", [0.01, 1.0])
    def test_men_by_telephone(self, gain: float) -> None:
        """Voices that are alike, of whom most of what is low is missing, and soft ones."""
        talk = conversation(["joe", "joe-12", "heart"], 60)
        turns = heard(telephone(talk.samples) * np.float32(gain), 8000)
        errors = diarization_errors(talk.turns, turns)
        assert errors.missed < 0.05 * errors.spoken
        assert errors.rate < 0.06

    @pytest.mark.parametrize("gain", [0.02, 3.0])
    def test_soft_and_too_loud(self, talk: Conversation, gain: float) -> None:
        turns = heard(np.clip(talk.samples * np.float32(gain), -1, 1))
        assert diarization_errors(talk.turns, turns).rate < 0.08

    def test_where_nobody_speaks(self) -> None:
        times = np.arange(20 * RATE) / RATE
        chord = sum(np.sin(2 * np.pi * hertz * times) for hertz in (220.0, 277.2, 329.6)) * 0.1
        beat = (np.sin(2 * np.pi * 2 * times) > 0) * chord
        noise = np.random.default_rng(0).normal(size=20 * RATE) * 0.1
        for sound in (np.zeros(20 * RATE), beat, noise, np.zeros(1), np.full(100, 0.5)):
            assert heard(sound.astype(np.float32)) == ()

    def test_speech_between_music_and_silence(self) -> None:
        times = np.arange(10 * RATE) / RATE
        music = (np.sin(2 * np.pi * 261.6 * times) * 0.1).astype(np.float32)
        said = conversation(["joe"], 8)
        turns = heard(np.concatenate([music, said.samples, np.zeros(10 * RATE, np.float32)]))
        assert names(turns) == ["speaker_1"]
        assert turns[0].start > 9.5
        assert turns[-1].end < 10.5 + said.seconds


class TestKnownSpeakers:
    def test_names_come_out(self, talk: Conversation) -> None:
        joe, nobody = (Audio.from_samples(utterance(voice, 25), RATE) for voice in ("joe", "joe+30"))
        turns = heard(talk, known={"Joe": joe, "Nobody": nobody})
        assert set(names(turns)) == {"Joe", "speaker_1", "speaker_2"}
        assert diarization_errors(*(of(all_, name) for all_, name in ((talk.turns, "joe"), (turns, "Joe")))).rate < 0.05

    def test_a_number_that_is_a_name_is_not_given_to_another(self, talk: Conversation) -> None:
        turns = heard(talk, known={"speaker_1": Audio.from_samples(utterance("heart", 25), RATE)})
        assert set(names(turns)) == {"speaker_1", "speaker_2", "speaker_3"}
        assert diarization_errors(of(talk.turns, "heart"), of(turns, "speaker_1")).rate < 0.05

    def test_a_recording_without_speech(self, talk: Conversation) -> None:
        silence = Audio.from_samples(np.zeros(RATE, np.float32), RATE)
        with pytest.raises(MediaError, match="'Anna' holds no speech"):
            heard(talk, known={"Anna": silence})


def of(turns: Any, speaker: str) -> list[Turn]:
    return [turn for turn in turns if turn.speaker == speaker]


class TestAsAProvider:
    def test_it_is_found(self) -> None:
        found = provider("diarizer")
        assert isinstance(found.object, SpeakerDiarizer)
        assert found.distribution == "lollms-speakers"

    def test_it_tells_how_far_it_is_and_hears_when_it_is_to_stop(self) -> None:
        call, seen = Call("transcribe_audio"), []

        def sink(progress: Any) -> None:
            seen.append(progress)
            call.cancel("enough")

        call.control(sink, None, None)
        with call.attach(), pytest.raises(CallCancelled):
            heard(conversation(THREE, 120))
        (one,) = seen  # of several
        assert (one.stage, one.unit) == ("speakers", "s")
        assert 0 < one.done < one.total

    def test_several_threads_at_once(self, talk: Conversation) -> None:
        expected, results = heard(talk), []
        threads = [threading.Thread(target=lambda: results.append(heard(talk))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [expected] * 3
