"""Every engine that speaks, heard by every engine that hears: 30 sentences, 10 of them not English, in one run.

``python -m bench.word_errors`` prints the tables of docs/word-error-rates.md. It needs all engines, and torch.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities import Audio, LollmsSTTBinding
from lollms_modalities.kit import decode_audio

import bench.support  # noqa: F401 - makes the imports from there possible

RATE = 16000
_PAUSE = 0.6  # seconds between two sentences
OTHERS = {
    "fr": (
        "Demain matin, nous prendrons le train pour Paris avec nos enfants.",
        "Le chat dort sur la chaise près de la fenêtre.",
        "Il a oublié ses clés dans la voiture de son père.",
    ),
    "es": (
        "Mañana por la mañana vamos a comprar pan y leche en la tienda.",
        "El niño juega con su perro en el jardín.",
        "Mi hermana trabaja en un hospital cerca del mar.",
    ),
    "it": (
        "Domani mattina andiamo al mercato a comprare il pane e il latte.",
        "La casa di mia nonna ha un grande giardino.",
    ),
    "pt": (
        "Amanhã de manhã vamos à praia com os nossos amigos.",
        "O meu irmão comprou um livro novo para a escola.",
    ),
}
VOICES = {"en": "af_heart", "fr": "ff_siwis", "es": "ef_dora", "it": "if_sara", "pt": "pf_dora"}


class Speech(NamedTuple):
    """What one engine said in one language: all sentences, with pauses between them."""

    engine: str
    language: str
    text: str
    sound: Audio


def speeches() -> Iterator[Speech]:
    """English by each engine that speaks with real weights here, the other languages by the one that has voices."""
    from conversation import SENTENCES  # type: ignore[import-not-found, unused-ignore]
    from harvard import spoken  # type: ignore[import-not-found, unused-ignore]
    from languages import spoken_by  # type: ignore[import-not-found, unused-ignore]

    english = [sentence.strip() for sentence in SENTENCES[:20]]
    yield Speech("Piper, en_US-joe", "en", " ".join(english), _joined([spoken(text) for text in english]))
    for language, voice in VOICES.items():
        texts = english if language == "en" else OTHERS[language]
        sounds = [spoken_by(voice, text) for text in texts]
        yield Speech(f"Kokoro int8, {voice}", language, " ".join(texts), _joined(sounds))


def _joined(sounds: list[Audio]) -> Audio:
    import numpy as np

    pause = np.zeros(round(_PAUSE * RATE), np.float32)
    parts = [part for sound in sounds for part in (pause, decode_audio(sound, RATE))]
    return Audio.from_samples(np.concatenate([*parts, pause]), RATE)


def faster_whisper(model: str | None) -> Callable[[Path], LollmsSTTBinding]:
    def make(folder: Path) -> LollmsSTTBinding:
        from lollms_faster_whisper import FasterWhisperSTTBinding

        return FasterWhisperSTTBinding(model or str(_base()), n_threads=1, device="cpu", compute_type="int8")

    return make


def openai_whisper(folder: Path) -> LollmsSTTBinding:
    from lollms_whisper import WhisperSTTBinding
    from whisper_weights import make_openai  # type: ignore[import-not-found, unused-ignore]

    return WhisperSTTBinding(str(make_openai(folder / "base.pt", model=_base())), device="cpu", n_threads=1)


def whisper_cpp(folder: Path) -> LollmsSTTBinding:
    from lollms_whispercpp import WhisperCppSTTBinding
    from whisper_cpp_program import whisper_cli  # type: ignore[import-not-found, unused-ignore]
    from whisper_weights import make_ggml

    model = make_ggml(folder / "ggml-base.bin", model=_base())
    return WhisperCppSTTBinding(model, whispercpp_exe_path=whisper_cli(), n_threads=1)


def moonshine(folder: Path) -> LollmsSTTBinding:
    from lollms_moonshine import MoonshineSTTBinding

    return MoonshineSTTBinding("tiny-en")


# What hears, and whether it knows other languages than English.
HEARERS: dict[str, tuple[Callable[[Path], LollmsSTTBinding], bool]] = {
    "faster-whisper, tiny.en, int8": (faster_whisper("tiny.en"), False),
    "Moonshine, tiny-en": (moonshine, False),
    "faster-whisper, base, int8": (faster_whisper(None), True),
    "openai-whisper, base": (openai_whisper, True),
    "whisper.cpp, base, f16": (whisper_cpp, True),
}


def _base() -> Path:
    from whisper_weights import base

    found: Path = base()
    return found


def _cpu() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def main() -> None:
    from harvard import word_error_rate

    said = list(speeches())
    print("| Heard by | " + " | ".join(f"{s.engine} ({s.language}, {s.sound.duration:.0f} s)" for s in said), end="")
    print(" | CPU seconds per second of sound |\n|" + "---|" * (len(said) + 2), flush=True)
    for name, (make, many) in HEARERS.items():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            binding = stack.enter_context(make(Path(folder)))
            greedy: dict[str, Any] = {"beam_size": 1} if binding.supports("beam_size") else {}
            binding.load()
            before, heard_for, cells = _cpu(), 0.0, []
            for speech in said:
                if speech.language != "en" and not many:
                    cells.append("")
                    continue
                heard = binding.transcribe_audio(speech.sound, language=speech.language, **greedy)
                heard_for += speech.sound.duration
                cells.append(f"{word_error_rate(speech.text, heard):.3f}")
                print(f"{name}, {speech.engine}, {speech.language}: {heard}", file=sys.stderr, flush=True)
            print(f"| {name} | {' | '.join(cells)} | {(_cpu() - before) / heard_for:.3f} |", flush=True)


if __name__ == "__main__":
    main()
