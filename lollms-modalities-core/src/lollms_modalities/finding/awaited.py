"""A binding is made off the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from lollms_modalities.calls.call import Call
from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.calls.threads import submit

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding

B = TypeVar("B", bound="LollmsBinding")


async def made_aside(make: Callable[[CancelToken], B]) -> B:
    """What ``make`` gives in a thread of its own.

    Cancelling the task cancels the token, with which ``make`` ends what it has started. A binding that is made in spite
    of that, since its constructor does not listen, is closed: nobody has it.
    """
    token, context = CancelToken(), contextvars.copy_context()
    call = Call("create_binding")
    call.on_cancel(lambda: token.cancel("the program ends"))
    future = submit(call, lambda: context.run(make, token))
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        token.cancel("its task was cancelled")
        future.add_done_callback(_close)
        raise


def _close(future: Future[B]) -> None:
    if future.exception() is None:
        future.result().close()
