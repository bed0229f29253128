"""Images and films with Diffusers."""

from __future__ import annotations

from gpu.checks import diffusing, films, pictures
from gpu.checks.promised import promises
from gpu.checks.subject import made

_SDXL = pictures.subject("sdxl", 15)
_FLUX = pictures.subject("flux", 40)
_WAN = films.subject("wan", 30)
_LTX = films.subject("ltx", 30)

CHECKS = [
    made("sdxl", 60),
    made("wan", 90),
    made("ltx", 90),
    made("flux", 120),
    *promises(_SDXL),
    *diffusing.correctness(_SDXL),
    _SDXL.check("attention", diffusing.no_other_attention, loads=3),
    _WAN.check("attention", diffusing.attention, loads=3),  # LTX masks its text, which flash attention does not take
    *(subject.check("half beside single precision", diffusing.half, loads=2) for subject in (_WAN, _LTX, _FLUX)),
    _SDXL.figure("an image", pictures.picture, 60),
    _SDXL.figure("four images", pictures.batch, 120),
    _FLUX.figure("an image", pictures.picture, 90),
    _WAN.figure("a film", films.film, 90),
    _LTX.figure("a film", films.film, 90),
    _SDXL.figure("compiled", pictures.compiling, 150),
]
