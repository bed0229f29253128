"""The time that a call may take, and the clock that ends all those whose time is over."""

from __future__ import annotations

from lollms_modalities.calls.scheduler import Scheduler
from lollms_modalities.errors import OptionError

DEADLINES = Scheduler("lollms-deadlines")


def checked_timeout(timeout: object) -> float:
    """What ``timeout=`` was given, in seconds. Raises ``OptionError`` where it is no positive number."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise OptionError(f"timeout={timeout!r} is no positive number of seconds.", hint="Leave it out for none.")
    return timeout
