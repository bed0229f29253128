"""The entry-point groups of the five modalities, and of places."""

from __future__ import annotations

MODALITIES = ("tts", "tti", "stt", "ttm", "ttv")
PLACES = "lollms_client.places"


def group_of(modality: str) -> str:
    """The entry-point group of a modality's bindings."""
    return f"lollms_client.{modality}_bindings"


def target_of(value: str) -> str:
    """What an entry point names, without spaces and without extras, as in ``module:Class [extra]``: old and no more
    than a word about what to install."""
    return "".join(value.partition("[")[0].split())
