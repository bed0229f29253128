"""The report of a stage, in Markdown and JSON: written anew after each check, so that a run that is cut tells, too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gpu.findings import ORDER, Figure, Outcome

_TITLES = {"model": "Models", "correctness": "What is correct", "figure": "Figures"}
_GOOD = ("passed", "not here")


class Report:
    """``report.json`` and ``report.md`` in a folder.

    Attributes:
        outcomes: of the checks so far.
    """

    def __init__(self, folder: Path, stage: str, expected: int) -> None:
        self._folder = folder
        self._stage = stage
        self._expected = expected
        self.facts: dict[str, str] = {}
        self.outcomes: list[Outcome] = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, outcome: Outcome) -> None:
        """One more; it is in the files when this returns."""
        self.outcomes.append(outcome)
        self.write()

    def write(self) -> None:
        """Both files, each of them whole at any time."""
        _replace(self._folder / "report.json", json.dumps(self._data(), indent=1) + "\n")
        _replace(self._folder / "report.md", self._text())

    @property
    def whole(self) -> bool:
        """Whether each check has its place in it."""
        return len(self.outcomes) == self._expected

    @property
    def summary(self) -> str:
        """How many of what, in a line."""
        counts = [(status, sum(o.status == status for o in self.outcomes)) for status in _statuses(self.outcomes)]
        missed = sum(figure.verdict == "MISSED" for o in self.outcomes for figure in o.figures)
        parts = [f"{count} {status}" for status, count in counts]
        parts += [f"{self._expected - len(self.outcomes)} not yet run"] if not self.whole else []
        return ", ".join([f"{self._expected} checks: {parts[0] if parts else 'none run'}", *parts[1:]]) + (
            f"; goals missed: {missed}" if missed else ""
        )

    def _data(self) -> dict[str, Any]:
        outcomes = [
            {
                **outcome._asdict(),
                "figures": [{**f._asdict(), "ratio": f.ratio, "verdict": f.verdict} for f in outcome.figures],
            }
            for outcome in self.outcomes
        ]
        return {"stage": self._stage, "facts": self.facts, "expected": self._expected, "whole": self.whole,
                "outcomes": outcomes}  # fmt: skip

    def _text(self) -> str:
        lines = [f"# Stage {self._stage}", "", f"{self.summary}.", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in self.facts.items()]
        for kind in ORDER:
            mine = [outcome for outcome in self.outcomes if outcome.kind == kind]
            if mine:
                lines += ["", f"## {_TITLES[kind]}", "", "| Check | | s | |", "|---|---|---|---|"]
                lines += [_row(outcome) for outcome in mine]
                lines += _figures([figure for outcome in mine for figure in outcome.figures])
        for outcome in self.outcomes:
            if outcome.traceback:
                lines += ["", f"## {outcome.name}: {outcome.status}", "", "```", outcome.traceback.rstrip(), "```"]
        return "\n".join(lines) + "\n"


def good(outcomes: list[Outcome]) -> bool:
    """Whether nothing failed, and nothing was left undone for want of time."""
    return all(outcome.status in _GOOD for outcome in outcomes)


def _statuses(outcomes: list[Outcome]) -> list[str]:
    return list(dict.fromkeys(outcome.status for outcome in outcomes))


def _row(outcome: Outcome) -> str:
    said = "; ".join(filter(None, (outcome.said, *outcome.notes)))
    return f"| {outcome.name} | {outcome.status} | {outcome.seconds:.1f} | {_cell(said)} |"


def _figures(figures: list[Figure]) -> list[str]:
    if not figures:
        return []
    lines = ["", "| Measured | | beside | | ratio | goal |", "|---|---|---|---|---|---|"]
    for f in figures:
        other = "" if f.other is None else f"{f.other:.4g} {f.unit}"
        ratio = "" if f.ratio is None else f"{f.ratio:.3f}"
        goal = "" if f.goal is None else f"{'at least' if f.more else 'at most'} {f.goal:g}: {f.verdict}"
        lines.append(f"| {f.what} | {f.value:.4g} {f.unit} | {f.beside} | {other} | {ratio} | {goal} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(path.suffix + ".new")
    new.write_text(text, "utf-8")
    os.replace(new, path)
