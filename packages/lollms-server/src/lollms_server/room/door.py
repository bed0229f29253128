"""Who is let in, and as whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache

from lollms_server.room.callers import Caller
from lollms_server.room.errors import KeyRefused
from lollms_server.room.keys import Keys

_MEND = "Make a key with lollms serve key add NAME."


class Door:
    """Who is let in. Without any key it is this machine, unless a proxy makes all the world look like it.

    Args:
        keys: those that there are.
        open_lists: whether lists are for everybody.

    Raises:
        ConfigurationError: the file of keys is damaged.
    """

    def __init__(self, keys: Keys, open_lists: Callable[[], bool]) -> None:
        self._keys = keys
        self._open_lists = open_lists
        keys.all()

    def enter(self, presented: str | None, address: str, *, forwarded: bool, lists: bool) -> Caller:
        """As ``Room.authenticate``."""
        if not self._keys.of_this_turn():
            return self._without_keys(address, forwarded)
        if presented is None:
            if lists and self._open_lists():
                return Caller(None, "anonymous", address)
            raise KeyRefused(
                "There is no key in the request.", hint="Send it in the header Authorization, as `Bearer` and the key."
            )
        return self._keys.find(presented, address)

    def _without_keys(self, address: str, forwarded: bool) -> Caller:
        if forwarded:
            raise KeyRefused(
                "The request came through a proxy, and no key is needed here: all the world would look local.",
                hint=_MEND,
            )
        if not is_local(address):
            raise KeyRefused(f"Without keys only this machine may ask, and {address!r:.60} is not it.", hint=_MEND)
        return Caller(None, "anonymous", address)


@lru_cache(1024)
def is_local(address: str) -> bool:
    """Whether an IP address is this machine's own loopback."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
