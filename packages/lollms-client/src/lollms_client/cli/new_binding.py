"""``lollms new-binding``: a distribution of one binding, or another binding in one that exists, from the template."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.errors import BindingDependencyError, SettingsError
from lollms_modalities.finding.mending import install_command

from lollms_client.cli.taken import taken

TEMPLATE = Path(__file__).parent.parent / "template"
_SPECIAL = ("distribution", "program", "none")


def new_binding(
    folder: Annotated[
        Path, typer.Argument(help="Where it is put: a new folder or an empty one; with --add, the project.")
    ] = Path(),
    name: Annotated[str | None, typer.Option(help="Name of the binding; asked for when left out.")] = None,
    modality: Annotated[str | None, typer.Option(help="tts, stt, tti, ttm or ttv; likewise.")] = None,
    engine: Annotated[str | None, typer.Option(help="Distribution or program of the engine; likewise.")] = None,
    engine_kind: Annotated[
        str, typer.Option(help="What the engine is: a distribution, a program, or none of its own.")
    ] = "distribution",
    add: Annotated[
        str | None, typer.Option(metavar="MODALITY", help="Add a binding of that modality to a project that exists.")
    ] = None,
    author: Annotated[str, typer.Option(help="Whose it is, for the licence and the metadata.")] = "",
    url: Annotated[str, typer.Option(help="Where its source is.")] = "",
) -> None:
    """Make a binding of your own: a distribution that works and passes the conformance suite as it is."""
    if engine_kind not in _SPECIAL:
        raise SettingsError(f"--engine-kind {engine_kind!r} is no kind.", hint=f"It is one of {', '.join(_SPECIAL)}.")
    if not author.isprintable():
        raise SettingsError(f"--author {author!r} is no line of text.", hint="Give a name.")
    if url and not re.fullmatch(r"https?://[^\s\"\\]+", url):
        raise SettingsError(f"--url {url!r} is no address.", hint="It begins with https://.")
    if add is not None:
        _add(folder, add, name, engine, engine_kind)
        return
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise SettingsError(f"{str(folder)!r} is not empty.", hint="Name a new folder, or add to a project with --add.")
    given = {"name": name, "modality": modality, "engine": "" if engine_kind == "none" else engine}
    data: dict[str, Any] = {question: answer for question, answer in given.items() if answer is not None}
    complete = len(data) == len(given)
    if not (complete or sys.stdin.isatty()):
        missing = ", ".join(f"--{question}" for question in given if question not in data)
        raise SettingsError(f"There is no terminal to ask for {missing}.", hint="Give what is missing.")
    if name is not None and modality in MODALITIES:
        _warn(name, modality)
    _filled(folder, {**data, "engine_kind": engine_kind, "author": author, "url": url}, complete)
    made = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    if name is None or modality is None:
        for group, names in made["entry-points"].items():
            for one in names:
                _warn(one, group.partition(".")[2].partition("_")[0])
    package = next((folder / "src").iterdir()).name
    sys.stdout.write(
        f"{made['name']} is in {folder}. It works as it is; now put your engine into src/{package}/engine.py.\n"
        f'Then, in that folder:\n\n    pip install -e ".[test]"\n    pytest\n    lollms list\n'
    )


def _warn(name: str, modality: str) -> None:
    for line in taken(name, modality):
        sys.stderr.write(f"lollms: warning: {line}\n")


def _add(folder: Path, modality: str, name: str | None, engine: str | None, engine_kind: str) -> None:
    """Another binding in a project of the template's: its modules beside those that are there, and its entry point."""
    if modality not in MODALITIES:
        raise SettingsError(f"--add {modality!r} is no modality.", hint=f"They are {', '.join(MODALITIES)}.")
    path = folder / "pyproject.toml"
    if not path.is_file():
        raise SettingsError(f"{str(folder)!r} has no pyproject.toml.", hint="Name the folder of the project.")
    text = path.read_text("utf-8")
    project = tomllib.loads(text).get("project", {})
    packages = [p.parent for p in sorted(folder.glob("src/*/__init__.py"))]
    if len(packages) != 1:
        raise SettingsError(f"{folder} has {len(packages)} packages in src.", hint="Add it by hand.")
    package = packages[0]
    known = project.get("entry-points", {})
    name = name or next((one for names in known.values() for one in names), package.name.removeprefix("lollms_"))
    group = f"lollms_client.{modality}_bindings"
    if name in known.get(group, {}):
        raise SettingsError(f"{project.get('name')} has a {modality} binding {name!r} already.", hint="Give it --name.")
    _warn(name, modality)
    engine = "" if engine_kind == "none" else engine or "numpy"
    suffix = f"_{modality}" if not (package / f"binding_{modality}.py").exists() else f"_{name}_{modality}"
    data = {
        "name": name, "modality": modality, "engine": engine, "engine_kind": engine_kind, "package": package.name,
        "suffix": suffix,
    }  # fmt: skip
    test = folder / "tests" / f"test_{package.name}{suffix}.py"
    new = [package / f"binding{suffix}.py", package / f"engine{suffix}.py", test]
    there = [str(p) for p in new if p.exists()]
    if there:
        raise SettingsError(f"{', '.join(there)} is there already.", hint="Nothing was changed.")
    _filled(folder, data, True, only=suffix)
    class_name = re.search(r"^class (\w+)\(", new[0].read_text("utf-8"), re.MULTILINE)
    assert class_name is not None
    target = f"{package.name}.binding{suffix}:{class_name[1]}"
    text = _with_entry_point(text, group, name, target)
    if engine_kind == "distribution":
        text = _with_requirement(text, engine)
    if modality == "tti":
        text = text.replace("lollms-modalities-core[audio]>=", "lollms-modalities-core[audio,image]>=", 1)
    path.write_text(text, "utf-8")
    sys.stdout.write(
        f"{name} ({modality}) is in {', '.join(str(p.relative_to(folder)) for p in new)}, its entry point in "
        f'pyproject.toml.\nThen, in {folder}:\n\n    pip install -e ".[test]"\n    pytest\n'
    )


