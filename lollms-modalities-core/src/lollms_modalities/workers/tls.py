"""TLS for a connection between a host and a worker: each side is known by a key that is made for this one connection.

Whoever starts the worker makes a key and a certificate for it and gives them to it on a descriptor that it inherits;
the host makes its own and tells the certificate alone. Both sides take the one certificate that they were told, and
nothing else that any authority has signed: TLS 1.3, both ways. Why so: keys shared in advance (PSK), which would need
no certificate, exist in the standard library from Python 3.13 on only. A password checked inside an encryption that
nobody vouches for would have to be bound to it by a construction of our own, for which TLS 1.3 in Python offers no name
of the channel. Making a certificate is all that the standard library cannot do: the side that starts the worker needs
``cryptography`` (extra ``network``), the worker does not.

A ``TlsLink`` keeps TLS in memory beside a plain socket (a pair of BIOs), so that one thread reads while another writes:
an object of OpenSSL may be used by one thread at a time, and ``ssl.SSLSocket`` would wait for the network meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.handlers import raised_by_handler
from lollms_modalities.errors import BindingDependencyError
from lollms_modalities.workers.frames import AT_ONCE
from lollms_modalities.workers.network import set_up_tcp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer

_RECORDS = 1 << 18  # bytes of encrypted data taken from the socket at once
_PLAIN = 1 << 18  # bytes that are encrypted at once; meanwhile nobody can decrypt
_NO_MORE = (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError)
_TLS = (20, 21, 22, 23)  # how what TLS sends begins
_CUT = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


@dataclass(frozen=True)
class Identity:
    """One side of one connection.

    Attributes:
        certificate: PEM, for the other side to know it by.
        key: PEM, which is given to nobody but that side itself.
    """

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Identity(...)"


def make_identity() -> Identity:
    """A new key, and a certificate that it has signed. Raises ``BindingDependencyError`` without cryptography."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as exc:
        raise BindingDependencyError(
            f"A worker over a network needs cryptography, which cannot be imported ({exc}).",
            hint='Run pip install "lollms-modalities-core[network]>=2.0,<3".',
        ) from exc
    from datetime import datetime

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lollms")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # It is taken once, by its content. What the clocks of two machines say does not matter.
        .not_valid_before(datetime(2000, 1, 1))
        .not_valid_after(datetime(2100, 1, 1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Identity(
        certificate.public_bytes(pem).decode(),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    )


class TlsLink:
    """A connected socket behind TLS, as far as ``Channel`` uses a socket.

    Made by ``secure``. One thread may read while others, one at a time, write. The names are those of ``socket``.
    """

    def __init__(
        self, sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._incoming, self._outgoing = incoming, outgoing
        # The TLS object, which never waits for anything. A signal's handler may write while its thread reads.
        self._using = threading.RLock()
        self._sealed = memoryview(b"")  # what is encrypted and not yet sent
        self._taken = 0  # bytes of the caller's that are in it
        self._more = True  # whether something may be had that is here already, such as what came with the handshake
        self.lost = ""  # why the network has ended it, where that was the network
        self.shut = False  # whether this side has ended it

    family = -1
    """No family whose sockets ``set_up_tcp`` would set up: that has been done."""

    def sendmsg(self, buffers: Sequence[Any]) -> int:
        """Send a part of what is given; the number of bytes is told.

        Raises:
            BlockingIOError: nothing could be sent for a while. The same buffers are to be given again.
            OSError: the connection has ended.
        """
        if not self._sealed:
            plain = _first(buffers)
            with self._using:
                self._taken = self._tls.write(plain)
                self._sealed = memoryview(self._outgoing.read())
        try:
            while self._sealed:
                self._sealed = self._sealed[self._sock.send(self._sealed) :]
        except OSError as exc:
            self._note(exc)
            raise
        taken, self._taken = self._taken, 0
        return taken

    def recv_into(self, buffer: WriteableBuffer) -> int:
        """Wait for data, and put it there; the number of bytes is told, 0 at the end."""
        room = memoryview(buffer).cast("B")
        while True:
            with self._using:
                try:
                    # Typed as if it gave bytes, which it does without a buffer.
                    return int(self._tls.read(len(room), room))  # type: ignore[call-overload,no-any-return,unused-ignore]
                except ssl.SSLWantReadError:
                    pass
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return 0
            try:
                sealed = self._sock.recv(_RECORDS)
            except OSError as exc:
                self._note(exc)
                raise
            with self._using:
                if sealed:
                    self._incoming.write(sealed)
                else:
                    self._incoming.write_eof()

    def _note(self, exc: OSError) -> None:
        if exc.errno in _CUT and not raised_by_handler(exc):
            self.lost = f"the connection to it was cut ({os.strerror(exc.errno or 0)})"

    def recv(self, size: int) -> bytes:
        """Wait for data, at most so many bytes; b"" at the end."""
        room = bytearray(size)
        return bytes(room[: self.recv_into(room)])

    def receive(self, got: list[bytes]) -> None:
        """Append what is there to ``got``, ``b""`` at the end. Raises ``BlockingIOError`` if nothing is there."""
        before = len(got)
        while True:
            if not self._more:
                self._take_in()
            with self._using:
                try:
                    while self._more:
                        got.extend(map(self._tls.read, (AT_ONCE,)))
                        # Reading more than there is would raise, which takes longer than to ask.
                        self._more = bool(self._incoming.pending or self._tls.pending())
                    return
                except _NO_MORE as exc:
                    self._more = False
                    if len(got) > before:
                        return
                    if not isinstance(exc, ssl.SSLWantReadError):
                        got.append(b"")
                        return

    def receive_into(self, room: memoryview, got: list[int]) -> None:
        """Write it to ``room``, and append numbers of bytes to ``got``, 0 at the end. Raises as ``receive``."""
        at, size = 0, len(room)
        while True:
            if not self._more:
                try:
                    self._take_in()
                except BlockingIOError:
                    if at:
                        return
                    raise
            with self._using:
                try:
                    while self._more and at < size:
                        got.extend(map(self._tls.read, (size - at,), (room[at:],)))  # type: ignore[arg-type]
                        at += got[-1]
                        self._more = bool(self._incoming.pending or self._tls.pending())
                except _NO_MORE as exc:
                    self._more = False
                    if not isinstance(exc, ssl.SSLWantReadError):
                        if not at:
                            got.append(0)
                        return
            if at == size:
                return

    def pending(self) -> bool:
        """Whether something may be had that is here already."""
        return self._more

    def _take_in(self) -> None:
        """Have TLS take what has come. Raises ``BlockingIOError`` if nothing has."""
        self._more = True  # first, since an interrupt may come afterwards
        try:
            with self._using:  # in one operation, as ``frames`` explains
                if not any(map(self._incoming.write, map(self._sock.recv, (_RECORDS,), (socket.MSG_DONTWAIT,)))):
                    self._incoming.write_eof()
        except OSError as exc:
            self._more = bool(self._incoming.pending)  # a signal's handler may have raised it
            self._note(exc)
            raise

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Of the socket below."""
        self._sock.setsockopt(level, option, value)

    def fileno(self) -> int:
        """Of the socket below; -1 once it is closed."""
        return self._sock.fileno()

    def shutdown(self, how: int) -> None:
        """End it at once: TLS says no farewell, since every frame tells its length."""
        self.shut = True
        self._sock.shutdown(how)

    def detach(self) -> int:
        """The descriptor, for a forked child to close."""
        return self._sock.detach()

    def close(self) -> None:
        """Close the socket below."""
        self._sock.close()


def _first(buffers: Sequence[Any]) -> Any:
    """The first of what is to be sent, as much as is encrypted at once; small buffers go together."""
    if len(buffers[0]) >= _PLAIN or len(buffers) == 1:
        return memoryview(buffers[0])[:_PLAIN]
    joined = bytearray()
    for buffer in buffers:
        joined += memoryview(buffer)[: _PLAIN - len(joined)]
        if len(joined) >= _PLAIN:
            break
    return joined


def secure(sock: socket.socket, own: Identity, other: str, *, server: bool, limit: float) -> TlsLink:
    """Put a connected TCP socket behind TLS, both sides known to each other. It is closed where that fails.

    Nothing of what a stranger sends is read but by OpenSSL, which bounds it, and not for longer than the limit.

    Args:
        sock: the connection.
        own: this side.
        other: the certificate of the other, PEM.
        server: whether this is the side to which the other has connected.
        limit: seconds that it may take.

    Raises:
        ConnectionError: the other side is not the one that was expected, or does not speak TLS; it says what it sent.
        TimeoutError: it did not answer in time.
    """
    try:
        return _secure(sock, _context(own, other, server), other, server, time.monotonic() + limit)
    except BaseException:
        sock.close()
        raise


def _secure(sock: socket.socket, context: ssl.SSLContext, other: str, server: bool, until: float) -> TlsLink:
    set_up_tcp(sock)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=server)
    first = True
    while True:
        done = False
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            with contextlib.suppress(OSError):
                sock.sendall(outgoing.read())  # which tells the other side why
            raise ConnectionError(f"The other side is not the one that was expected ({exc.reason or exc}).") from exc
        sock.settimeout(max(0.01, until - time.monotonic()))
        if sealed := outgoing.read():
            sock.sendall(sealed)
        if done:
            break
        try:
            came = sock.recv(1 << 14)
        except TimeoutError:
            raise TimeoutError("The other side did not answer in time.") from None
        if not came:
            raise ConnectionError("The other side has closed the connection before it was known who it is.")
        if first and came[0] not in _TLS:
            raise ConnectionError(f"Something else than a worker answers: it began with {came[:200]!r}.")
        first = False
        incoming.write(came)
    if tls.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(other):
        raise ConnectionError("The other side is not the one that was expected (it has another certificate).")
    sock.settimeout(None)
    return TlsLink(sock, tls, incoming, outgoing)


def _context(own: Identity, other: str, server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate itself is known
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=other)
    if server:
        context.num_tickets = 0  # nothing is resumed
    # Python reads keys from files only: from a pipe, nothing comes to lie on a disk.
    with _readable(own.certificate) as certificate, _readable(own.key) as key:
        context.load_cert_chain(certificate, key)
    return context


@contextlib.contextmanager
def _readable(text: str) -> Any:
    """A name under which a short text can be read, once."""
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as file:
            file.write(text.encode())
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
