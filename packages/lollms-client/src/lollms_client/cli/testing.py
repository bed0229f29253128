"""``lollms test-binding``: the conformance suite on a binding that is installed."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.errors import BindingDependencyError
from lollms_modalities.finding.mending import install_command
from lollms_modalities.media.files import check_folder, expanded, write_whole
from lollms_modalities.workers.finding_places import find_place

from lollms_client.cli import configuration
from lollms_client.cli.arguments import parse_pairs, typed
from lollms_client.cli.choice import parse_target
from lollms_client.cli.errors import FAILURE, UsageError
from lollms_client.cli.params import Isolated, Json, Opt, Place, Set, Target
from lollms_client.cli.use import manager_of

_NEEDED = ("pytest", "psutil", "numpy", "av", "soundfile", "PIL")  # of the extra "testing"


def try_binding(
    target: Target,
    sample: Annotated[
        Path | None, typer.Option("--sample", help="For transcription: a recording with speech.", show_default=False)
    ] = None,
    expect: Annotated[
        str | None, typer.Option(help="For transcription: words that are said in it.", show_default=False)
    ] = None,
    set: Set = None,
    opt: Opt = None,
    isolated: Isolated = False,
    place: Place = None,
    network: Annotated[bool, typer.Option("--network", help="The engine is a service elsewhere.")] = False,
    stop_within: Annotated[float, typer.Option(min=0.01, max=120, help="Seconds in which a call stops.")] = 2.0,
    calls: Annotated[int, typer.Option(min=4, help="How many calls the checks for leaks make.")] = 20,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the report there.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> int:
    """Run the conformance suite on an installed binding, and print a report for a README.

    --set gives the settings of a small model; without it those of the configuration hold. --opt gives arguments with
    which the engine gives the same each time; where it has a seed, one is given. The exit code is 1 where a check
    failed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise BindingDependencyError(
            f"The conformance suite needs {', '.join(missing)}, which is not installed.",
            hint=f"Run {install_command('testing')}.",
        )
    if output is not None:
        check_folder(expanded(output))
    modality, name = parse_target(target)[:2]
    described = manager_of(modality).load_class(name).describe()
    if modality == "stt" and sample is None:
        raise UsageError(
            "A binding that transcribes is tested on a recording.", hint="Give one with speech: --sample speech.wav"
        )
    from lollms_modalities.testing import report

    arguments: dict[str, Any] = parse_pairs(opt or (), described["options"], "--opt")
    if sample is not None:
        arguments["audio_path"] = str(sample.absolute())
    attributes: dict[str, Any] = {"network": network, "stop_within": stop_within, "calls": calls}
    if expect:
        attributes["expected"] = expect.split()
    trial = report.Trial(modality, name, _settings(modality, name, described, set or []), arguments, {}, attributes)
    if place is not None:
        find_place(place)
    shown = sys.stderr if sys.stderr.isatty() else None
    made = report.run(trial, isolated=isolated, place=place or "", output=shown)
    text = json.dumps(made.to_json(), indent=2) + "\n" if as_json else made.to_markdown()
    if output is None:
        sys.stdout.write(text)
    else:
        write_whole(expanded(output), text.encode())
    return 0 if made.passed else FAILURE


def _settings(modality: str, name: str, described: dict[str, Any], given: list[str]) -> dict[str, Any]:
    schema = described["settings"]
    kept = configuration.load().settings(modality, name)
    settings = {key: typed(key, value, schema) if isinstance(value, str) else value for key, value in kept.items()}
    return settings | parse_pairs(given, schema, "--set")
