"""Text that goes in: to be spoken, or as a prompt."""

from __future__ import annotations

from typing import Any

from lollms_modalities.errors import LollmsError, OptionError
from lollms_modalities.testing.contract import contract, raises, works
from lollms_modalities.testing.suite import Suite


class PromptTests(Suite):
    """Text that goes in."""

    content = "text"

    def test_text_in_other_scripts(self, bound: Any) -> None:
        """Encode text as UTF-8; what the engine cannot say is left out, or is an ``OptionError`` before any work."""
        for text in ("Zażółć gęślą jaźń, 你好, привет, 🎵 hello.", "e\u0301 \u200b\u202e hello"):
            with works("Text in any script is taken.", "results"):
                self.check(self.call(bound, **{self.content: text}))

    def test_a_long_text_is_taken_whole(self, bound: Any) -> None:
        """Cut a long text into pieces that the engine can do (``kit.pieces``), or tell its limit:
        ``limits={"max_text": ...}``."""
        sentence = "A long text is taken whole, up to the limit that the capabilities tell."
        text = "This is a sentence of a long text. " * 20
        limit = int(self.capabilities().limits.get("max_text") or len(text))
        with works(sentence, "results"):
            made = self.call(bound, **{self.content: text[:limit]})
        self.check(made)
        if self.content == "text" and limit >= len(text):
            half = self.call(bound, **{self.content: text[: len(text) // 2]})
            contract(made.duration > 1.6 * half.duration, sentence, "results", (half.duration, made.duration))

    def test_text_that_is_none(self, bound: Any) -> None:
        """Leave the checks of the text to the core: it has done them when your verb is called."""
        for text in ("", "   \n"):
            # A prompt may be empty where the engine can do without; there is no saying nothing.
            try:
                self.check(self.call(bound, **{self.content: text}))
                said = True
            except LollmsError as exc:
                said = not isinstance(exc, OptionError)
            contract(
                self.content != "text" or not said, "Text with nothing to say is an OptionError.", "hostile-input", text
            )
        with raises((OptionError, TypeError), "A text that is no str is an error.", "hostile-input"):
            self.call(bound, **{self.content: 17})


def differing_prompts(name: str) -> list[list[dict[str, Any]]]:
    """Prompts that differ at their end behind what is alike, and at their beginning; for encoders of 77 tokens."""
    alike = "a quiet picture of a house near the sea in the early morning, with a garden and a path"
    others = ("an old red boat", "three white birds that fly above it", "snow", "a tower")
    groups = ([f"{alike}, {other}" for other in others], [f"{other}, {alike}" for other in others])
    return [[{name: prompt} for prompt in group] for group in groups]
