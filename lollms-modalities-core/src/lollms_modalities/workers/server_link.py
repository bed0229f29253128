"""The connection to a server: a WebSocket that is bridged to a local pair of sockets, frame by frame.

A WebSocket message is one frame of the worker's protocol. Large ones go as fragments, between which a ping finds room:
whoever does not answer one within some seconds, while a call is under way, is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from lollms_modalities.errors import (
    OptionError,
)
from lollms_modalities.workers import protocol

LARGEST_TEXT = 1_000_000  # bytes of JSON in one frame that a server takes
_PIECE = 256 << 10  # bytes of one fragment
_LOOK = 0.5  # seconds between two looks at it
_PING, _SILENCE = 1.0, 3.9  # seconds between pings, and without any answer, while a call is under way
_IDLE_PING, _IDLE_SILENCE = 15.0, 40.0  # and else
_TYPE = re.compile(rb'\{"type":"([a-z]+)"')


class Bridge:
    """Carries frames between the WebSocket and the host's socket, in two threads.

    Attributes:
        near: the host's end of the pair.
        ended: set when it carries no more; ``cause`` says why, "" where it was ended from here.
    """

    def __init__(self, name: str, link: Any, told: Callable[[], object]) -> None:
        self.near, self._far = socket.socketpair()
        self.near.settimeout(None)
        self._far.settimeout(None)
        self.ended = threading.Event()
        self.cause = ""
        self._name = name
        self._link = link
        self._tell = told
        self._writing = threading.Lock()  # to the host
        self._counting = threading.Lock()
        self._busy = 0  # exchanges under way
        self._sending: dict[int, _Sending] = {}  # those whose chunks are coming

    def begin(self) -> None:
        """Start the threads."""
        for fn, name in ((self._up, "lollms-link-up"), (self._down, "lollms-link-down")):
            threading.Thread(target=fn, name=name, daemon=True).start()

    def cut(self, why: str) -> None:
        """End it at once. Takes no lock."""
        self.cause = self.cause or why
        for sock in (self._link.socket, self._far):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """In a forked child: let go of our copies."""
        for sock in (self._link.socket, self._far):
            with contextlib.suppress(OSError):
                os.close(sock.detach())
        self.ended.set()

    # -- from the host -----------------------------------------------------------------------------------------------

    def _up(self) -> None:
        from websockets.exceptions import ConnectionClosed

        reader = self._far.makefile("rb", buffering=1 << 16)
        try:
            while len(head := reader.read(protocol.HEAD.size)) == protocol.HEAD.size:
                text_size, size = protocol.HEAD.unpack(head)
                text, payload = reader.read(text_size), reader.read(size)
                if len(text) < text_size or len(payload) < size:
                    break
                self._carry(head, text, payload)
        except (OSError, ConnectionClosed):
            pass  # the other thread says why
        finally:
            reader.close()
            with contextlib.suppress(Exception):
                self._link.close()  # what was sent last arrives
            self.cut("")

    def _carry(self, head: bytes, text: bytes, payload: bytes) -> None:
        kind = _type_of(text)
        if kind == protocol.DATA and not self._wanted(json.loads(text)["id"], len(payload)):
            return
        if kind in protocol.OPENING:
            message = json.loads(text) if len(text) > LARGEST_TEXT or not payload else {}
            with self._counting:
                if (size := sum(message.get("sizes", ()))) > 0:
                    self._sending[message["id"]] = _Sending(size)
                if len(text) <= LARGEST_TEXT:
                    self._busy += 1
            if len(text) > LARGEST_TEXT:
                self._refuse(message, len(text))
                return
        elif len(text) > LARGEST_TEXT:
            raise OSError("a message that no server takes")
        whole = head + text
        if len(payload) <= _PIECE:
            self._link.send(whole + payload)
        else:
            self._link.send(_pieces(whole, payload))

    def _wanted(self, number: int, size: int) -> bool:
        """Whether a chunk is to be sent. Of an exchange that has ended, whoever sends it hears that it was taken."""
        with self._counting:
            sending = self._sending.get(number)
            if sending is None:
                return True
            sending.missing -= size
            if sending.missing <= 0:
                del self._sending[number]
            if not sending.ended:
                sending.unanswered += 1
                return True
        self._answer({"type": protocol.ACK, "id": number})
        return False

    def _refuse(self, message: dict[str, Any], size: int) -> None:
        error = OptionError(
            f"What is to be told to {self._name} holds {size} bytes of text; it may be {LARGEST_TEXT}.",
            hint="Ask in parts, or give large data as bytes.",
        )
        with self._counting:
            if (sending := self._sending.get(message["id"])) is not None:
                sending.ended = True
        self._answer({"type": protocol.ERROR, "id": message["id"], "error": error.to_json(), "traceback": ""})

    def _answer(self, message: dict[str, Any]) -> None:
        self._write(protocol.encode(message, 0))

    def _write(self, frame: bytes) -> None:
        with self._writing:
            self._far.sendall(frame)

    # -- from the server ---------------------------------------------------------------------------------------------

    def _down(self) -> None:
        from websockets.exceptions import ConnectionClosed

        pulse = _Pulse(self._link)
        try:
            while True:
                try:
                    frame = self._link.recv(timeout=_LOOK)
                except TimeoutError:
                    frame = None
                if isinstance(frame, bytes):
                    self._arrived(frame)  # before a ping, which may find that this was the last
                if not pulse.beats(frame is not None, self._busy > 0):
                    self.cut(f"{self._name} did not answer for {_SILENCE:g} s and more")
                    break
        except ConnectionClosed as exc:
            self.cause = self.cause or _said(self._name, exc)
        except OSError:
            pass  # the host has closed its end
        finally:
            self.cut("")
            self._link.close_socket()
            with contextlib.suppress(OSError):
                self._far.close()
            self.ended.set()
            self._tell()

    def _arrived(self, frame: bytes) -> None:
        start = protocol.HEAD.size
        kind = _type_of(frame, start)
        untaken: list[int] = []
        if kind in protocol.ENDS or (kind == protocol.ACK and self._sending):
            size = protocol.HEAD.unpack_from(frame)[0]
            with self._counting:
                self._busy -= kind != protocol.ACK
                if self._sending:
                    number = json.loads(frame[start : start + size])["id"]
                    untaken = self._heard_of(number, kind) * [number]
        self._write(frame)
        for number in untaken:
            self._answer({"type": protocol.ACK, "id": number})

    def _heard_of(self, number: int, kind: str) -> int:
        """A chunk was taken, or the exchange has ended: how many chunks nobody will answer any more."""
        sending = self._sending.get(number)
        if sending is None:
            return 0
        if kind == protocol.ACK:
            sending.unanswered -= 1
            return 0
        sending.ended = True
        return sending.unanswered


class _Sending:
    """Chunks on their way to the server: those that it ends early are not sent in vain.

    Attributes:
        missing: bytes that the host has not given yet.
        unanswered: chunks that were sent and not acknowledged.
        ended: whether the server has answered.
    """

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self.unanswered = 0
        self.ended = False


def _type_of(frame: bytes, start: int = 0) -> str:
    """Of what type a message is."""
    if (found := _TYPE.match(frame, start)) is not None:
        return found[1].decode()
    size = protocol.HEAD.unpack_from(frame)[0] if start else len(frame)
    return str(json.loads(frame[start : start + size])["type"])


class _Pulse:
    """Whether the other side lives: something came, or a ping was answered, a short while ago."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self._heard = self._asked = time.monotonic()
        self._pong: threading.Event | None = None
        self._was_busy = False

    def beats(self, came: bool, busy: bool) -> bool:
        """Look at it; asks when it is time for that."""
        now = time.monotonic()
        if came or (self._pong is not None and self._pong.is_set()) or (busy and not self._was_busy):
            self._heard = now
        self._was_busy = busy
        if now - self._heard > (_SILENCE if busy else _IDLE_SILENCE):
            return False
        answered = self._pong is None or self._pong.is_set()
        if answered and now - self._asked >= (_PING if busy else _IDLE_PING) - 0.05:
            self._pong, self._asked = self._link.ping(), now
        return True


def _pieces(head: bytes, payload: bytes) -> Iterator[bytes]:
    view = memoryview(payload)
    yield head
    for start in range(0, len(view), _PIECE):
        yield bytes(view[start : start + _PIECE])


def _said(name: str, closed: Any) -> str:
    """Why a WebSocket was closed, as the end of "the worker is gone: ..."."""
    if (close := closed.rcvd) is None:
        return f"the connection to {name} was cut"
    if close.code == 1012:
        return f"{name} has ended the session: the server ends"
    return f"{name} has ended the session" + (f": {close.reason}" if close.reason else "")
