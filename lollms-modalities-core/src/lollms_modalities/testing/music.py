"""Music from a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lollms_modalities.testing.contract import applies, contract
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
