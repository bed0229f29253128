"""What a file says of how it was made, on which technique that rests, and whether it is whole. Nothing is fetched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from errno import EINVAL
from pathlib import Path
from stat import S_ISREG
from typing import Any

from lollms_marks.formats import Tags, format_of, read
from lollms_marks.mark import AIGC, MADE_BY_MODELS, OWN, SOURCE_TYPE, Mark, parsed, term_of
from lollms_marks.view import Broken, View

NONE = "No mark found. That does not mean that a person made it."
UNSIGNED = "unsigned: anybody can put it there or take it away, and it says nothing of changes"
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_LABELS = {"1": "generated", "2": "may be generated", "3": "suspected to be generated"}  # GB 45438-2025


@dataclass(frozen=True)
class Finding:
    """One mark.

    Attributes:
        technique: "c2pa" (signed content credentials), "lollms" (a plain mark of ours), "iptc" (a source type of IPTC),
            "aigc" (a label of GB 45438-2025).
        where: "embedded" or "sidecar".
        whole: whether it is what its maker wrote; None where the technique cannot tell.
        generated: whether it says that a model made or changed it; None where it does not say.
        says: that in words.
        signer: who signed, or "".
        known: whether that signer is trusted here: by ``trust``; None where nobody signed.
        details: the rest, as JSON values.
    """

    technique: str
    where: str = "embedded"
    whole: bool | None = None
    generated: bool | None = None
    says: str = ""
    signer: str = ""
    known: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What was found in one file.

    Attributes:
        path: of the file.
        format: its container, or "".
        findings: the marks, signed ones first.
        problems: what could not be looked at, and what is damaged.
    """

    path: str
    format: str
    findings: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """ "whole", "broken" or "none"."""
        if any(finding.whole is False for finding in self.findings):
            return "broken"
        return "whole" if self.findings else "none"

    @property
    def generated(self) -> bool | None:
        """Whether a mark says that a model made or changed it."""
        said = [finding.generated for finding in self.findings if finding.generated is not None]
        return any(said) if said else None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": self.path,
            "format": self.format,
            "status": self.status,
            "generated": self.generated,
            "findings": [dict(vars(finding)) for finding in self.findings],
            "problems": list(self.problems),
            "note": NONE if self.status == "none" else "",
        }


def verify(path: str | os.PathLike[str], *, trust: Iterable[str | os.PathLike[str]] = ()) -> Report:
    """Look for marks in a file, and beside it in ``NAME.c2pa``. Never asks a network.

    Args:
        path: of the file, of any kind.
        trust: files of certificates (PEM) whose signatures are known here.

    Raises:
        OSError: a file cannot be read, or is none: of a pipe or a device there is no end.
        ValueError: a file of ``trust`` holds no certificates.
    """
    anchors = "".join(certificates_in(each) for each in trust)
    target = Path(os.path.expanduser(path))
    if not S_ISREG(target.stat().st_mode):
        raise OSError(EINVAL, "it is no file", str(target))
    problems: list[str] = []
    with target.open("rb") as file:
        view = View(file)
        name = format_of(view)
        try:
            tags = read(view, name)
        except Broken as exc:
            tags = Tags()
            problems.append(f"its tags cannot be read: {exc}")
    signed, unread = _signed(target, tags.c2pa, bool(problems) or not name, anchors)
    problems += unread
    if tags.damage:
        problems.append(tags.damage)
    return Report(str(target), name, (*signed, *_plain(tags)), tuple(problems))


def certificates_in(path: str | os.PathLike[str]) -> str:
    """The certificates in a file (PEM), and nothing else of it, such as a key. Raises as ``verify`` does."""
    found = _CERTIFICATE.findall(Path(os.path.expanduser(path)).read_text("ascii", "replace"))
    if not found:
        raise ValueError("it holds no certificate (PEM)")
    text = "".join(f"{each}\n" for each in found)
    try:
        from cryptography.x509 import load_pem_x509_certificates
    except ImportError:
        return text  # and nothing that would look at it
    try:
        load_pem_x509_certificates(text.encode())
    except ValueError as exc:
        raise ValueError(f"a certificate in it is damaged: {exc}") from exc
    return text


def _signed(target: Path, embedded: bool, perhaps: bool, anchors: str) -> tuple[list[Finding], list[str]]:
    """The content credentials in a file, as is known or may be, and beside it; and what could not be looked at."""
    sidecar = target.with_name(target.name + ".c2pa")
    places: list[tuple[Path | None, str]] = [(None, "embedded")] if embedded or perhaps else []
    places += [(sidecar, "sidecar")] if sidecar.is_file() else []
    if not places:
        return [], []
    try:
        from lollms_marks.credentials import read_credentials
    except ImportError:
        said = 'there are content credentials, which are read with pip install "lollms-marks[c2pa]>=2.0,<3"'
        return [], [said] if embedded or len(places) > 1 or sidecar.is_file() else []
    found, problems = [], []
    for manifest, where in places:
        certain = embedded or manifest is not None
        finding = read_credentials(target, manifest, where, anchors, certain=certain)
        if isinstance(finding, Finding):
            found.append(finding)
        elif finding and certain:
            problems.append(finding)
    return found, problems


def _plain(tags: Tags) -> list[Finding]:
    texts = tags.texts
    whole = False if tags.damage else None
    found = []
    own = parsed(texts[OWN]) if OWN in texts else None
    term = term_of(texts.get(SOURCE_TYPE, ""))
    if OWN in texts:
        mark = Mark.from_json(own) if isinstance(own, dict) else None
        said = term or (mark.source_type if mark is not None else "")
        found.append(
            Finding(
                "lollms", whole=whole if mark is not None else False, generated=said in MADE_BY_MODELS,
                says=_said(said, mark), details=mark.to_json() if mark is not None else {},
            )
        )  # fmt: skip
    elif term:
        generated = term in MADE_BY_MODELS
        found.append(Finding("iptc", whole=whole, generated=generated, says=f"its source is {term!r} ({UNSIGNED})"))
    if AIGC in texts and OWN not in texts:
        found.append(_label(texts[AIGC], whole))
    return found


def _said(term: str, mark: Mark | None) -> str:
    if mark is None:
        return "a plain mark that is damaged"
    by = " with ".join(part for part in (mark.engine, mark.model) if part)
    made = f"made by a model{f' ({by})' if by else ''}" if term in MADE_BY_MODELS else f"its source is {term!r}"
    return f"{made}{f', {mark.time}' if mark.time else ''} ({UNSIGNED})"


def _label(text: str, whole: bool | None) -> Finding:
    label = parsed(text)
    if isinstance(label, dict) and isinstance(inside := label.get("AIGC"), dict):
        label = inside  # with its name once more
    if not isinstance(label, dict):
        return Finding("aigc", whole=False, says="a label AIGC that is damaged")
    value = str(label.get("Label", ""))[:20]
    kept = {str(k)[:100]: v for k, v in list(label.items())[:20] if isinstance(v, str) and len(v) < 1000}
    says = _LABELS.get(value, f"has the label {value!r}")
    return Finding("aigc", whole=whole, generated=value in _LABELS, says=f"{says} ({UNSIGNED})", details=kept)
