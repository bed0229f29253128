"""Times of spoken words, in a call that asked for them: the engine's own, else those that an aligner finds.

It is done where the speech arrives: a binding in another process is not sent back what it made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.call import CURRENT
from lollms_modalities.contract.providers import Provider, provider
from lollms_modalities.errors import OptionError, UnsupportedError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.chunk import AudioChunk
    from lollms_modalities.media.transcript import Word

TIMES = ("none", "word")

# In a process that runs a binding for another: asks that one to find the words of a text in a language, whose result is
# on its way there. It gives the name and the version of the distribution that does it, or raises ``UnsupportedError``.
Elsewhere = Callable[[str, str | None], tuple[str, str]]
ELSEWHERE: ContextVar[Elsewhere | None] = ContextVar("lollms_aligns_elsewhere", default=None)


def word_aligner(language: str | None = None) -> Provider:
    """The installed aligner, for speech in a language. Call it before the work where the engine tells no times.

    In an isolated binding it is the one where the speech arrives, if there is none here; that finds no words here.

    Args:
        language: language tag of the text, such as "en-US"; None where it is not known.

    Raises:
        UnsupportedError: none is installed, or it does not know the language.
    """
    call = CURRENT.get()
    # Engine code knows what it speaks better than its caller.
    step = call.step if call is not None and isinstance(call.step, Spoken) else None
    try:
        found = _installed(language)
    except UnsupportedError:
        if step is None or (there := step.left_to(language)) is None:
            raise
        return there
    if step is not None:
        step.language = language or step.language
    return found


def _installed(language: str | None) -> Provider:
    try:
        found = provider("aligner")
    except UnsupportedError as exc:
        raise UnsupportedError(f"timestamps='word': this engine tells no times. {exc.message}", hint=exc.hint) from exc
    known: tuple[str, ...] = tuple(found.object.languages())
    if language is not None and _primary(language) not in set(map(_primary, known)):
        raise UnsupportedError(
            f"timestamps='word': this engine tells no times, and {found.distribution} finds those of "
            f"{', '.join(known)} only, not of {language!r}.",
            hint="Leave timestamps out, or use a binding whose capabilities.timestamps has 'word'.",
        )
    return found


def asked_for_words(value: Any, who: str) -> bool:
    """Whether the option ``timestamps`` of a call that speaks wants times of words."""
    if value in (None, "none"):
        return False
    if value != "word":
        raise OptionError(
            f"option 'timestamps' of {who}: speech has times of words (got {value!r}).",
            hint="Give 'word' or 'none'.",
            names=["timestamps"],
        )
    return True


def language_of(options: Mapping[str, Any], default: Any, capable: Iterable[str]) -> str | None:
    """The language that a call speaks, as far as that is known before it speaks.

    Args:
        options: of the call.
        default: the binding's setting for what a call leaves open.
        capable: what the binding speaks: tells it where that is one language.
    """
    for given in (options.get("language"), default):
        if isinstance(given, str) and given and given != "auto":
            return given
    tags = list(capable)
    return tags[0] if len(set(map(_primary, tags))) == 1 else None


def _primary(tag: str) -> str:
    return tag.replace("_", "-").partition("-")[0].casefold()


class _There:
    """In the place of an aligner that is where the speech arrives."""

    def languages(self) -> tuple[str, ...]:
        return ()

    def align(self, audio: Audio, text: str, language: str | None) -> tuple[Word, ...]:
        return ()


class Spoken:
    """What a call that asked for times of words does with the speech that arrives.

    Args:
        text: what is spoken.
        language: its language tag, or None.
    """

    def __init__(self, text: str, language: str | None) -> None:
        from lollms_modalities.media.words import Fitting

        self._text = text
        self.language = language
        self._fitting = Fitting(text)
        self._held: list[AudioChunk] = []
        self._engine_knows = False
        self._texts_are_told = False
        self._elsewhere = ELSEWHERE.get()
        self._left: Provider | None = None

    def left_to(self, language: str | None) -> Provider | None:
        """Leave the words to where the speech arrives: who finds them there; None where it arrives here.

        Raises:
            UnsupportedError: nobody can there, either.
        """
        if self._elsewhere is not None and self._left is None:
            self.language = language or self.language
            distribution, version = self._elsewhere(self._text, self.language)
            self._left = Provider("aligner", _There(), "", distribution, version)
        return self._left

    def heard(self, source: Any, samples: Any, rate: int) -> None:
        """A recording says nothing of what is spoken."""

    def whole(self, call: Call, audio: Audio) -> Audio:
        """The speech with the times of its words."""
        from lollms_modalities.media.words import fitted

        if call.answered_by:
            audio = copy(audio)  # a plug-in may give it again to whoever asked for no words
        if audio.words:
            call.record(extra={"words": {"by": "engine"}})
            words = audio.words
        else:
            words = self._aligned(call, audio, self._text)
            if self._left is not None:
                return audio
        return audio.with_words(fitted(self._text, words))

    def item(self, call: Call, chunk: AudioChunk) -> list[AudioChunk]:
        """What can be given now that this part has come. Parts of one text wait until all of its sound is there."""
        if chunk.words:
            if not self._engine_knows:
                self._engine_knows = True
                call.record(extra={"words": {"by": "engine"}})
            held, self._held = self._held, []  # in which it says nothing
            return [*held, self._fitted(chunk)]
        if self._engine_knows or self._left is not None:
            held, self._held = self._held, []
            return [*held, chunk]
        if not chunk.text:
            self._held.append(chunk)
            return []
        given = self._timed(call)
        self._texts_are_told = True
        self._held = [chunk]
        return given

    def rest(self, call: Call) -> list[AudioChunk]:
        """What is left when the last part has come."""
        return self._timed(call, self._text if not self._texts_are_told else "")

    def told(self) -> dict[str, Any]:
        """The option that it is for."""
        return {"timestamps": "word"}

    def _timed(self, call: Call, text: str = "") -> list[AudioChunk]:
        from lollms_modalities.media.audio import Audio

        held, self._held = self._held, []
        text = text or (held[0].text if held else "")
        if not held or not any(map(str.isalnum, text)):
            return held
        words = list(self._aligned(call, Audio.from_chunks(held), text))
        if self._left is not None:
            return held
        begins = 0.0
        for n, chunk in enumerate(held):
            ends = begins + chunk.duration
            own = [w for w in words if w.start < ends or n == len(held) - 1]
            words = words[len(own) :]
            shifted = tuple(replace(w, start=max(0.0, w.start - begins), end=max(0.0, w.end - begins)) for w in own)
            held[n] = self._fitted(replace(chunk, words=shifted))
            begins = ends
        return held

    def _fitted(self, chunk: AudioChunk) -> AudioChunk:
        words = self._fitting.next(chunk.words, chunk.text)
        return chunk if words is None else replace(chunk, words=words)

    def _aligned(self, call: Call, audio: Audio, text: str) -> tuple[Word, ...]:
        if self._left is not None or (aligner := word_aligner(self.language)) is self._left:
            return ()
        words: tuple[Word, ...] = aligner.object.align(audio, text, self.language)
        call.record(extra={"words": {"by": aligner.distribution, "version": aligner.version}})
        return words
