"""The rooms of the core: no ring of imports, no module too long, and users who need no room but the public ones.

That a room imports only those below it is import-linter's to hold (``nox -s lint``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "lollms-modalities-core" / "src"
SOURCES = [CORE, *sorted((ROOT / "packages").glob("*/src")), ROOT / "examples" / "lollms-examples" / "src"]
LONGEST = 350
PUBLIC = re.compile(r"lollms_modalities(\.kit(\.\w+)*|\.testing(\.\w+)*)?")
# Whoever reads or copies these is a user; our own tests look behind the scenes.
USERS = [
    *(path for source in SOURCES[1:] if "lollms-client" not in source.parts for path in source.rglob("*.py")),
    *(ROOT / "packages" / "lollms-client" / "src" / "lollms_client" / "template").rglob("*.jinja"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "demo").glob("*.py"),
    *ROOT.glob("**/README.md"),
]
USERS = [path for path in USERS if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]


def name_of(path: Path) -> str:
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(CORE.rglob("*.py"))}


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of ours that code imports when it runs, at once or in a function: not those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                yield from imported(other)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lollms_modalities."):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        else:
            yield from imported(node)


def test_no_ring() -> None:
    graph = {name: set(imported(ast.parse(path.read_text("utf-8")))) - {name} for name, path in MODULES.items()}
    assert "lollms_modalities.contract.running" in graph["lollms_modalities.contract.streams"], "imports are seen"
    TopologicalSorter(graph).prepare()  # which raises CycleError, with the ring


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.parent.name)
def test_no_module_is_too_long(source: Path) -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text("utf-8").splitlines()) for p in source.rglob("*.py")}
    assert lengths
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_every_room_says_what_lives_there() -> None:
    for room in (path for path in CORE.glob("lollms_modalities/*") if (path / "__init__.py").is_file()):
        said = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
        assert "mport" in said, room.name


@pytest.mark.parametrize("path", USERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_users_import_what_is_public(path: Path) -> None:
    found = re.findall(r"^\s*(?:from|import) (lollms_modalities[.\w]*)", path.read_text("utf-8"), re.MULTILINE)
    assert [name for name in found if not PUBLIC.fullmatch(name)] == []


HANDLED = ("media/files.py", "media/input.py")  # they tell of it


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.parent.name)
def test_a_user_who_is_unknown_is_no_crash(source: Path) -> None:
    """``Path.expanduser`` raises RuntimeError for ``~nobody``; with ``os.path.expanduser`` it is a path like others."""
    texts = {str(path): path.read_text("utf-8") for path in source.rglob("*.py")}
    assert not [path for path, text in texts.items() if ".expanduser()" in text and not path.endswith(HANDLED)]
