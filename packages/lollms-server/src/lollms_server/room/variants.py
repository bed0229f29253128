"""One of a binding's own models, as a served model of its own."""

from __future__ import annotations

from dataclasses import replace

from lollms_modalities import LollmsBinding

from lollms_server.room.errors import ModelNotServed
from lollms_server.room.models import ServedModel


def variant_of(served: ServedModel, binding: LollmsBinding, model: str) -> ServedModel:
    """The served model with another of the models that its binding lists, by the setting that says which.

    Raises:
        ModelNotServed: it lists no such model, or has no such setting.
    """
    setting = next((row["name"] for row in binding.get_settings() if row.get("choices_from") == "list_models"), None)
    if setting is None:
        raise ModelNotServed(
            f"{served.name} has no models to choose from, such as {model!r:.60}.", hint=f"Ask for {served.name!r}."
        )
    known = sorted(binding.list_models())
    if model not in known:
        shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        raise ModelNotServed(
            f"{served.name} has no model {model!r:.100}.", hint=f"Known ones: {shown}." if known else "It lists none."
        )
    settings = {**served.settings, setting: model}
    return replace(served, name=f"{served.name}/{model}", aliases=(), settings=settings, preload=False)
