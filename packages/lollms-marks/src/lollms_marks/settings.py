"""What can be set: ``[plugins.marks]`` in the configuration, or ``LOLLMS_PLUGINS_MARKS_...``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

PRIVATE = ("seed", "options", "settings")  # what goes into a mark only where it is named


@dataclass(frozen=True)
class Settings:
    """How marks are made.

    Attributes:
        producer: who answers for what is made, as it is to stand in marks.
        failure: "warn": a result that cannot be marked is given, and that is told; "refuse": it is not given.
        include: which of ``PRIVATE`` are put into marks.
        certificate: a file (PEM) with the certificate and those above it; with it results are signed.
        key: a file (PEM) with its private key.
        signer: in the place of ``key``: ``module:function``, which is given bytes and gives their signature.
        algorithm: of the signature, such as "es256"; "" for what the certificate's key has.
        time_stamp: address of a time-stamp server (RFC 3161), or "".
        time_stamp_timeout: seconds that it may take.
        sidecar: whether files that cannot hold credentials get them beside, as ``NAME.c2pa``.
        problems: what is wrong with what was set.
    """

    producer: str = ""
    failure: str = "warn"
    include: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    signer: str = ""
    algorithm: str = ""
    time_stamp: str = ""
    time_stamp_timeout: float = 2.0
    sidecar: bool = True
    problems: tuple[str, ...] = ()

    @property
    def signs(self) -> bool:
        """Whether results are to be signed."""
        return bool(self.certificate)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """The settings that a table holds. What is wrong is left out and told in ``problems``."""
        known: dict[str, Any] = {}
        problems = []
        names = [f.name for f in fields(cls) if f.name != "problems"]
        for name, value in given.items():
            if name not in names:
                problems.append(f"{name!r} means nothing; there are {', '.join(names)}")
                continue
            try:
                known[name] = _checked(name, value)
            except ValueError as exc:
                problems.append(f"{name} is {value!r}: {exc}")
        if not known.get("certificate") and (known.get("key") or known.get("signer")):
            problems.append("a key without a certificate")
        if known.get("certificate") and bool(known.get("key")) == bool(known.get("signer")):
            problems.append("a certificate needs either key or signer")
        return cls(**known, problems=tuple(problems))


def _checked(name: str, value: Any) -> Any:
    if name == "sidecar":
        if isinstance(value, str) and value.lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            return value.lower() in ("1", "true", "yes", "on")
        if not isinstance(value, bool):
            raise ValueError("it is true or false")
        return value
    if name == "time_stamp_timeout":
        seconds = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
        if not 0 < seconds <= 60:
            raise ValueError("it is a number of seconds, up to 60")
        return seconds
    if name == "include":
        names = tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(value)
        if wrong := [each for each in names if each not in PRIVATE]:
            raise ValueError(f"{wrong[0]!r} cannot be included; {', '.join(PRIVATE)} can")
        return names
    if not isinstance(value, str):
        raise ValueError("it is a text")
    if name == "failure" and value not in ("warn", "refuse"):
        raise ValueError("it is 'warn' or 'refuse'")
    if len(value) > 1000:
        raise ValueError("it is longer than 1000 characters")
    return value
