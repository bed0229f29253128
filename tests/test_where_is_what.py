"""What CONTRIBUTING and the docs say of the sources is there: files, rooms, and the names of the reference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "lollms-modalities-core" / "src" / "lollms_modalities"
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
_QUESTION = re.compile(r"^\| (Where [^|]*\?) \| ([^|]*) \|$", re.MULTILINE)
_FILE = re.compile(r"`([\w/.-]+\.py)`")
_DOCUMENTED = re.compile(r"^::: ([\w.]+)(?:\n    options:\n      members: \[([\w, ]+)\])?", re.MULTILINE)


def _exists(file: str) -> bool:
    return any((folder / file).is_file() for folder in (ROOT, CORE, CORE.parent))


def test_twenty_questions_are_answered_with_files_that_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    _, _, rest = page.partition("\n## Where is what\n")
    section, _, _ = rest.partition("\n## ")
    answers = dict(_QUESTION.findall(section))
    assert len(answers) == 20
    files = {question: _FILE.findall(answer) for question, answer in answers.items()}
    assert [question for question, found in files.items() if not found] == []
    assert [(question, file) for question, found in files.items() for file in found if not _exists(file)] == []


@pytest.mark.parametrize("page", ["docs/how-calls.md", "docs/house.md", "docs/how-isolation.md", "docs/protocol.md"])
def test_files_that_the_docs_name_exist(page: str) -> None:
    named = _FILE.findall((ROOT / page).read_text("utf-8"))
    assert [file for file in named if not _exists(file)] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/house.md"])
def test_each_room_of_the_core_is_told_of(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    rooms = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {room for room in rooms - {"__init__"} if f"`{room}`" not in text} == set()


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.stem)
def test_the_reference_names_what_there_is(page: Path) -> None:
    """A page is built without what it names and is not there, and nobody is told."""
    found = _DOCUMENTED.findall(page.read_text("utf-8"))
    assert found
    for path, members in found:
        home = _imported(path)
        assert [name for name in members.replace(",", " ").split() if not hasattr(home, name)] == []


def _imported(path: str) -> object:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)
