"""A worker at the other end of ``ssh``: how it is started, what is said where that fails, why it ended."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import LollmsError, PlaceError
from lollms_modalities.workers.places import tell_starting
from lollms_modalities.workers.process import WorkerProcess
from lollms_modalities.workers.ssh_address import SshAddress
from lollms_modalities.workers.ssh_command import GREETING, program, ssh_command
from lollms_modalities.workers.ssh_errors import SSH_FAILED, failure, missing

if TYPE_CHECKING:
    from lollms_modalities.workers.policy import Spec

_WORKER = ["-u", "-X", "utf8", "-X", "faulthandler", "-m", "lollms_modalities.workers.worker"]
_MEETING = 60.0  # seconds that connecting and finding the interpreter may take at most


class SshProcess(WorkerProcess):
    """The program ``ssh``, and the worker that it has started.

    Args:
        address: where.
        spec: what the worker is for.
        variables: its environment variables, besides those that are there.

    Raises: as ``SshPlace.start``.
    """

    wants_pulse = True  # what carries it there ends it when none comes

    def __init__(self, address: SshAddress, spec: Spec, variables: Mapping[str, str]) -> None:
        self.address = address
        mark = secrets.token_hex(16)
        asked = {
            "mark": mark,
            "environment": spec.environment,
            "group": f"lollms_client.{spec.modality}_bindings",
            "binding": spec.name,
            "command": _WORKER,
            "variables": dict(variables),
        }
        text = program(asked)
        command = ssh_command(address, text)
        self._begin(
            spec.output(),
            lambda theirs, printed: subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=printed, start_new_session=True
            ),
        )
        try:
            tell_starting(self)
            self._meet(text, mark.encode(), spec)
        except BaseException:
            self._stop()
            raise

    # -- meeting ------------------------------------------------------------------------------------------------------

    def _meet(self, text: bytes, mark: bytes, spec: Spec) -> None:
        """Send what is to run there, and wait until it says which interpreter it has found."""
        limit = min(spec.policy.start_timeout, _MEETING)
        try:
            self.sock.settimeout(limit)
            self.sock.sendall(text)
            said, told = self._until_marked(mark, time.monotonic() + limit)
        except TimeoutError as exc:
            came = f" What came was {exc.args[0]!r:.200}." if exc.args and isinstance(exc.args[0], bytes) else ""
            raise PlaceError(
                f"{self.address} did not run Python within {limit:g} s.{came}",
                hint=f"Look what it does instead: ssh {self.address.target} python3 -V",
                place=str(self.address),
            ) from None
        except OSError:
            said, told = b"", None
        if told is None:
            raise self._failure(said.strip())
        if said.strip():  # what a shell says before each command: harmless, and seen in the log
            self._output.feed(said.strip() + b"\n")
        if "missing" in told:
            raise missing(self.address, told, spec.modality, spec.name, spec.environment)
        self.sock.settimeout(None)

    def _until_marked(self, mark: bytes, until: float) -> tuple[bytes, dict[str, Any] | None]:
        """What came before the marked line, and what that says; None where the connection has ended."""
        data = b""
        while True:
            self.sock.settimeout(max(0.01, until - time.monotonic()))
            # The line and nothing beyond it: what follows is the worker's.
            try:
                ahead = self.sock.recv(4096, socket.MSG_PEEK)
            except TimeoutError:
                raise TimeoutError(*filter(None, [data.strip()])) from None
            if not ahead:
                return data, None
            before, found, _ = (data + ahead).partition(mark)
            ends = (data + ahead).find(b"\n", len(before)) if found else -1
            if ends < 0 and len(data) + len(ahead) > GREETING:
                return data, None
            take = len(ahead) if ends < 0 else ends + 1 - len(data)
            data += self.sock.recv(take, socket.MSG_WAITALL)
            if ends >= 0:
                return before, json.loads(data[len(before) + len(mark) :])

    def _failure(self, said: bytes) -> LollmsError:
        """What ssh, or whatever answered at its other end, says of why there is no worker."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        if self._wait_for_ssh(2.0):
            self._reader.join(2.0)
        return failure(self.address, self._popen.poll(), said, self._output.last_lines())

    # -- its end ------------------------------------------------------------------------------------------------------

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End the worker and all that it started, by ending the connection; it is waited for at most ``wait`` seconds.

        The other side ends the group as soon as it sees that. Where it does not answer, ssh is killed.
        """
        if self._ended.is_set():
            return
        self.killed_because = self.killed_because or because
        if wait:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
            if self._ended.wait(wait):
                return
        super().kill(because, min(wait, 1.0))

    def cause(self) -> str:
        """Why it ended: what ssh says of the connection, or how the worker ended there."""
        if not self._ended.wait(1.0) or self.killed_because:
            return super().cause()
        code = self._popen.returncode
        if code == SSH_FAILED:
            self._reader.join(1.0)
            words = next((line for line in reversed(self._output.last_lines()) if line.strip()), "ssh does not say why")
            return f"the connection to {self.address} was lost ({words.rstrip('.')})"
        if code < 0:
            return f"ssh was ended by {_signal(-code)}, and the worker with it"
        if code > 128:
            return f"it was ended by {_signal(code - 128)}" + (
                "; the system may have been out of memory" if code - 128 == signal.SIGKILL else ""
            )
        return f"it ended with exit code {code}"

    @property
    def exit_code(self) -> int | None:
        """The worker's; None while it runs, and where the connection was lost."""
        if not self._ended.is_set() or not self._known:
            return None
        code = self._popen.returncode
        if code == SSH_FAILED or code < 0:
            return None
        return 128 - code if code > 128 else code

    def memory(self) -> int:
        """Not known: 0."""
        return 0

    def _wait_for_ssh(self, timeout: float) -> bool:
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _stop(self) -> None:
        """It has not become a worker."""
        self.sock.close()
        self.reap(lambda: None)
        self.kill("it could not be started")
        self.wait(1.0)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
