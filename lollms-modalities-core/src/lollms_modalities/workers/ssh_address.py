"""``ssh://user@host:port``, read strictly: what it names is given to a program and to what its user configured."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import unquote

from lollms_modalities.errors import SettingsError

# What ssh puts into commands of its configuration (ProxyCommand, Match exec), which a shell runs, is of these alone.
_HOST = re.compile(r"[^\W_][\w.-]{0,254}|_[\w.-]{0,254}")
_USER = re.compile(r"[\w.@+\\-]{1,256}")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")
_LONGEST = 1000


class SshAddress(NamedTuple):
    """Where ssh is to go.

    Attributes:
        host: a name, an alias of the user's ssh configuration, or an IP address.
        user: "" for the one that ssh takes.
        port: None for the one that ssh takes.
    """

    host: str
    user: str = ""
    port: int | None = None

    @property
    def words(self) -> list[str]:
        """As arguments of ``ssh``; no part of it can be taken for an option."""
        user = ["-l", self.user] if self.user else []
        port = ["-p", str(self.port)] if self.port is not None else []
        return [*user, *port, "--", self.host]

    @property
    def target(self) -> str:
        """As it is written for ``ssh`` in a terminal, for messages."""
        port = f"-p {self.port} " if self.port is not None else ""
        return f"{port}{f'{self.user}@' if self.user else ''}{self.host}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}" + (f":{self.port}" if self.port is not None else "")


def parse_address(text: str) -> SshAddress:
    """Read an address. Raises ``SettingsError``; a password in it is not shown."""
    scheme, _, rest = text.partition("://")
    if scheme.lower() != "ssh" or len(text) > _LONGEST:
        raise _wrong("It does not begin with ssh://." if len(text) <= _LONGEST else "It is too long.")
    if not rest.isprintable() or " " in rest:
        raise _wrong("It holds a space or a character that does not show.")
    rest = rest.removesuffix("/")
    if any(mark in rest for mark in "/?#"):
        raise _wrong("Something follows the host.", "An environment that is there is named by environment=.")
    user, at, place = rest.rpartition("@")
    if ":" in user:
        raise _wrong("It holds a password, which others would see.", "Let ssh use a key: ssh-copy-id user@host.")
    user = unquote(user, errors="strict") if _is_utf8(user) else "\0"
    if at and (not _USER.fullmatch(user) or user.startswith("-") or user.endswith("\\")):
        raise _wrong(f"{user!r:.100} is no name of a user.")
    host, port = _host_and_port(place)
    return SshAddress(host, user, port)


def _host_and_port(place: str) -> tuple[str, int | None]:
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        address, percent, zone = host.partition("%")
        zone = zone.removeprefix("25")
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            closed = ""
        if not closed or (percent and not _ZONE.fullmatch(zone)) or (rest and not rest.startswith(":")):
            raise _wrong(f"{place!r:.100} is no IPv6 address in brackets.")
        host = f"{address}%{zone}" if percent else address
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = place.rpartition(":") if ":" in place else (place, "", "")
        if ":" in host:
            raise _wrong(f"{place!r:.100} has several colons.", "Write an IPv6 address as ssh://[::1].")
        if not _HOST.fullmatch(host):
            raise _wrong(f"{host!r:.100} is no name of a host.")
    if not colon:
        return host, None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise _wrong(f"{port!r:.20} is no port.")
    return host, int(port)


def _is_utf8(text: str) -> bool:
    try:
        unquote(text, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _wrong(what: str, hint: str = "") -> SettingsError:
    return SettingsError(
        f"The address of a place over ssh cannot be read. {what}",
        hint=hint or "Write it as ssh://user@host:port; the user and the port may be left out.",
        names=["place"],
    )
