"""Whose a job is, and as whom it runs when its owner is not there any more."""

from __future__ import annotations

from lollms_server.room.callers import TERMINAL, Caller
from lollms_server.room.door import is_local
from lollms_server.room.keys import Keys

_KEY, _ADDRESS = "key ", "address "


def owner_of(caller: Caller) -> str:
    """Whose what this caller asks for is. A key that takes the name of one that was removed is another owner."""
    return f"{caller.who} {caller.since}" if caller.since else caller.who


def caller_of(owner: str, keys: Keys) -> Caller | None:
    """As whom a job of that owner runs now; None where its key is gone, or one is needed since.

    Raises:
        ConfigurationError: the file of keys is damaged.
    """
    known = keys.all()
    if owner.startswith(_KEY):
        callers = (key.caller("") for key in known)
        return next((caller for caller in callers if owner_of(caller) == owner), None)
    if owner == TERMINAL.who:
        return TERMINAL
    address = owner.removeprefix(_ADDRESS)
    return Caller(None, "anonymous", address) if not known and is_local(address) else None
