"""``lollms jobs``: the jobs of a server, of this machine over its Unix socket, or of any over HTTP."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from lollms_modalities import ConfigurationError

from lollms_server.commands.output import out, say
from lollms_server.commands.reaching import Here, Reached, There

_LOOK = 0.5  # seconds
_ENDED = ("completed", "failed", "cancelled")
_KEY = "LOLLMS_SERVER_KEY"


def run(words: list[str]) -> int:
    """Run what the words after ``lollms jobs`` say; the exit code."""
    given = parser().parse_args(words)
    code: int = given.run(given, reached(given))
    return code


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    from lollms_server.commands.arguments import where

    found = argparse.ArgumentParser(prog="lollms jobs", description="The jobs of a server.", allow_abbrev=False)
    acts = found.add_subparsers(required=True, metavar="list|watch|get|cancel")
    for name, does, act in (
        ("list", "which jobs there are", show), ("watch", "how far a job is, until it has ended", watch),
        ("get", "what came of a job, as a file", get), ("cancel", "cancel a job", cancel),
    ):  # fmt: skip
        made = acts.add_parser(name, help=does, allow_abbrev=False)
        made.add_argument("--server", metavar="URL", help=f"another server; its key is in the variable {_KEY}")
        where(made, within=True)
        made.set_defaults(run=act)
        if name == "list":
            made.add_argument("--status", choices=("queued", "in_progress", *_ENDED), help="only those")
            made.add_argument("--limit", type=int, default=50, help="how many, the newest first (50)")
            made.add_argument("--json", action="store_true", help="as JSON")
        else:
            made.add_argument("job", help="its id")
        if name == "get":
            made.add_argument("-o", "--output", type=Path, help="the file; - is standard output; else named by the id")
            made.add_argument("--file", type=int, default=0, help="which, where there are several (0)")
            made.add_argument("--wait", action="store_true", help="until it is done")
    return found


def reached(given: argparse.Namespace) -> Reached:
    """The server that is meant."""
    if given.server is not None:
        return There(given.server, os.environ.get(_KEY, ""))
    from lollms_server.commands.arguments import configured

    return Here(configured(given).serve.socket_path())


def show(given: argparse.Namespace, server: Reached) -> int:
    """Which jobs there are."""
    if not 1 <= given.limit <= 1000:
        raise ConfigurationError("--limit is a number from 1 to 1000.")
    rows = server.listed(given.status, given.limit)
    if given.json:
        out(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        out(_line(row))
    return 0


def _line(row: dict[str, Any]) -> str:
    facts = [f"{row['model']} {row['verb']}", row["status"]]
    if row["status"] == "in_progress":
        facts.append(f"{row['progress']} %")
    if row["ended_at"] is not None and row["started_at"] is not None:
        facts.append(f"{row['ended_at'] - row['started_at']:.1f} s")
    if row["error"] is not None:
        facts.append(row["error"]["message"].splitlines()[0])
    return f"{row['id']}  {', '.join(facts)}"


def watch(given: argparse.Namespace, server: Reached) -> int:
    """How far a job is, until it has ended; 0 where it is completed."""
    last = ""
    while True:
        row = server.job(given.job)
        if (line := _line(row)) != last:
            out(line)
            last = line
        if row["status"] in _ENDED:
            return 0 if row["status"] == "completed" else 1
        time.sleep(_LOOK)


def get(given: argparse.Namespace, server: Reached) -> int:
    """Fetch what came of a job into a file that is there whole or not at all."""
    if given.wait and watch(given, server):
        return 1
    row = server.job(given.job)
    to_stdout = given.output is not None and str(given.output) == "-"
    name = f"{given.job}{_suffix(row, given.file)}"
    path = Path(name) if given.output is None else given.output / name if given.output.is_dir() else given.output
    parts = server.content(row, given.file)
    if to_stdout:
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return 0
    through = path.exists() and not path.is_file()  # a pipe or a device is written to, and not replaced
    part_path = path if through else path.with_name(f".{path.name}.part")
    try:
        with part_path.open("wb") as file:
            for part in parts:
                file.write(part)
        if not through:
            os.replace(part_path, path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror or exc}.") from exc
    finally:
        if not through:
            part_path.unlink(missing_ok=True)
    say(f"Saved {path}.")
    return 0


def _suffix(row: dict[str, Any], number: int) -> str:
    files = row["files"]
    if not files:
        return ".json"
    kind = files[number]["mime_type"].partition(";")[0] if 0 <= number < len(files) else ""
    known = {"audio/mpeg": ".mp3", "audio/wav": ".wav", "audio/ogg": ".ogg", "audio/flac": ".flac", "audio/aac": ".aac",
             "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "video/mp4": ".mp4"}  # fmt: skip
    return known.get(kind, "")


def cancel(given: argparse.Namespace, server: Reached) -> int:
    """Cancel a job; 0 where it was, 1 where it had ended before."""
    row = server.cancel(given.job)
    if row["status"] != "cancelled":
        say(f"{given.job} had ended already: {row['status']}.")
        return 1
    return 0
