"""A connection that crosses a network."""

from __future__ import annotations

import socket
from typing import Any

# Asked after 3 quiet seconds, then each second, and given up when 3 were not answered.
_KEEPALIVE = (("TCP_KEEPIDLE", 3), ("TCP_KEEPALIVE", 3), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3))
# While something that was sent is not acknowledged, nothing is asked: that is given up after so many milliseconds.
_UNACKNOWLEDGED = 4000


def set_up_tcp(sock: Any) -> None:
    """Small frames go at once, and a machine that is no longer reached is noticed in seconds, not in hours.

    Does nothing to a socket that is not TCP.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if (option := getattr(socket, name, None)) is not None:  # macOS has another name for the first
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
