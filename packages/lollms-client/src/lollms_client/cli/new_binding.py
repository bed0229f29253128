"""``lollms new-binding``: a distribution of one binding, from the template that is beside this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.errors import BindingDependencyError, SettingsError
from lollms_modalities.finding.mending import install_command

TEMPLATE = Path(__file__).parent.parent / "template"


def new_binding(
    folder: Annotated[Path, typer.Argument(help="Where it is put; a new folder, or an empty one.")],
    name: Annotated[str | None, typer.Option(help="Name of the binding; asked for when left out.")] = None,
    modality: Annotated[str | None, typer.Option(help="tts, stt, tti, ttm or ttv; likewise.")] = None,
    engine: Annotated[str | None, typer.Option(help="Distribution of the engine; likewise.")] = None,
) -> None:
    """Make a binding of your own: a distribution that works and passes the conformance suite as it is."""
    try:
        import copier
        from copier.errors import CopierError
    except ImportError as exc:
        raise BindingDependencyError(
            "The template is filled in by copier, which is not installed.",
            hint=f"Run {install_command('template')}.",
        ) from exc
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise SettingsError(f"{str(folder)!r} is not empty.", hint="Name a new folder.")
    given = {"name": name, "modality": modality, "engine": engine}
    data: dict[str, Any] = {question: answer for question, answer in given.items() if answer is not None}
    try:
        # What was not given is asked for; where all was, nothing is.
        copier.run_copy(str(TEMPLATE), folder, data=data, defaults=len(data) == len(given), quiet=False)
    except (CopierError, ValueError) as exc:
        told = ", ".join(f"{question} {answer}" for question, answer in data.items())
        raise SettingsError(f"No binding can be made of {told}: {exc}.", hint="Give other answers.") from exc
