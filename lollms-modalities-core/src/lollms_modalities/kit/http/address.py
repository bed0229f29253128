"""Addresses of services."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from urllib.parse import urlsplit

from lollms_modalities.errors import SettingsError

_MACHINE_ENDS = re.compile("[/?#]")  # the part of an address that names the machine


def clean_address(address: str, *, strip: tuple[str, ...] = ()) -> str:
    """An address of a server as ``scheme://host:port/path``, without a slash at its end and without what is stripped.

    Raises:
        SettingsError: it is none, or holds a user name, a query or a fragment.
    """
    text = address.strip()
    text = (text if "://" in text else f"http://{text}").rstrip("/")
    # What may hold a secret is not shown, whatever else is wrong with it.
    if "@" in _MACHINE_ENDS.split(text.partition("://")[2], maxsplit=1)[0]:
        raise SettingsError("An address with a user name or password in it was given.", hint="Give the key by itself.")
    if "?" in text or "#" in text:
        raise SettingsError(
            "An address with a ? or # in it was given.", hint="Give what is before it; a key by itself."
        )
    try:
        parts = urlsplit(text)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:  # of brackets, or of the port
        wrong = True
    if wrong or any(c.isspace() for c in text):
        raise SettingsError(f"{address[:200]!r} is no address of a server.", hint="Such as http://localhost:9600.")
    for tail in strip:
        text = text.removesuffix(tail).rstrip("/")
    return text


def is_loopback(url: str) -> bool:
    """Whether the host of an address is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443}.get(parts.scheme, 80)
