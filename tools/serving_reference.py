"""The tables of docs/serving.md, and of pages below it, that are made from what the server says of itself.

``python tools/serving_reference.py`` writes them, ``--check`` fails where a page is not up to date. It needs
lollms-server installed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

PAGE = Path(__file__).parent.parent / "docs" / "serving.md"


def fields(model: type[BaseModel]) -> str:
    """The fields of a table of the configuration."""
    rows = [
        (f"`{name}`", _default(field), _described(field.description or ""))
        for name, field in model.model_fields.items()
    ]
    return _table(("Key", "Left out", "What it says"), rows)


def metrics() -> str:
    """The metrics of a room."""
    from lollms_server.jobs.metrics import JobMetrics
    from lollms_server.room.metrics import Metrics
    from lollms_server.room.models import ServedModel
    from lollms_server.room.resident import Resident

    resident = Resident(ServedModel("x", "tts", "x"))
    measured = Metrics(lambda: [resident])
    JobMetrics(measured.registry, None)
    rows = []
    for family in measured.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, family.documentation))
    resident.close()
    return _table(("Metric", "Kind", "What it tells"), rows)


def surfaces() -> str:
    """What the surfaces are."""
    from lollms_server.web.surfaces import ABOUT

    rows = [(f"`{name}`", clients, what) for name, (clients, what) in ABOUT.items()]
    return _table(("Surface", "Who speaks it", "What it answers"), rows)


def _default(field: Any) -> str:
    if field.is_required():
        return "must be there"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{part}`" for part in value)
    return f"`{value:_}`" if isinstance(value, int) and value > 99_999 else f"`{value}`"


def _described(text: str) -> str:
    return text.replace("|", "\\|")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def tables() -> dict[Path, dict[str, str]]:
    """The tables of each page, by the names of their places."""
    from lollms_server.room.configuration import JobSettings, Model, Plugin, Serve, WyomingSettings

    told: dict[str, type[BaseModel]] = {"serve": Serve, "jobs": JobSettings, "models": Model, "plugins": Plugin}
    return {
        PAGE: {name: fields(model) for name, model in told.items()} | {"metrics": metrics(), "surfaces": surfaces()},
        PAGE.parent / "serving" / "home-assistant.md": {"wyoming": fields(WyomingSettings)},
    }


def filled(file: Path, made: Mapping[str, str]) -> str:
    """A page with its tables as they are to be."""
    text = file.read_text("utf-8")
    for name, table in made.items():
        before, mark, rest = text.partition(f"<!-- table: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not mark or not end:
            raise SystemExit(f"{file.name} has no place for the table {name}.")
        text = f"{before}{mark}{table}\n{end}{after}"
    return text


def main() -> int:
    """0 where the pages are up to date."""
    for file, made in tables().items():
        new = filled(file, made)
        if new == file.read_text("utf-8"):
            continue
        if "--check" in sys.argv:
            sys.stderr.write(f"{file.name} is not up to date: run python tools/serving_reference.py.\n")
            return 1
        file.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
