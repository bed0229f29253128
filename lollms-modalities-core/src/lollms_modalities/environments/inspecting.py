"""Whether an environment works, and still is what its record says.

Its bindings are imported there and asked to describe themselves.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities.environments.explain import one_line
from lollms_modalities.environments.installers import InstallerFailed
from lollms_modalities.environments.local import CORE, normal

if TYPE_CHECKING:
    from lollms_modalities.environments.environment import Environment
    from lollms_modalities.environments.installers import Runner
    from lollms_modalities.environments.record import Record


class Inspection(NamedTuple):
    """What was found in an environment.

    Attributes:
        python: version of its interpreter; "" where that does not start.
        core: version of its lollms-modalities-core.
        bindings: what each said of itself: modality, name, aliases, distribution, version, description.
        problems: what is wrong, a sentence each.
        places: the names of those that it offers, besides the core's.
    """

    python: str
    core: str
    bindings: list[dict[str, Any]]
    problems: list[str]
    places: list[str]


def inspect(python: Path, runner: Runner, variables: Mapping[str, str], code: str) -> Inspection:
    """Import the bindings of an interpreter and run a recipe's check there.

    Raises:
        CallCancelled, CallTimeout: the runner's call was stopped.
    """
    lines: list[dict[str, Any]] = []
    crash = ""
    with tempfile.TemporaryDirectory(dir=runner.folder) as folder:
        out = Path(folder, "bindings")
        out.touch()
        program = [str(python), "-I", "-X", "utf8", "-m", "lollms_modalities.environments.inspector", str(out), code]
        try:
            runner.run(program, dict(variables))
        except InstallerFailed as exc:
            crash = _crash(exc)
        except OSError as exc:
            crash = f"its interpreter does not start: {exc}"
        lines = [json.loads(line) for line in out.read_text("utf-8").splitlines() if line.endswith("}")]
    head = lines[0] if lines else {}
    bindings = [line["binding"] for line in lines if "binding" in line]
    places = [line["place"]["name"] for line in lines if "place" in line and line["place"]["distribution"] != CORE]
    problems = [f"{_who(line['failed'])}: {line['failed']['error']}" for line in lines if "failed" in line]
    if crash:
        last = lines[-1] if lines else {}
        where = f"{_who(last['begins'])}: " if "begins" in last else ""
        problems.append(f"{where}{crash}")
    elif not bindings and not places and not problems:
        problems.append("it holds no binding")
    problems += [f"its recipe's check fails: {line['check']}" for line in lines if line.get("check")]
    return Inspection(head.get("python", ""), head.get("core", ""), bindings, problems, places)


def differences(environment: Environment, kept: Record | None) -> Iterator[str]:
    """Where an environment is not what its record says."""
    if kept is None:
        return
    from importlib.metadata import distributions

    from lollms_modalities.entry_points.metadata import name_of

    there = {normal(n): d.version for d in distributions(path=environment.site_packages) if (n := name_of(d))}
    for pin in kept.pins:
        name, at, version = pin.partition("==")
        if not at:
            name, version = pin.partition(" @ ")[0], ""
        found: Any = there.get(normal(name))
        if found is None:
            yield f"{name} is missing, which was installed"
        elif version and found != version:
            yield f"{name} is {found}, and {version} was installed"


def _who(about: Mapping[str, Any]) -> str:
    kind = "place" if about["modality"] == "place" else f"{about['modality']} binding"
    return f"the {kind} {about['name']!r}"


def _crash(exc: InstallerFailed) -> str:
    end = f"exit code {exc.code}" if exc.code >= 0 else f"signal {-exc.code}"
    return f"its interpreter ended with {end}: {one_line(exc.output)[-500:]}"
