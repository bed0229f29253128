"""``lollms verify FILE...``: what files tell of how they were made."""

from __future__ import annotations

import argparse
import json
import sys

from lollms_marks.reading import NONE, Finding, Report, certificates_in, verify

WHOLE, BROKEN, UNREAD, NO_MARK = 0, 1, 2, 3
_TECHNIQUES = {
    "c2pa": "signed content credentials (C2PA)", "lollms": "plain mark", "iptc": "source type of IPTC",
    "aigc": "label AIGC (GB 45438-2025)",
}  # fmt: skip


def run(words: list[str], program: str = "lollms verify") -> int:
    """Check files and say what was found; the exit code: the worst of 0 whole, 3 none, 1 broken, 2 not read."""
    parser = argparse.ArgumentParser(
        program, description="Say what files tell of how they were made. Nothing is sent or fetched.",
        epilog="Exit code: 0 each has a mark and is whole as far as that can be told, 1 one is broken, 2 one cannot be "
        "read, 3 one has no mark.",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file of any kind")
    parser.add_argument("--json", action="store_true", help="as an array of JSON")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PEM", help="certificates whose signatures are known here"
    )
    given = parser.parse_args(words)
    for path in given.trust:
        try:
            certificates_in(path)
        except (OSError, ValueError) as exc:
            parser.error(f"{path!r} cannot be trusted: {getattr(exc, 'strerror', None) or exc}")
    reports: list[dict[str, object]] = []
    codes = []
    for path in given.files:
        try:
            report = verify(path, trust=given.trust)
        except OSError as exc:
            codes.append(UNREAD)
            reports.append({"path": path, "status": "unread", "problems": [exc.strerror or str(exc)]})
            if not given.json:
                sys.stderr.write(f"{path}: it cannot be read: {exc.strerror or exc}\n")
            continue
        codes.append({"whole": WHOLE, "broken": BROKEN, "none": NO_MARK}[report.status])
        reports.append(report.to_json())
        if not given.json:
            sys.stdout.write(in_words(report))
    if given.json:
        sys.stdout.write(json.dumps(reports, indent=2, ensure_ascii=not _takes_letters()) + "\n")
    return next((code for code in (UNREAD, BROKEN, NO_MARK) if code in codes), WHOLE)


def in_words(report: Report) -> str:
    """A report for people."""
    lines = [f"{report.path}: {_head(report)}"]
    lines += [f"  {_line(finding)}" for finding in report.findings]
    lines += [f"  Note: {problem}." for problem in report.problems]
    return "".join(f"{_printable(line)}\n" for line in lines)


def _head(report: Report) -> str:
    if report.status == "none":
        return NONE
    if report.status == "broken":
        return "broken: a mark is there, and the file is not as its maker left it, or the mark is damaged."
    signed = any(finding.whole for finding in report.findings)
    made = {True: "made by a model", False: "not said to be made by a model", None: "marked"}[report.generated]
    return f"{made}; {'signed, and unchanged since' if signed else 'not signed'}."


def _line(finding: Finding) -> str:
    where = " in a file beside it" if finding.where == "sidecar" else ""
    by = ""
    if finding.signer:
        by = f" Signed by {finding.signer}, who is {'known' if finding.known else 'not known'} here."
    return f"{_TECHNIQUES[finding.technique]}{where}: {finding.says}.{by}"


def _printable(text: str) -> str:
    """What a terminal may be given of a stranger's file."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if _takes_letters() else clean.encode("ascii", "replace").decode()


def _takes_letters() -> bool:
    return (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") == "utf8"
