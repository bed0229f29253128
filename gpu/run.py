"""Run a stage: ``python gpu/run.py transformers --out DIR``. ``--tiny`` runs it on any machine, with tiny models."""

from __future__ import annotations

import argparse
import datetime
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("transformers", "diffusers", "server")


def main(words: list[str] | None = None) -> int:
    """0 where all is well; 1 where a check failed or was not reached."""
    for folder in (ROOT, ROOT / "tests" / "support"):  # ours, and the makers of models
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    from gpu.findings import Outcome
    from gpu.report import Report, good
    from gpu.running import planned, run
    from gpu.worker import Setup

    signal.signal(
        signal.SIGTERM, lambda *seen: sys.exit(143)
    )  # so that what was begun is ended, and what was made removed
    asked = _arguments().parse_args(words)
    stage = f"gpu.stages.{asked.stage}"
    patience = asked.patience or (10.0 if asked.tiny else 1.0)
    checks = [check._replace(seconds=check.seconds * patience) for check in planned(stage, asked.only)]
    if not checks:
        raise SystemExit(f"No check of {asked.stage} has {asked.only!r} in its name.")
    device = "cpu" if asked.tiny else asked.device
    scratch = Path(tempfile.mkdtemp(prefix="gpu-"))
    folders = [Path(tempfile.mkdtemp(prefix="gpu-", dir=root)) for root in asked.models or _roots(asked.tiny)]
    report = Report(asked.out, asked.stage, len(checks))
    report.facts = {"models": "tiny" if asked.tiny else "of real size", "tree": _tree(), "when": _now()}

    def tell(outcome: Outcome) -> None:
        print(f"{outcome.status:14} {outcome.seconds:7.1f} s  {outcome.name}  {outcome.said}", flush=True)

    print(f"{len(checks)} checks on {device}, at most {asked.seconds:g} s", flush=True)
    try:
        run(Setup(stage, device, asked.tiny, tuple(folders), scratch), report, checks, asked.seconds, tell)
    finally:
        for folder in (scratch, *folders):
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{report.summary}. {asked.out / 'report.md'}", flush=True)
    return 0 if good(report.outcomes) else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="What the bindings do on a card.")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--tiny", action="store_true", help="tiny models on the processor")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--seconds", type=float, default=530.0, help="for all checks together (530)")
    parser.add_argument("--patience", type=float, help="times what a check may take on a card (1; 10 with --tiny)")
    parser.add_argument("--only", default="", help="checks with this in their names")
    parser.add_argument("--models", type=Path, action="append", help="where models are made; may be given twice")
    return parser


def _roots(tiny: bool) -> list[Path]:
    """Memory first, since a model of 34 GB is written and read; then the disk."""
    memory, disk = Path("/dev/shm"), Path(tempfile.gettempdir())
    return [disk] if tiny or not memory.is_dir() else [memory, disk]


def _tree() -> str:
    packed = ROOT / "gpu" / "tree.txt"  # written by pack.sh
    if packed.is_file():
        return packed.read_text("utf-8").strip()
    if (git := shutil.which("git")) is None:
        return "unknown"
    asked = [git, "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


if __name__ == "__main__":
    sys.exit(main())
