"""A worker that is reached over TCP: what its starter tells it, how the host gets there, a place on this machine."""

from __future__ import annotations

import logging
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lollms_modalities.errors import WorkerCrashedError
from lollms_modalities.workers.listening import NUMBER, PULSE, line_of, read_line
from lollms_modalities.workers.network import set_up_tcp
from lollms_modalities.workers.output import Output
from lollms_modalities.workers.process import WorkerProcess
from lollms_modalities.workers.pulse import Heart, give_pulse
from lollms_modalities.workers.tls import Identity, TlsLink, make_identity, secure
from lollms_modalities.workers.variables import is_secret_variable

if TYPE_CHECKING:
    from lollms_modalities.workers.policy import Spec

_log = logging.getLogger("lollms_modalities.workers.tcp")


def tell_worker(starter: socket.socket, other: str, *, address: str, limit: float) -> tuple[int, str]:
    """Tell a worker that has been started with ``listening`` who it is. On its machine; the key goes no further.

    Args:
        starter: the socket whose other end it inherited.
        other: the host's certificate.
        address: an IP address of this machine, at which it is to listen.
        limit: seconds that the host may take to come.

    Returns:
        The port at which it listens, and the certificate to know it by.

    Raises:
        OSError: it ended instead.
    """
    own = make_identity()
    told = {"address": address, "certificate": own.certificate, "key": own.key, "other": other, "limit": limit}
    starter.settimeout(limit)
    starter.sendall(line_of(told))
    return int(read_line(starter.recv)["port"]), own.certificate


def reach_worker(
    sock: socket.socket, own: Identity, certificate: str, variables: Mapping[str, str], *, limit: float,
    connect: Callable[[], socket.socket] | None = None,
) -> tuple[TlsLink, dict[str, Any]]:  # fmt: skip
    """The host's side: prove who it is to a worker that listens.

    Args:
        sock: connected to it.
        own: whose certificate the worker was told.
        certificate: the worker's.
        variables: of the environment, which the worker sets before it imports anything of a binding.
        limit: seconds that it may take.
        connect: gives a second connection to it, for the pulse; left out, to the address of the first.

    Returns:
        The connection, and what the worker said of itself: ``core``, its version.

    Raises:
        OSError: it is another, does not answer, or has ended.
    """
    link = secure(sock, own, certificate, server=False, limit=limit)
    try:
        sock.settimeout(limit)
        told = read_line(link.recv)
        number = secrets.token_bytes(NUMBER)
        heart = _heart(sock, number, limit, connect) if told.get("pulse") else None
        pulse = {} if heart is None else {"pulse": number.hex()}
        link.sendmsg([line_of({"variables": dict(variables), **pulse})])
        sock.settimeout(None)
    except BaseException:
        link.close()
        raise
    if heart is not None:
        give_pulse(Heart(heart, link))
    return link, told


def _heart(
    sock: socket.socket, number: bytes, limit: float, connect: Callable[[], socket.socket] | None
) -> socket.socket | None:
    """The connection of the pulse; none where something between lets no second one through."""
    try:
        heart = socket.create_connection(sock.getpeername()[:2], limit) if connect is None else connect()
    except OSError as exc:
        _log.info("A worker is reached without a pulse, as there is no second connection to it: %s", exc)
        return None
    try:
        set_up_tcp(heart)
        heart.settimeout(limit)
        heart.sendall(PULSE + number)
    except BaseException:
        heart.close()
        raise
    return heart


class TcpProcess(WorkerProcess):
    """A process of this machine whose worker is reached over TCP. Made by ``TcpPlace``."""

    program = "lollms_modalities.workers.listening"

    def meet(self, place: TcpPlace, host: Identity, limit: float) -> None:
        """Have ``place`` reach it. Raises OSError."""
        starter = self.sock
        with starter:
            port, certificate = tell_worker(starter, host.certificate, address=place.address, limit=limit)
            sock = place.connect(port, limit)
            link, _ = reach_worker(sock, host, certificate, {}, limit=limit, connect=lambda: place.connect(port, limit))
            starter.recv(1)  # it closes its end when it has let us in, and ends when we close ours before
        self.sock = cast("socket.socket", link)  # it is one as far as a channel uses it

    def cause(self) -> str:
        """Why it ended, or that the network has cut it off."""
        lost: str = getattr(self.sock, "lost", "")
        return lost or super().cause()


def start_listening(python: Path | None, variables: Mapping[str, str], *, lock: Path | None = None) -> TcpProcess:
    """Start a worker that waits to be told, by ``tell_worker``, for whom: on the machine where it is to run.

    Args:
        python: the interpreter; None for the one that runs here.
        variables: its environment variables, of which those that look like secrets are left out.
        lock: a file on which it holds a shared lock, or None.
    """
    passed = {name: value for name, value in variables.items() if not is_secret_variable(name)}
    output = Output(logging.getLogger("lollms_modalities.workers.listening"), lambda text: text)
    return TcpProcess(python or Path(sys.executable), output, passed, own=python is None, lock=lock)


class TcpPlace:
    """Processes of this machine that are reached over TCP and TLS, as those of another machine are.

    Good for trying what such a place is like, and for testing a binding there. Needs the extra ``network``.

    Args:
        address: the IP address of this machine at which workers listen.
        shares_files: whether the two sides are to use the same files, as they could.
    """

    name = "tcp"
    is_here = True

    def __init__(self, address: str = "127.0.0.1", *, shares_files: bool = False) -> None:
        self.address = address
        self.shares_files = shares_files

    def connect(self, port: int, limit: float) -> socket.socket:
        """Connect to a worker that listens at ``port``. Raises OSError."""
        return socket.create_connection((self.address, port), limit)

    def start(self, spec: Spec, *, own: bool) -> TcpProcess:
        """Start the interpreter of ``spec``, and connect."""
        host = make_identity()  # or nothing is started
        process = TcpProcess(spec.python, spec.output(), spec.variables(own=own), own=own, lock=spec.lock)
        try:
            process.meet(self, host, spec.policy.start_timeout)
        except BaseException as exc:
            process.reap(lambda: None)
            if isinstance(exc, ConnectionError):
                process.wait(1.0)  # it may be about to end, and say why
            process.kill("it could not be reached")
            process.wait(5.0)
            if not isinstance(exc, ConnectionError):
                raise
            lines = process.last_lines()
            said = "".join(f"\n  {line}" for line in lines)
            raise WorkerCrashedError(
                f"{spec} could not be reached: {str(exc).rstrip('.')}." + (f" It last printed:{said}" if lines else ""),
                hint="" if lines else "It printed nothing.",
                cause=process.cause(),
                exit_code=process.exit_code,
                last_lines=lines,
            ) from exc
        return process


def loopback() -> TcpPlace:
    """The place that is called ``tcp``."""
    return TcpPlace()
