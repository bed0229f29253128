"""When words are said: Piper's own times, and those of aligners that it does not use. ``nox -s bench -- words``.

Prints how far apart their beginnings and ends are, and what it costs to be told.
"""

from __future__ import annotations

import time
from statistics import median, quantiles
from typing import Any

from lollms_modalities import Audio, LollmsSTTBindingManager, LollmsTTSBindingManager, Word, provider

import bench.support  # noqa: F401 - makes the imports from there possible
from bench.harness import paired, seconds, show

STILL: dict[str, Any] = {"noise_scale": 0, "noise_w_scale": 0}


def plain(word: Word) -> str:
    """A word without case and marks."""
    return "".join(c for c in word.text.lower() if c.isalnum())


def matched(words: tuple[Word, ...], others: tuple[Word, ...]) -> list[tuple[Word, Word]]:
    """The words that both have, in their order."""
    from difflib import SequenceMatcher

    match = SequenceMatcher(None, [plain(w) for w in words], [plain(w) for w in others], autojunk=False)
    return [(words[a + n], others[b + n]) for a, b, size in match.get_matching_blocks() for n in range(size)]


def told(what: str, pairs: list[tuple[Word, Word]], count: int, took: float) -> None:
    """One row."""
    starts = [1000 * abs(a.start - b.start) for a, b in pairs]
    ends = [1000 * abs(a.end - b.end) for a, b in pairs]
    print(
        f"{what:<44} {len(pairs):>3} of {count} words  begin {median(starts):4.0f} ms apart, "
        f"nine of ten {quantiles(starts, n=10)[-1]:4.0f}  end {median(ends):4.0f}  took {took:5.1f} s"
    )


def words() -> None:
    """Print the rows."""
    from harvard import HARVARD  # type: ignore[import-not-found, unused-ignore]

    with LollmsTTSBindingManager().require_binding("piper") as piper:
        piper.load()
        audio: Audio = piper.generate_audio(HARVARD, timestamps="word", **STILL)
        print(f"{len(audio.words)} words in {audio.duration:.0f} s of speech")
        began = time.perf_counter()
        aligned = provider("aligner").object.align(audio, HARVARD, "en")
        told(
            "Piper, lollms-align (PocketSphinx)",
            matched(audio.words, aligned),
            len(audio.words),
            time.perf_counter() - began,
        )
        with LollmsSTTBindingManager().require_binding("faster_whisper") as whisper:
            whisper.load()
            began = time.perf_counter()
            heard = whisper.transcribe_audio(audio, timestamps="word").words
            took = time.perf_counter() - began
        told("Piper, Whisper tiny.en's attention", matched(audio.words, heard), len(audio.words), took)
        told("lollms-align, Whisper tiny.en's attention", matched(aligned, heard), len(aligned), took)
        text = HARVARD[:180]
        pair = paired(
            lambda: seconds(lambda: piper.generate_audio(text, timestamps="word", **STILL)),
            lambda: seconds(lambda: piper.generate_audio(text, **STILL)),
            pairs=8,
        )
        show("180 characters with the times of words", "without", pair, 1.15)
