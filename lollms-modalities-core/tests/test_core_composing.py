"""Common names of what music may be asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lollms_examples.ttm import RATE, ChordTTMBinding
from lollms_modalities import (
    Audio,
    CallOptions,
    LollmsTTMBinding,
    LollmsTTMBindingManager,
    Lyrics,
    NegativePrompt,
    OptionError,
    RepaintOptions,
)


@pytest.fixture
def piece() -> Audio:
    return ChordTTMBinding().generate_music("a piano", seed=1, duration=2)


def samples(audio: Audio) -> np.ndarray[Any, Any]:
    return audio.to_numpy()[:, 0]


def test_music_goes_on(piece: Audio) -> None:
    chord = ChordTTMBinding()
    made = chord.generate_music("drums", seed=1, duration=3, audio=piece)
    assert made.duration == 3
    assert np.array_equal(samples(made)[: 2 * RATE], samples(piece))
    assert np.abs(samples(made)[2 * RATE :]).max() > 0.1
    with pytest.raises(OptionError, match="duration counts it"):
        chord.generate_music("drums", duration=2, audio=piece)


@pytest.mark.parametrize(
    ("given", "begin", "end"), [({"start": 0.5, "end": 1}, 0.5, 1), ({"start": 1.5}, 1.5, 2), ({"end": 0.5}, 0, 0.5)]
)
def test_a_part_is_made_anew(piece: Audio, given: dict[str, float], begin: float, end: float) -> None:
    made = ChordTTMBinding().generate_music("drums", seed=1, audio=piece, **given)
    assert made.duration == 2
    differs = np.flatnonzero(samples(made) != samples(piece))
    assert differs.min() >= begin * RATE
    assert differs.max() < end * RATE
    assert len(differs) > 0.9 * (end - begin) * RATE
    assert made.provenance is not None
    assert {name: made.provenance.options[name] for name in given} == given


def test_lyrics_and_what_it_should_not_be() -> None:
    chord = ChordTTMBinding()
    plain = chord.generate_music("a piano", seed=1)
    assert chord.generate_music("a piano", seed=1, lyrics="la la la") != plain
    assert chord.generate_music("a piano", seed=1, negative_prompt="a piano") != plain
    assert chord.generate_music("a piano", seed=1, lyrics="", negative_prompt="") == plain


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"start": 0.5}, "start.*give audio"), ({"end": 0.5}, "end.*give audio"),
     ({"audio": True, "start": 1, "end": 1}, "end.*after start"), ({"audio": True, "start": 1, "end": 0.5}, "after start"),
     ({"audio": True, "start": -1}, "start"), ({"audio": True, "end": 0}, "end"),
     ({"audio": True, "start": float("nan")}, "start"), ({"audio": True, "start": 5}, "2.00 s"),
     ({"audio": True, "end": 5}, "2.00 s"), ({"lyrics": "x" * 20_001}, "lyrics")],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_parts_that_are_none(piece: Audio, wrong: dict[str, Any], said: str) -> None:
    given = {**wrong, "audio": piece} if wrong.get("audio") else wrong
    with pytest.raises(OptionError, match=said):
        ChordTTMBinding().generate_music("drums", **given)


class Sings(LollmsTTMBinding):
    class Options(RepaintOptions):
        lyrics: Lyrics = None
        negative_prompt: NegativePrompt = ""

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        self.given = kwargs
        return Audio.from_pcm(bytes(200), 8000)

    def list_models(self, **kwargs: Any) -> list[str]:
        return []


def test_the_names_are_options_like_any(piece: Audio) -> None:
    sings = Sings()
    sings.generate_music("x", audio=piece, start=0, end=1, lyrics="la", negative_prompt="drums")
    assert sings.given == {"audio": piece, "start": 0, "end": 1, "lyrics": "la", "negative_prompt": "drums"}
    sings.generate_music("x")
    assert sings.given == {"audio": None, "start": None, "end": None, "lyrics": None, "negative_prompt": ""}
    rows = {row["name"]: row for row in sings.get_options()}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "audio": "media", "start": "plain", "end": "plain", "lyrics": "plain", "negative_prompt": "plain",
    }  # fmt: skip
    assert (rows["start"]["min"], rows["end"]["min"], rows["end"]["min_excluded"]) == (0, 0, True)
    assert all(sings.supports(name) for name in rows)


def test_an_engine_without_them_says_so() -> None:
    class Hums(Sings):
        class Options(CallOptions):
            pass

    for name, said in (("lyrics", "prompt"), ("audio", "audio"), ("start", "start")):
        with pytest.raises(OptionError, match=said):
            Hums().generate_music("x", **{name: "x"})
        assert not Hums().supports(name)


def test_isolated(piece: Audio) -> None:
    with LollmsTTMBindingManager().require_binding("example", isolated=True) as far:
        given: dict[str, Any] = {"seed": 1, "audio": piece, "start": 0.5, "end": 1.0}
        assert far.generate_music("drums", **given) == ChordTTMBinding().generate_music("drums", **given)
        with pytest.raises(OptionError, match="give audio"):
            far.generate_music("drums", start=1)
