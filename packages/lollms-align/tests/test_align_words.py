"""Words found in real speech: Piper's, which knows better."""

from __future__ import annotations

import threading
from statistics import median
from typing import Any

import numpy as np
import pytest
from harvard import HARVARD
from lollms_align import EnglishAligner
from lollms_modalities import (
    Audio,
    AudioChunk,
    Capabilities,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    UnsupportedError,
    Word,
    provider,
)

ODD = (
    "Hello there, on the way to Dr. Smith's at 23 Fish & Chips Street. It's the well-known U.S.A. in 1999, $5 and 50%! "
    "The kubernetes cluster of Wozniak runs since 2024: the 21st of May at 10:30, or 3.14 — that is (nearly) it."
)


@pytest.fixture(scope="module")
def piper() -> Any:
    with LollmsTTSBindingManager().require_binding("piper") as binding:
        yield binding


@pytest.fixture(scope="module")
def aligner() -> EnglishAligner:
    return EnglishAligner()


@pytest.fixture(scope="module")
def harvard(piper: Any) -> Audio:
    return speak(piper, HARVARD)


def speak(piper: Any, text: str) -> Audio:
    return piper.generate_audio(text, timestamps="word", noise_scale=0, noise_w_scale=0)  # type: ignore[no-any-return]


def check(words: tuple[Word, ...], text: str, audio: Audio) -> None:
    assert "".join(word.text for word in words) == text
    end = 0.0
    for word in words:
        assert end <= word.start <= word.end <= audio.duration
        end = word.end


def apart(words: tuple[Word, ...], others: tuple[Word, ...]) -> list[float]:
    assert [w.text for w in words] == [w.text for w in others]
    return [abs(a.start - b.start) for a, b in zip(words, others, strict=True)]


def test_it_is_the_registered_provider() -> None:
    found = provider("aligner")
    assert isinstance(found.object, EnglishAligner)
    assert found.distribution == "lollms-align"


def test_piper_and_an_aligner_that_piper_does_not_use_agree(aligner: EnglishAligner, harvard: Audio) -> None:
    words = aligner.align(harvard, HARVARD, "en")
    check(words, HARVARD, harvard)
    differences = apart(words, harvard.words)
    assert median(differences) < 0.08
    assert max(differences) < 0.3
    assert median(abs(a.end - b.end) for a, b in zip(words, harvard.words, strict=True)) < 0.08


def test_numbers_marks_abbreviations_and_unknown_words(aligner: EnglishAligner, piper: Any) -> None:
    audio = speak(piper, ODD)
    words = aligner.align(audio, ODD, "en-US")
    check(words, ODD, audio)
    assert median(apart(words, audio.words)) < 0.08
    assert max(apart(words, audio.words)) < 0.4
    assert all(word.end > word.start for word in words)


def test_a_long_text_is_found_window_by_window(aligner: EnglishAligner, harvard: Audio) -> None:
    audio = Audio.from_chunks([AudioChunk.from_audio(harvard)] * 2)
    text = f"{HARVARD} {HARVARD}"
    words = aligner.align(audio, text, "en")
    check(words, text, audio)
    assert median(abs(w.start - o.start) for w, o in zip(words, audio.words, strict=True)) < 0.08
    assert all(word.probability is None for word in words)


def test_the_same_word_again_and_again(aligner: EnglishAligner, piper: Any) -> None:
    text = "No. No, no. Yes. No, no, no. Yes, yes. No."
    audio = speak(piper, text)
    words = aligner.align(audio, text, "en")
    check(words, text, audio)
    assert max(apart(words, audio.words)) < 0.2


def test_a_sentence_that_is_not_said_is_found_out(aligner: EnglishAligner, piper: Any) -> None:
    text = "First sentence here. The second one is missing entirely. And the third is said."
    audio = speak(piper, "First sentence here. And the third is said.")
    words = aligner.align(audio, text, "en")
    check(words, text, audio)
    assert [w.probability for w in words] == [None] * 3 + [0.0] * 6 + [None] * 5
    assert apart(words[:3] + words[9:], audio.words)[-1] < 0.1


def test_a_recording_that_ends_early_and_one_that_goes_on(aligner: EnglishAligner, piper: Any) -> None:
    audio = speak(piper, "The birch canoe slid on the smooth planks.")
    text = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."
    words = aligner.align(audio, text, "en")
    check(words, text, audio)
    assert [w.probability for w in words] == [None] * 8 + [0.0] * 8
    words = aligner.align(audio, "The birch canoe.", "en")
    check(words, "The birch canoe.", audio)
    assert words[-1].start < 1.0


@pytest.mark.parametrize("seconds", [0.0001, 3.0, 40.0])
def test_silence_and_noise_hold_no_words_and_do_no_harm(aligner: EnglishAligner, seconds: float) -> None:
    text = "One two three. Four five."
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16000) + 1).astype(np.float32)
    for sound in (np.zeros_like(noise), noise):
        audio = Audio.from_samples(sound, 16000)
        words = aligner.align(audio, text, "en")
        check(words, text, audio)
        if not sound.any():
            assert [word.probability for word in words] == [0.0] * 5


def test_characters_that_cannot_be_pronounced(aligner: EnglishAligner, piper: Any) -> None:
    audio = speak(piper, "Hello world.")
    words = aligner.align(audio, "Hello 日本 world.", "en")
    check(words, "Hello 日本 world.", audio)
    assert words[-1].end > words[-1].start
    assert aligner.align(audio, "... !", "en") == ()


def test_other_languages_are_refused(aligner: EnglishAligner) -> None:
    audio = Audio.from_pcm(bytes(32000), 16000)
    for language in ("fr", "de-DE", "eng"):
        with pytest.raises(UnsupportedError, match=language):
            aligner.align(audio, "Hello.", language)
    for text in (
        "Le chat est assis sur une chaise devant la fenêtre, bonjour monsieur.",
        "Привет, как дела у вас сегодня, мои друзья?",
    ):
        with pytest.raises(UnsupportedError, match="does not look like English"):
            aligner.align(audio, text, None)
    assert aligner.align(audio, "It was the best of times, it was the worst of times.", None)


def test_several_threads_ask_at_once(aligner: EnglishAligner, piper: Any) -> None:
    text = "The birch canoe slid on the smooth planks."
    audio = speak(piper, text)
    expected = aligner.align(audio, text, "en")
    found: list[tuple[Word, ...]] = []
    threads = [threading.Thread(target=lambda: found.append(aligner.align(audio, text, "en"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


class MuteTTSBinding(LollmsTTSBinding):
    """Speaks with another binding, and tells no times."""

    voice: Any = None
    capabilities = Capabilities(languages=("en",))

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio(bytes(self.voice.generate_audio(text, noise_scale=0, noise_w_scale=0)))

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def test_a_binding_that_tells_no_times_has_them(piper: Any) -> None:
    tts = MuteTTSBinding()
    tts.voice = piper
    text = "Lollms is spoken by zzyzxx. The birch canoe slid on the smooth planks."
    audio = tts.generate_audio(text, timestamps="word")
    check(audio.words, text, audio)
    assert audio.provenance is not None
    assert audio.provenance.extra["words"]["by"] == "lollms-align"
    assert audio.provenance.extra["alignment"] == {"guessed": ["lollms", "zzyzxx"]}
    (chunk,) = tts.stream_audio(text, timestamps="word")
    assert chunk.words == audio.words
