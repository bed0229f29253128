"""Music from a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lollms_modalities import media
from lollms_modalities.errors import OptionError, UnsupportedError
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.inputs import untouched
from lollms_modalities.testing.prompts import differing_prompts
from lollms_modalities.testing.suite import Suite


class MusicTests(Suite):
    """What goes in is a prompt, what comes out sound."""

    verb = "generate_music"
    content = "prompt"
    default_sample: ClassVar[Mapping[str, Any]] = {"prompt": "a slow piano"}

    def variants(self) -> list[dict[str, Any]]:
        return [{"prompt": prompt} for prompt in ("a slow piano", "quick drums", "a choir")]

    @classmethod
    def other_values(cls, bound: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"duration": given["duration"] / 2 if "duration" in given else 0.7}

    def differing(self) -> list[list[dict[str, Any]]]:
        return differing_prompts(self.content)

    @applies(lambda suite: "duration" in suite.option_names())
    def test_it_lasts_as_long_as_was_asked(self, bound: Any) -> None:
        """Give ``duration`` to the engine, in seconds: as frames, tokens or milliseconds where it counts so."""
        for seconds in (0.6, 1.5, 2.4):
            made = self.call(bound, duration=seconds)
            contract(
                abs(made.duration - seconds) <= 0.25 + 0.2 * seconds,
                "Music lasts as long as was asked for, a fifth more or less.",
                "arguments",
                (seconds, made.duration),
            )

    @applies(lambda suite: "lyrics" in suite.option_names())
    def test_what_is_to_be_sung_is_heeded(self, bound: Any, result: Any) -> None:
        """Give ``lyrics`` to the engine; where its model sings nothing, raise an ``OptionError`` that says so."""
        try:
            sung = [self.call(bound, lyrics=words) for words in ("la", "[verse]\nover the hills and far away we go")]
        except (OptionError, UnsupportedError) as exc:
            contract("lyrics" in str(exc), "What sings nothing says so of the option lyrics.", "arguments", str(exc))
            return
        contract(
            not self.same(result, sung[1]) and not self.same(*sung),
            "What is to be sung decides what is heard.",
            "arguments",
        )
        contract(self.same(self.call(bound), result), "What one call was to sing is not left for the next.", "state")

    @crosses
    @applies(lambda suite: "audio" in suite.option_names() and "duration" in suite.option_names())
    def test_music_goes_on(self, bound: Any, tmp_path: Path) -> None:
        """Begin the result with ``audio`` where that is given, and let ``duration`` count it. Read ``audio`` only."""
        piece = self.call(bound)
        path = tmp_path / "piece.wav"
        path.write_bytes(media.read_media(piece))
        other = self.variants()[1]  # or the same would begin alike without having heard it
        with untouched(tmp_path):
            made = self.call(bound, **{**other, "audio": path, "duration": 2 * piece.duration})
        self.check(made)
        given, heard = piece.to_numpy().mean(axis=1), made.to_numpy().mean(axis=1)
        count = min(len(given), len(heard)) // 2
        contract(made.duration > piece.duration * 1.5, "Music that goes on is longer.", "arguments", made.duration)
        contract(
            made.sample_rate != piece.sample_rate or _alike(given[:count], heard[:count]) > 0.5,
            "Music that goes on begins with what was given.",
            "arguments",
        )

    @crosses
    @applies(lambda suite: {"audio", "start", "end"} <= {*suite.option_names()})
    def test_a_part_is_made_anew(self, bound: Any) -> None:
        """Derive the options from ``RepaintOptions``: what is outside ``start`` and ``end`` stays as it was."""
        piece = self.call(bound)
        third = piece.duration / 3
        other = self.variants()[1]
        made = self.call(bound, **{**other, "audio": piece, "start": third, "end": 2 * third})
        before, after = piece.to_numpy().mean(axis=1), made.to_numpy().mean(axis=1)
        contract(
            abs(made.duration - piece.duration) < 0.1 * piece.duration and made.sample_rate == piece.sample_rate,
            "Music of which a part is made anew is as long as it was.",
            "arguments",
            (made.duration, piece.duration),
        )
        edge = len(before) // 4
        contract(
            _alike(before[:edge], after[:edge]) > 0.9 and _alike(before[-edge:], after[-edge:]) > 0.9,
            "What is outside the part that is made anew stays as it was.",
            "arguments",
        )
        middle = slice(len(before) * 4 // 10, len(before) * 6 // 10)
        contract(
            not np.array_equal(before[middle], after[middle]), "The part from start to end is made anew.", "arguments"
        )
        for wrong in ({"start": 0.1}, {"end": 0.1}, {"audio": piece, "start": 0.2, "end": 0.1}):
            with raises(OptionError, "A part that is none is an OptionError.", "arguments"):
                self.call(bound, **wrong)


def _alike(one: Any, other: Any) -> float:
    """From -1 to 1: the cosine between two sounds; 1 of two silences."""
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size else float(np.array_equal(one, other))
