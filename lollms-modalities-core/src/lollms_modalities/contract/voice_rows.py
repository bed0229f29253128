"""What there is to know of voices, as rows, and the recordings that voices are made of."""

from __future__ import annotations

import logging
from typing import Any

from lollms_modalities.calls.call import current_call

_log = logging.getLogger(__name__)
_told: set[str] = set()


def voice_row(
    name: str, *, language: str = "", gender: str = "", sample: Any = None, default: bool = False
) -> dict[str, Any]:
    """A row of ``describe_voices``.

    Args:
        name: what ``voice`` takes.
        language: tag (BCP 47) of the language that it was made for; "" where it speaks several, or that is not known.
        gender: "female" or "male", as its makers say; "" where they do not.
        sample: path of a recording of it.
        default: whether it speaks where none is named.
    """
    return {
        "name": name,
        "language": language,
        "gender": gender,
        "sample": None if sample is None else str(sample),
        "default": default,
    }


def record_clone(consent: str | None) -> None:
    """For the engine code of a call in which a recording is the voice: note it in the provenance, with the consent.

    Without one the call goes on, since programs of before know none; the provenance says that nobody attested it, and
    the log does once for each binding.
    """
    call = current_call()
    call.record(extra={"cloned_voice": True, "consent": consent})
    name = getattr(call.binding, "binding_name", "")
    if not consent and name not in _told:
        _told.add(name)
        _log.info("%s: a recording is the voice, and consent= says nothing of the person's.", name)
