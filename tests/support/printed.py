"""The code that the README and the docs print: which blocks there are, and what is done with each.

``python tests/support/printed.py FOLDER`` writes the Python that needs a model which only a hub has, for mypy to check.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("packages/*/README.md"))]
# Their examples name models that are fetched when they are first used: they are checked, not run.
NEED_MODELS = {
    ROOT / "packages" / f"lollms-{name}" / "README.md"
    for name in ("align", "audiocraft", "bark", "diffusers", "whisper", "whispercpp", "xtts")
}
# Written and run as one by tests/test_tutorial.py.
TUTORIAL = ROOT / "docs" / "tutorial.md"
_FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: the word after the fence, such as "python", and its text."""

    kind: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in their order."""
    for found in _FENCE.finditer(page.read_text("utf-8")):
        yield Block(found["kind"].strip(), found["text"])


def program(page: Path) -> str:
    """The Python of a page, as one program."""
    return "\n".join(block.text for block in blocks(page) if block.kind == "python")


def main(folder: Path) -> None:
    """Write what is to be checked."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted(NEED_MODELS):
        if text := program(page):
            (folder / f"{page.parent.name.replace('-', '_')}_readme.py").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
