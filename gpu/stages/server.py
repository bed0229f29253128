"""The server, and what several have of one card."""

from __future__ import annotations

from gpu.checks import bark, musicgen, pictures, serving, sharing
from gpu.checks.subject import made

_BARK = bark.subject("bark-small", 20)
_MUSICGEN = musicgen.subject("musicgen-small", 20)
_SDXL = pictures.subject("sdxl", 20)

CHECKS = [
    made("bark-small", 40),
    made("musicgen-small", 40),
    made("sdxl", 60),
    sharing.together(_BARK, _MUSICGEN),
    sharing.together(_BARK, _SDXL),
    _BARK.check("one copy for two bindings", sharing.one_copy, loads=2),
    _BARK.check("its worker is killed", sharing.killed, loads=3),
    *serving.CHECKS,
]
