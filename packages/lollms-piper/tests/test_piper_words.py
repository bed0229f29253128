"""Times of words, as the real voice knows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from lollms_modalities import Audio, UnsupportedError, split_words
from lollms_piper import PiperTTSBinding
from lollms_piper.durations import telling_durations
from lollms_piper.engine import load_voice, tells_durations
from lollms_piper.voices import packaged_voice

STILL = {"noise_scale": 0.0, "noise_w_scale": 0.0}
TEXT = (
    "  Hello there, on the way to Dr. Smith's at 23 Fish & Chips Street. It's the well-known U.S.A. in 1999, $5 and 50%!\n\n"
    "What? The apple — to be or not to be 😀, I've been (there). "
)


@pytest.fixture(scope="module")
def piper() -> Iterator[PiperTTSBinding]:
    with PiperTTSBinding() as binding:
        yield binding


@pytest.fixture(scope="module")
def spoken(piper: PiperTTSBinding) -> Audio:
    return piper.generate_audio(TEXT, timestamps="word", **STILL)


def loudness(audio: Audio, start: float, end: float) -> float:
    rate = audio.sample_rate
    part = audio.to_numpy()[round(start * rate) : round(end * rate)]
    return float(np.sqrt(np.mean(part**2))) if part.size else 0.0


def test_they_are_the_text_in_order_within_the_sound(spoken: Audio) -> None:
    assert "".join(word.text for word in spoken.words) == TEXT
    assert [w.text for w in spoken.words] == split_words(TEXT)
    ends = 0.0
    for word in spoken.words:
        assert ends <= word.start < word.end <= spoken.duration
        ends = word.end
    assert spoken.provenance is not None
    assert spoken.provenance.extra["words"] == {"by": "engine"}


def test_words_are_loud_and_what_is_between_sentences_is_not(spoken: Audio) -> None:
    long = [w for w in spoken.words if sum(map(str.isalpha, w.text)) > 3]
    assert all(loudness(spoken, w.start, w.end) > 0.03 for w in long)
    street = next(n for n, w in enumerate(spoken.words) if "Street" in w.text)
    pause = spoken.words[street].end, spoken.words[street + 1].start
    assert loudness(spoken, *pause) < median(loudness(spoken, w.start, w.end) for w in spoken.words) / 3


def test_what_is_long_to_say_takes_long(spoken: Audio) -> None:
    took = {w.text.strip(): w.end - w.start for w in spoken.words}
    assert took["1999,"] > took["23"] > took["at"]
    assert took["50%!"] > took["in"]


def test_they_cost_no_sound(piper: PiperTTSBinding, spoken: Audio) -> None:
    plain = piper.generate_audio(TEXT, **STILL)
    assert plain == spoken
    assert plain.words == ()


def test_a_stream_tells_the_same(piper: PiperTTSBinding, spoken: Audio) -> None:
    chunks = list(piper.stream_audio(TEXT, timestamps="word", **STILL))
    assert len(chunks) >= 3
    assert all(0 <= w.start < w.end <= chunk.duration + 1e-6 for chunk in chunks for w in chunk.words)
    joined = Audio.from_chunks(chunks)
    assert [w.text for w in joined.words] == [w.text for w in spoken.words]
    assert [w.start for w in joined.words] == pytest.approx([w.start for w in spoken.words])


def test_speed_and_silence_move_them(piper: PiperTTSBinding) -> None:
    text = "One two three. Four five six."
    slow, fast = (piper.generate_audio(text, timestamps="word", speed=s, **STILL) for s in (0.5, 1.0))
    assert slow.words[-1].start > 1.6 * fast.words[-1].start
    apart = piper.generate_audio(text, timestamps="word", sentence_silence=2.0, **STILL)
    assert [w.start for w in apart.words[:3]] == pytest.approx([w.start for w in fast.words[:3]])
    assert [w.start - 2 for w in apart.words[3:]] == pytest.approx([w.start for w in fast.words[3:]], abs=1e-4)


def test_phonemes_are_a_word_as_they_are_given(piper: PiperTTSBinding) -> None:
    text = "Say [[hɛlˈoʊ wˈɜːld]], please."
    audio = piper.generate_audio(text, timestamps="word", phonemes=True, **STILL)
    assert [w.text for w in audio.words] == ["Say", " [[hɛlˈoʊ wˈɜːld]],", " please."]
    as_text = piper.generate_audio("a [[b", timestamps="word", **STILL)
    assert "".join(w.text for w in as_text.words) == "a [[b"


@pytest.mark.parametrize(
    "text",
    ["Yes.", "23", "—yes—", "a" * 300, "no, no, no, no, no, no", "don't   stop", "x²+y² = 4π", "¿Qué? Ça va… Straße"],
)
def test_odd_texts(piper: PiperTTSBinding, text: str) -> None:
    audio = piper.generate_audio(text, timestamps="word")
    assert "".join(w.text for w in audio.words) == text
    assert all(0 <= w.start < w.end <= audio.duration for w in audio.words)
    assert all(before.end <= after.start for before, after in zip(audio.words, audio.words[1:], strict=False))


def test_a_voice_that_does_not_tell_needs_an_aligner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lollms_piper.engine.telling_durations", lambda path: None)
    monkeypatch.setattr("lollms_modalities.contract.providers.read_entry_points", lambda group: [])
    monkeypatch.setattr("lollms_modalities.contract.providers._made", (object(), {}))
    packaged = packaged_voice()
    assert packaged is not None
    for suffix in ("", ".json"):
        (tmp_path / f"mute.onnx{suffix}").write_bytes(Path(f"{packaged}{suffix}").read_bytes())
    with PiperTTSBinding(piper_voices_dir=tmp_path) as tts:
        with pytest.raises(UnsupportedError, match=r"lollms-client\[align\]"):
            tts.generate_audio("Hello.", timestamps="word")
        assert tts.generate_audio("Hello.").words == ()


def test_durations_of_what_is_no_voice(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    for content in (b"", b"\xff" * 20, b"no network at all", bytes([7 << 3 | 2, 100])):
        path.write_bytes(content)
        assert telling_durations(path) is None
    packaged = packaged_voice()
    assert packaged is not None
    told = telling_durations(packaged)
    assert told is not None
    path.write_bytes(told)
    assert telling_durations(path) is None, "it tells them already"


def test_durations_are_told_from_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = packaged_voice()
    assert packaged is not None
    exact = {"noise_scale": 0.0, "noise_w_scale": 0.0}
    monkeypatch.setattr("lollms_piper.engine._mute", set())
    with PiperTTSBinding(n_threads=3) as tts:  # a voice in memory that no other test has asked
        before = tts.generate_audio("Good morning.", **exact)
        voice = tts.model.get(packaged)
        assert len(voice.session.get_outputs()) == 1
        assert tts.generate_audio("Good morning.", timestamps="word", **exact).words
        assert tts.model.get(packaged) is voice
        assert len(voice.session.get_outputs()) == 2
        assert tts.generate_audio("Good morning.", **exact) == before
        session = voice.session
        assert tts.generate_audio("Good morning.", timestamps="word", **exact).words
        assert voice.session is session, "it is loaded once more, not each time"
    read: list[Path] = []
    monkeypatch.setattr("lollms_piper.engine.telling_durations", read.append)
    mute = load_voice(packaged, 1, False)
    assert not any(tells_durations(mute, packaged, 1, False) for _ in range(3))
    assert read == [packaged], "a voice that tells none is read once"
