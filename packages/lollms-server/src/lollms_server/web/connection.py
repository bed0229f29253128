"""What a request is told of its connection, beyond what ASGI has: whether more is to come, and that it was lost.

ASGI's way to learn that whoever asked has gone is a task which waits for it, for each request: that costs a short one
more than its body.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

from starlette.types import Scope

CONNECTION = "lollms.connection"  # in the state of a request's scope


class Connection:
    """One connection.

    Attributes:
        is_lost: whether it is no more.
        on_loss: called when it is lost; one at a time, as requests are.

    Args:
        more: whether something of the body of its request is still to come.
    """

    def __init__(self, more: Callable[[], bool]) -> None:
        self.more = more
        self.is_lost = False
        self.on_loss: Callable[[], object] | None = None

    @classmethod
    def of(cls, scope: Scope) -> Connection | None:
        """The connection of a request; None under a server that is not ours (``listening``)."""
        return cast("Connection | None", scope.get("state", {}).get(CONNECTION))

    def lose(self) -> None:
        """It is no more."""
        self.is_lost = True
        if self.on_loss is not None:
            self.on_loss()


def has_hung_up(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end has closed a connection that is not read now, with something unread before that end."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return transport.is_closing()
    poll = select.poll()
    poll.register(sock.fileno(), getattr(select, "POLLRDHUP", 0))  # where there is none a reset is seen alone
    return bool(poll.poll(0))