def _with_entry_point(text: str, group: str, name: str, target: str) -> str:
    """The file with one entry point more; the rest as it is."""
    line, head = f'{name} = "{target}"\n', f'[project.entry-points."{group}"]\n'
    if head in text:
        return text.replace(head, head + line, 1)
    mark = "[build-system]\n"
    return text.replace(mark, f"{head}{line}\n{mark}", 1) if mark in text else f"{text.rstrip()}\n\n{head}{line}"


def _with_requirement(text: str, engine: str) -> str:
    """The file with the distribution of an engine among what is required, where it is not."""
    named = (re.match(r"[\w.-]+", need) for need in tomllib.loads(text)["project"].get("dependencies", []))
    if engine.lower() in {found[0].lower() for found in named if found}:
        return text
    return text.replace("\ndependencies = [\n", f'\ndependencies = [\n    "{engine}",\n', 1)


def _filled(folder: Path, data: dict[str, Any], complete: bool, only: str = "") -> None:
    """Fill the template with the data; ``only`` its files whose names end so."""
    try:
        import copier
        from copier.errors import CopierError
    except ImportError as exc:
        raise BindingDependencyError(
            "The template needs copier, which is not installed.", hint=f"Run {install_command('template')}."
        ) from exc
    try:
        # What was not given is asked for; where all was, nothing is. It says nothing of its own.
        without = (
            ["*", "!src", "!src/*", "src/*/*", f"!src/*/*{only}.py", "!tests", f"!tests/*{only}.py"] if only else []
        )
        copier.run_copy(str(TEMPLATE), folder, data=data, defaults=complete, quiet=True, exclude=without)
    except (CopierError, ValueError) as exc:
        told = ", ".join(
            f"{question} {data[question]}" for question in ("name", "modality", "engine") if question in data
        )
        raise SettingsError(
            f"No binding can be made of {told}: {str(exc).rstrip('.')}.", hint="Give other answers."
        ) from exc
