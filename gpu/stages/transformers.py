"""Bark and MusicGen of transformers, and openai's Whisper."""

from __future__ import annotations

from gpu.checks import bark, musicgen, whisper
from gpu.checks.promised import promises
from gpu.checks.subject import made

_BARK = bark.subject("bark-small", 20)
_LARGE_BARK = bark.subject("bark-large", 30)
_MUSICGEN = musicgen.subject("musicgen-small", 20)
_MEDIUM_MUSICGEN = musicgen.subject("musicgen-medium", 30)
_WHISPER = whisper.subject("whisper-large-v3", 30)

CHECKS = [
    made("bark-small", 40),
    made("bark-large", 60),
    made("musicgen-small", 40),
    made("musicgen-medium", 60),
    made("whisper-large-v3", 60),
    *promises(_BARK),
    *bark.correctness(_BARK),
    *promises(_MUSICGEN),
    *musicgen.correctness(_MUSICGEN),
    *promises(_WHISPER),
    *whisper.correctness(_WHISPER),
    _BARK.figure("a sentence", bark.sentence, 60),
    _BARK.figure("a long text", bark.long_text, 120),
    _MUSICGEN.figure("a piece", musicgen.piece, 90),
    _MUSICGEN.figure("eight at once", musicgen.batch, 60),
    _WHISPER.figure("a transcript", whisper.transcript, 60),
    _LARGE_BARK.figure("a sentence", bark.sentence, 90),
    _MEDIUM_MUSICGEN.figure("a piece", musicgen.piece, 120),
    _BARK.figure("compiled", bark.compiling, 120),
    _MUSICGEN.figure("compiled", musicgen.compiling, 120),
]
