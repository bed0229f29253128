"""The tables of bindings and of licences, from the metadata of the distributions, and that of the conformance suite's
checks, from its source: between two marks of a page.

``python tools/tables.py`` writes them, ``--check`` fails where a page is not up to date.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MODALITIES = ("tts", "tti", "stt", "ttm", "ttv")
CORE = ROOT / "lollms-modalities-core" / "src" / "lollms_modalities" / "testing"
SUPPORT = ROOT / "lollms-modalities-core" / "tests" / "support"
# Modules of the suite, as they run.
PARTS = (
    "smoke identity results arguments state stopping streams process programs life leaks prompts sound speech encoded "
    "words voices music transcripts inputs times speakers live images edits videos"
).split()


def projects() -> Iterator[dict[str, Any]]:
    """The pyproject.toml of each distribution that offers bindings, and the core's."""
    yield _project(ROOT / "lollms-modalities-core")
    for folder in sorted((ROOT / "packages").iterdir()):
        yield _project(folder)


def _project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def bindings() -> list[Sequence[str]]:
    """Rows: names, kinds, distribution, extra, engine."""
    client = _project(ROOT / "packages" / "lollms-client")["project"]["optional-dependencies"]
    rows: list[Sequence[str]] = []
    for found in projects():
        project = found["project"]
        targets: dict[tuple[str, ...], list[str]] = {}
        for modality in MODALITIES:
            names = project.get("entry-points", {}).get(f"lollms_client.{modality}_bindings", {})
            if names:
                targets.setdefault(tuple(sorted(names, key=lambda n: (len(n), n))), []).append(modality)
        for names_of_one, kinds in targets.items():
            extras = [name for name, needs in client.items() if any(_names(need, project["name"]) for need in needs)]
            engine = found.get("tool", {}).get("lollms", {}).get("engine", "")
            shown = ", ".join(f"`{name}`" for name in names_of_one)
            rows.append((shown, ", ".join(kinds), f"`{project['name']}`", f"`{extras[0]}`", engine))
    return rows


def _names(requirement: str, distribution: str) -> bool:
    return requirement.partition("[")[0].partition(">")[0] == distribution


def licences() -> list[Sequence[str]]:
    """Rows: what, comes with, licence, what follows."""
    rows: list[Sequence[str]] = []
    for found in projects():
        for row in found.get("tool", {}).get("lollms", {}).get("licences", []):
            extra = f"[{row['extra']}]" if "extra" in row else ""
            rows.append((row["what"], f"`{found['project']['name']}{extra}`", row["licence"], row.get("follows", "")))
    return rows


def planted(part: str = "") -> dict[str, dict[str, bool]]:
    """By the check that is meant for them: what each planted fault does, and whether it is planted isolated, too.

    ``part``: of the suite, where checks of two modalities have one name.
    """
    sys.path.insert(0, str(SUPPORT))
    listed = import_module("planted_list").FAULTS
    sys.path.pop(0)
    told = {name: doc for path in SUPPORT.glob("planted*.py") for name, doc in _docstrings(path, ast.ClassDef)}
    found: dict[str, dict[str, bool]] = {}
    for fault in listed:
        if {"images": "TTI", "videos": "TTV"}.get(part, fault.suite) == fault.suite:
            does = told[fault.name].rstrip(".").replace(": ", ", ") or "No docstring"
            found.setdefault(fault.test, {})[f"{does} (`{fault.name}`)"] = fault.isolated
    return found


def faults() -> list[Sequence[str]]:
    """Rows: the kind of fault, which is the part of the suite that asks for it; a planted fault; the test for it."""
    rows: list[Sequence[str]] = []
    for part in PARTS:
        source, found = CORE / f"{part}.py", planted(part)
        kind = (ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").partition("\n")[0].rstrip(".")
        for name, _ in _docstrings(source, ast.FunctionDef):
            if name.startswith("test_"):
                for fault, isolated in found.get(name.removeprefix("test_"), {}).items():
                    rows.append((kind.replace("``", "`"), fault, f"`{name}`", "yes" if isolated else ""))
    every = {fault for of_one in planted().values() for fault in of_one}
    if untold := sorted(every - {row[1] for row in rows}):
        raise SystemExit(f"Meant for these is a test that the suite has not: {', '.join(untold)}.")
    return rows


def checks() -> list[Sequence[str]]:
    """Rows: a check, what its author writes to pass it, the planted faults that it is meant for."""
    rows: list[Sequence[str]] = []
    for part in PARTS:
        found = planted(part)
        for name, doc in _docstrings(CORE / f"{part}.py", ast.FunctionDef):
            if name.startswith("test_"):
                check = name.removeprefix("test_")
                rows.append(
                    (
                        check.replace("_", " "),
                        doc.replace("``", "`"),
                        "; ".join(does.rpartition(" (")[0] for does in found.get(check, ())),
                    )
                )
    return rows


def _docstrings(path: Path, kind: type[ast.ClassDef | ast.FunctionDef]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, kind):
            yield node.name, " ".join((ast.get_docstring(node) or "").split())


TABLES = {
    "faults": (
        "docs/conformance.md",
        ("Kind", "Planted fault", "Test that is meant for it", "Isolated, too"),
        faults,
    ),
    "bindings": ("docs/bindings.md", ("Name", "Kind", "Distribution", "Extra of lollms-client", "Engine"), bindings),
    "licences": ("docs/licences.md", ("What", "Comes with", "Licence", "What follows"), licences),
    "checks": ("docs/conformance.md", ("Check", "What to write", "Planted faults that it catches"), checks),
}


def table(head: Sequence[str], rows: list[Sequence[str]]) -> str:
    """As Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def main() -> int:
    """0 where all pages are up to date."""
    stale = 0
    for name, (path, head, rows) in TABLES.items():
        page = ROOT / path
        text = page.read_text("utf-8")
        before, mark, rest = text.partition(f"<!-- table: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not mark or not end:
            raise SystemExit(f"{path} has no place for the table {name}.")
        new = f"{before}{mark}{table(head, rows())}\n{end}{after}"
        if new == text:
            continue
        stale += 1
        if "--check" in sys.argv:
            sys.stderr.write(f"{path} is not up to date: run nox -s tables.\n")
        else:
            page.write_text(new, "utf-8")
    return stale if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
