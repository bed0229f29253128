"""Text into phonemes, with espeak-ng."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from lollms_modalities import BindingDependencyError, OptionError, UnsupportedError
from lollms_modalities.kit import language_code, near_miss

if TYPE_CHECKING:
    from phonemizer.backend import EspeakBackend

# espeak's names of the languages that Kokoro speaks, by their tags.
ESPEAK = {
    "en-us": "en-us",
    "en-gb": "en-gb",
    "en": "en-us",
    "es": "es",
    "fr": "fr-fr",
    "hi": "hi",
    "it": "it",
    "pt": "pt-br",
}
# espeak reads no Chinese characters in Japanese, and Chinese otherwise than Kokoro learnt it.
_OTHERWISE = ("ja", "zh")
_THEIR_SCRIPTS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")
# espeak keeps what it does in the process: it does one thing at a time.
_lock = threading.Lock()


def espeak_language(tag: str) -> str:
    """espeak's name of a language.

    Raises:
        UnsupportedError: Kokoro speaks it, and espeak's phonemes are not those that it learnt.
        OptionError: Kokoro does not speak it.
    """
    plain = tag.replace("_", "-").lower()
    code = language_code(tag) or ""
    found = ESPEAK.get(plain) or ESPEAK.get(code)
    if found:
        return found
    if code in _OTHERWISE:
        raise UnsupportedError(
            f"Text in the language {tag!r} is not made phonemes of here.",
            hint="Give its phonemes as the text, with phonemes=True (the package misaki makes them), or language=.",
        )
    raise OptionError(
        f"option 'language': Kokoro does not speak {tag[:40]!r}.",
        hint=near_miss(code, [*ESPEAK, *_OTHERWISE], "languages"),
        names=["language"],
    )


def language_for(text: str, own: str) -> str:
    """The language that a text is read in where none was named: the voice's own, or English.

    English it is for voices that say nothing of theirs, and for Japanese and Chinese ones where the text has nothing of
    their scripts.
    """
    if own in _OTHERWISE and not _THEIR_SCRIPTS.search(text):
        return "en-US"
    return own or "en-US"


def phonemes_of(texts: Sequence[str], language: str) -> list[str]:
    """The phonemes of each text, with marks of stress and punctuation; words of other scripts are read as it does.

    Args:
        texts: what is to be said.
        language: espeak's name of it.
    """
    lines = [" ".join(text.split()) for text in texts]
    with _lock:
        made: list[str] = _backend(language).phonemize(lines, strip=True)
    return [" ".join(line.split()) for line in made]


@cache
def _backend(language: str) -> EspeakBackend:
    from kokoro_onnx.tokenizer import Tokenizer
    from phonemizer.backend import EspeakBackend

    try:
        Tokenizer()  # tells phonemizer where the library lies that kokoro-onnx brings
        return EspeakBackend(
            language,
            preserve_punctuation=True,
            with_stress=True,
            language_switch="remove-flags",
            logger=_silent(),
        )
    except RuntimeError as exc:
        raise BindingDependencyError(
            f"espeak-ng cannot be used: {exc}.", hint="Install the package espeakng-loader again."
        ) from exc


def _silent() -> Any:
    """phonemizer warns of each word that is read in another language."""
    logger = logging.getLogger("lollms_kokoro.phonemizer")
    logger.setLevel(logging.ERROR)
    return logger
