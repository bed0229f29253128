"""Addresses of services."""

from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import urlsplit

from lollms_modalities.errors import SettingsError


def clean_address(address: str, *, strip: tuple[str, ...] = ()) -> str:
    """An address of a server as ``scheme://host:port/path``, without a slash at its end and without what is stripped.

    Raises:
        SettingsError: it is none, or holds a user name.
    """
    text = address.strip()
    text = (text if "://" in text else f"http://{text}").rstrip("/")
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or any(c.isspace() for c in text):
        raise SettingsError(f"{address[:200]!r} is no address of a server.", hint="Such as http://localhost:9600.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("An address with a user name or password in it was given.", hint="Give the key by itself.")
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
