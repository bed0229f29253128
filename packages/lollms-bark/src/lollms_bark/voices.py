"""Bark's voice presets. What is not here never reaches the library, which would take it for a file to open."""

from __future__ import annotations

from lollms_modalities import OptionError, VoiceNotFoundError
from lollms_modalities.kit import near_miss

LANGUAGES = tuple("de en es fr hi it ja ko pl pt ru tr zh".split())
PRESETS = tuple(f"v2/{language}_speaker_{number}" for language in LANGUAGES for number in range(10))
# Those of Bark's first version, which its checkpoints hold too.
OLDER = (*(preset.removeprefix("v2/") for preset in PRESETS), "announcer")
# Every name, for settings.
PATTERN = rf"^((v2/)?({'|'.join(LANGUAGES)})_speaker_[0-9]|announcer)$"
_KNOWN = frozenset((*PRESETS, *OLDER))


def list_presets(language: str | None = None) -> list[str]:
    """The 130 presets, or the ten of a language, given by a tag such as ``de`` or ``de-AT``; none of an unknown one."""
    if language is None:
        return list(PRESETS)
    if not isinstance(language, str):
        raise OptionError(f"language={language!r} is no string.", hint="Give a tag such as de.", names=["language"])
    code = language.replace("_", "-").split("-")[0].lower()
    return [preset for preset in PRESETS if preset.startswith(f"v2/{code}_")]


def language_of(preset: str) -> str:
    """The tag of a preset's language; "" of the announcer."""
    code = preset.rpartition("/")[2].partition("_")[0]
    return code if code in LANGUAGES else ""


def check_voice(voice: object) -> str:
    """``voice`` if it is the name of a preset.

    Raises:
        VoiceNotFoundError: it is not.
    """
    if isinstance(voice, str) and voice in _KNOWN:
        return voice
    raise VoiceNotFoundError(f"Bark has no voice preset {_shown(voice)}.", hint=_hint(voice), voice=str(voice)[:200])


def _hint(voice: object) -> str:
    if isinstance(voice, str) and len(voice) <= 80:
        near = near_miss(voice, PRESETS, "presets")
        if near.startswith("Did"):
            return near
    return f"They are v2/LANGUAGE_speaker_0 to 9, where LANGUAGE is one of {', '.join(LANGUAGES)}."


def _shown(voice: object) -> str:
    text = repr(voice)
    return text if len(text) <= 80 else f"{text[:77]}..."
