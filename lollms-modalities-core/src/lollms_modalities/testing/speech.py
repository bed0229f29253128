"""Speech from text."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

from lollms_modalities import media
from lollms_modalities.testing.contract import applies, contract, crosses
from lollms_modalities.testing.looks import alike_at_the_end
from lollms_modalities.testing.suite import Suite

TEXT = "One sentence of a test. And another one."


class SpeechTests(Suite):
    """What goes in is text, what comes out sound."""

    verb = "generate_audio"
    stream_verb: ClassVar[str] = "stream_audio"
    content = "text"
    name_argument = "voice"
    default_sample: ClassVar[Mapping[str, Any]] = {"text": TEXT}
    long_sample: ClassVar[Mapping[str, Any]] = {"text": TEXT * 20}
    words: ClassVar[str] = "one two three four five "
    """Words without a full stop. Of an engine that takes one time for any piece of text, as long as a piece."""

    @classmethod
    def other_values(cls, bound: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        used = given.get("voice") or getattr(bound.settings, "default_voice", None)
        voices = [voice for voice in bound.list_voices() if voice != used]
        field = cls.binding.options_class().model_fields.get("speed")
        highest = min((getattr(m, "le", 2.0) for m in field.metadata), default=2.0) if field else 1.0
        return {"speed": min(1.7, highest), **({"voice": voices[-1]} if voices else {})}

    @classmethod
    def little(cls) -> dict[str, Any]:
        return {cls.content: "One of a test."}

    def differing(self) -> list[list[dict[str, Any]]]:
        start = "This is how each begins, with the same words and up to here. So on. "
        ends = ("Yes.", "And now this one ends in quite another way.")
        beginnings = ("Otherwise it is. ", "A beginning that takes a little longer. ")
        groups = ([start + end for end in ends], [beginning + start for beginning in beginnings])
        return [[{self.content: text} for text in group] for group in groups]

    def variants(self) -> list[dict[str, Any]]:
        return [{"text": f"{word} of a test."} for word in ("One", "Twenty seven", "A", "The very last line")]

    def joined(self, items: list[Any]) -> Any:
        return media.Audio.from_chunks(items).to_numpy().tobytes()

    def comparable(self, result: Any) -> Any:
        return result.to_numpy().tobytes()

    @crosses
    def test_chunks_are_what_they_say(self, bound: Any, result: Any) -> None:
        """Give all parts of a stream the engine's one rate, also a pause between them."""
        chunks = list(getattr(bound, self.stream_verb)(**self.arguments()))
        for chunk in chunks:
            contract(type(chunk) is media.AudioChunk, "A stream of sound gives AudioChunk.", "streams", type(chunk))
            contract(
                (chunk.sample_rate, chunk.channels) == (result.sample_rate, result.channels),
                "Each part of a stream has the rate and channels of the whole.",
                "streams",
                chunk.sample_rate,
            )

    def test_listed_voices_speak(self, bound: Any) -> None:
        """List only the voices that are there; a voice that must be fetched first is no voice yet."""
        voices = bound.list_voices()
        for voice in dict.fromkeys((*voices[:2], *voices[-1:])):
            self.check(self.call(bound, voice=voice))

    def test_voices_differ(self, bound: Any) -> None:
        """Give ``voice`` to the engine. Where a cache or a style is kept, the voice belongs to its key."""
        voices = bound.list_voices()[:3]
        if len(voices) < 2:
            return
        first, *others = [self.call(bound, voice=voice) for voice in voices]
        contract(
            any(not self.same(first, other) for other in others), "Another voice sounds otherwise.", "arguments", voices
        )
        contract(
            any(not alike_at_the_end(first, other) for other in others),
            "Another voice sounds otherwise to the end of a text.",
            "arguments",
            voices,
        )

    @applies(lambda suite: "speed" in suite.option_names())
    def test_faster_is_shorter(self, bound: Any) -> None:
        """Give ``speed`` to the engine as it wants it, with each sentence: 2.0 is twice as fast. Some engines want its
        inverse."""
        field = self.binding.options_class().model_fields["speed"]
        bounds = {
            kind: getattr(m, kind) for m in field.metadata for kind in ("ge", "gt", "le", "lt") if hasattr(m, kind)
        }
        highest = min((bounds[kind] for kind in ("le", "lt") if kind in bounds), default=2.0)
        lowest = max((bounds[kind] for kind in ("ge", "gt") if kind in bounds), default=0.5)
        fast, slow = min(2.0, 1 + 0.95 * (highest - 1)), max(0.6, 1 - 0.95 * (1 - lowest))
        text = {self.content: "These are some words. Here are a few others. And the last of them are said now."}
        normal = self.call(bound, **text, speed=1.0).duration
        for speed, times, way in ((fast, fast, "shorter"), (slow, 1 / slow, "longer")):
            if times < 1.2:
                continue  # an engine of few speeds
            other = self.call(bound, **text, speed=speed).duration
            found = normal / other if speed > 1 else other / normal
            contract(
                1 + 0.4 * (times - 1) <= found <= 1 + 3 * (times - 1),
                f"With speed={speed:g} speech is {way}, by about that much.",
                "arguments",
                f"{normal:.2f} s and {other:.2f} s",
            )

    def test_every_sentence_is_spoken(self, bound: Any) -> None:
        """Speak all of the text: ``kit.sentences`` and ``kit.pieces`` cut it, and each piece is spoken in its turn."""
        sentences = (
            "It is one.",
            "Is here two?",
            "Now three!",
            "Four goes on; and so it does.",
            "Five (of them) - are 'here'.",
            "And the last is six.",
        )
        texts = [" ".join(sentences[:n]) for n in (1, 3, 5)]
        texts.append(" ".join(sentences).removesuffix("."))  # what comes after the last full stop is text, too
        lengths = [self.call(bound, **{self.content: text}).duration for text in texts]
        steps = [after - before for before, after in pairwise(lengths)]
        contract(
            all(step > 0.15 * lengths[0] for step in steps),
            "Each sentence that is added to a text makes its speech longer.",
            "arguments",
            [round(length, 2) for length in lengths],
        )
        # Without full stops, and on several lines, it is as long.
        line = self.words.strip() + "\n"
        ways = (self.words, self.words * 4, f"{line * 2}\n{line * 2}")
        short, long, lines = (self.call(bound, **{self.content: text}).duration for text in ways)
        contract(
            min(long, lines) > 2.5 * short,
            "A long text without full stops is spoken to its end, and so is one of many lines and paragraphs.",
            "arguments",
            [round(length, 2) for length in (short, long, lines)],
        )

    def test_parts_of_a_stream_tell_their_text(self, bound: Any) -> None:
        """Give each ``AudioChunk`` the text that is spoken in it, all of it and in order, or no text at all."""
        text = "One of two. And another, which is the second."
        parts = [part.text for part in getattr(bound, self.stream_verb)(**self.arguments(**{self.content: text}))]
        said = _letters("".join(parts))
        contract(
            not said or said == _letters(text),
            "The parts of a stream tell their text, together all of it.",
            "streams",
            parts,
        )


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
