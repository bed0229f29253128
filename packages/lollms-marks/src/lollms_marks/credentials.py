"""Signed content credentials, read with c2pa's own library (the extra ``c2pa``). Nothing is fetched."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import c2pa

from lollms_marks.mark import MADE_BY_MODELS, term_of
from lollms_marks.reading import Finding
from lollms_marks.view import View

MIME_TYPES = {
    "wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "png": "image/png", "jpeg": "image/jpeg",
    "webp": "image/webp", "mp4": "video/mp4",
}  # fmt: skip
OTHER = "application/octet-stream"
OFFLINE: dict[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
# Bytes of a file that are looked through: c2pa holds some formats in memory, once or twice.
_LARGEST = 1 << 34
_MOST_BYTES = {"mp4": _LARGEST, "wav": 1 << 32, "mp3": 1 << 30, "flac": 1 << 30}
_MOST_OF_OTHERS = 1 << 28
_MOST_OF_MANIFESTS = 1 << 26
_UNTRUSTED = "signingCredential.untrusted"
_EXPIRED = "signingCredential.expired"


@lru_cache(maxsize=8)
def context(anchors: str = "") -> Any:
    """c2pa's settings: offline, without thumbnails; ``anchors`` are the certificates (PEM) that are known."""
    trust = {"trust": {"user_anchors": anchors}} if anchors else {}
    return c2pa.Context(c2pa.Settings.from_dict({**OFFLINE, **trust}))


def read_credentials(
    path: Path, manifest: Path | None, where: str, anchors: str = "", *, certain: bool = True
) -> Finding | str | None:
    """The credentials of a file, embedded or in ``manifest``.

    Args:
        certain: whether there are some, so that those which cannot be read are damaged.

    Returns:
        What they say; in words why they are not looked at; None where there are none.
    """
    from lollms_marks.formats import format_of

    with path.open("rb") as file:
        view = View(file)
        name = format_of(view)
        file.seek(0)
        kind = MIME_TYPES.get(name) or (OTHER if manifest is not None else path.suffix.lstrip(".").lower())
        for size, most in (
            (view.size, _LARGEST if manifest is not None else _MOST_BYTES.get(name, _MOST_OF_OTHERS)),
            (0 if manifest is None else manifest.stat().st_size, _MOST_OF_MANIFESTS),
        ):
            if size > most:
                return f"content credentials are not looked at in files of more than {most >> 20} MB"
        data = None if manifest is None else manifest.read_bytes()
        return _looked_at(kind or OTHER, file, data, where, anchors, certain)


def source_type_in(media: bytes | Path, name: str) -> str:
    """IPTC's term for what made media, if their credentials say that it was a model; else "".

    Args:
        media: bytes, or the file that holds them.
        name: their format.
    """
    if name not in MIME_TYPES:
        return ""
    with io.BytesIO(media) if isinstance(media, bytes) else media.open("rb") as file:
        finding = _looked_at(MIME_TYPES[name], file, None, "embedded", "", certain=False)
    terms = () if finding is None else finding.details["source_types"]
    return next((term for term in terms if term in MADE_BY_MODELS), "")


def _looked_at(
    kind: str, file: BinaryIO, manifest: bytes | None, where: str, anchors: str, certain: bool
) -> Finding | None:
    try:
        with c2pa.Reader(kind, file, manifest, context(anchors)) as reader:
            return found(json.loads(reader.json()), reader.get_validation_state() or "", where)
    except c2pa.C2paError as exc:
        said = f"its content credentials cannot be read: {str(exc)[:300]}"
        return Finding("c2pa", where, False, says=said) if certain else None


def found(told: dict[str, Any], state: str, where: str) -> Finding:
    """A finding of what c2pa tells of a manifest store."""
    manifests = told.get("manifests", {})
    active = manifests.get(told.get("active_manifest"), {})
    signature = active.get("signature_info", {})
    failures = [f for f in _failures(told) if f != _UNTRUSTED]
    terms = list(dict.fromkeys(_terms(active) + [t for m in manifests.values() for t in _terms(m)]))
    generated = True if any(term in MADE_BY_MODELS for term in terms) else False if terms else None
    named = [str(signature[n])[:200] for n in ("common_name", "issuer") if signature.get(n)]
    signer = " / ".join(dict.fromkeys(named))
    whole = state in ("Valid", "Trusted")
    made = "made by a model" if generated else f"its source is {terms[0]!r}" if terms else "says nothing of its source"
    says = made if whole else f"broken: {', '.join(failures[:5]) or 'it does not hold'}; it had said: {made}"
    if not whole and _EXPIRED in failures and signature.get("time"):
        says += "; it bears a time-stamp: trust the certificate of its authority, if you know that"
    agents = [str(info.get("name", "")) for info in active.get("claim_generator_info", []) if isinstance(info, dict)]
    details = {
        "generator": agents, "source_types": terms, "failures": failures[:20], "time": signature.get("time") or "",
        "serial": str(signature.get("cert_serial_number") or ""), "ingredients": len(active.get("ingredients", [])),
    }  # fmt: skip
    return Finding("c2pa", where, whole, generated, says, signer, state == "Trusted", details)


def _failures(told: dict[str, Any]) -> list[str]:
    results = told.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    codes = [each.get("code", "") for each in [*results, *told.get("validation_status", [])]]
    return list(dict.fromkeys(code for code in codes if code))


def _terms(manifest: dict[str, Any]) -> list[str]:
    terms = []
    for assertion in manifest.get("assertions", []):
        data = assertion.get("data")
        if str(assertion.get("label", "")).startswith("c2pa.actions") and isinstance(data, dict):
            for action in data.get("actions", []):
                if isinstance(action, dict) and isinstance(source := action.get("digitalSourceType"), str):
                    terms.append(term_of(source))
    return terms
