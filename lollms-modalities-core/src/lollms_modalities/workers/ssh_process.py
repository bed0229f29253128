"""A worker at the other end of ``ssh``: how it is started, what is said where that fails, why it ended."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import BindingDependencyError, BindingNotFoundError, LollmsError, PlaceError
from lollms_modalities.workers.process import WorkerProcess
from lollms_modalities.workers.ssh_address import SshAddress

if TYPE_CHECKING:
    from lollms_modalities.workers.policy import Spec

# What the command line says goes before what the user's configuration says.
_OPTIONS = {
    "IgnoreUnknown": "SessionType,StdinNull,ForkAfterAuthentication",  # of OpenSSH 8.7
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    # A line that is cut is told after five seconds.
    "ServerAliveInterval": "1",
    "ServerAliveCountMax": "4",
    "LogLevel": "INFO",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "Tunnel": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "ControlMaster": "no",
    "ControlPath": "none",
    "SessionType": "default",
    "StdinNull": "no",
    "ForkAfterAuthentication": "no",
}
_WORKER = ["-u", "-X", "utf8", "-X", "faulthandler", "-m", "lollms_modalities.workers.worker"]
_GREETING = 1 << 16  # bytes that may come before the worker's first
_MEETING = 60.0  # seconds that connecting and finding the interpreter may take at most
_SSH = 255  # how ssh ends when it has failed itself

# What ssh prints, the reason, and what mends it, where {target} is as one writes it for ssh.
_FAILURES = (
    (r"has changed and you", "identity", "Its key is another than the one that is known. If that is right, run "
     "ssh-keygen -R for the host, then ssh {target}, and compare the fingerprint."),
    (r"[Hh]ost key (verification failed|is known)|key is not known", "identity",
     "Its key is not known here: run ssh {target} once in a terminal, and compare the fingerprint."),
    (r"Permission denied|Too many authentication failures", "authentication",
     "No password is asked for: give it a key with ssh-copy-id {target}, or unlock yours with ssh-add."),
    (r"Could not resolve hostname", "address", "Look at the spelling; an alias stands in the configuration of ssh."),
    (r"Connection refused", "unreachable", "No sshd listens there: start it, or name its port."),
    (r"timed out|No route to host|[Uu]nreachable|not responding", "unreachable",
     "Look whether the machine runs and can be reached from here: ssh {target}"),
    (r"(python3|exec).*(not found|No such file|not recognized)|[Uu]nknown command.*python3", "program",
     "There is no python3 on the path that ssh gives there: install one, or link it to /usr/local/bin."),
)  # fmt: skip


class SshProcess(WorkerProcess):
    """The program ``ssh``, and the worker that it has started.

    Args:
        address: where.
        spec: what the worker is for.
        variables: its environment variables, besides those that are there.

    Raises: as ``SshPlace.start``.
    """

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
            raise self._missing(told, spec)
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
            if ends < 0 and len(data) + len(ahead) > _GREETING:
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
        code, lines = self._popen.poll(), [line for line in self._output.last_lines() if line.strip()]
        words = " ".join(lines[-2:])[-600:]
        plain = ("unreachable" if code == _SSH else "answer", "Try it in a terminal: ssh {target} python3 -V")
        reason, mend = next((told for pattern, *told in _FAILURES if re.search(pattern, words)), plain)
        if reason == "answer" or (said and code != _SSH):
            came = [f"{said[:200]!r} came"] if said else []
            message = f"{self.address} answers, but not with a worker: {', and '.join([*came, words or 'it ended'])}"
        else:
            message = f"{self.address}: {words or f'ssh ended with {code} and said nothing'}"
        return PlaceError(
            message.rstrip(".") + ".",
            hint=mend.format(target=self.address.target),
            place=str(self.address),
            reason=reason,
        )

    def _missing(self, told: Mapping[str, Any], spec: Spec) -> LollmsError:
        """The error for what the other side has not found."""
        at, what = str(self.address), told["missing"]
        create = f"lollms env create {spec.name} --on {at}"
        if what == "folder":
            return BindingNotFoundError(
                f"{spec.environment!r} is no virtual environment at {at}: {told['folder']} holds no pyvenv.cfg there.",
                hint=f"Make one there, or run {create}.",
            )
        if what == "environment":
            known = f"There are: {', '.join(told['known'])}." if told["known"] else "There is none yet."
            return BindingNotFoundError(
                f"There is no environment {spec.environment!r} at {at}.",
                hint=f"{known} {create} --name {spec.environment} makes it.",
            )
        if what == "binding":
            there = "; ".join(f"{where}: {', '.join(names) or 'none'}" for where, names in told["there"].items())
            return BindingNotFoundError(
                f"No {spec.modality} binding {spec.name!r} is installed at {at}. Of this modality it has: {there}.",
                hint=f"Run {create}, which makes an environment for it there.",
            )
        return BindingDependencyError(
            f"At {at} neither Python {told['version']} ({told['python']}) nor the command lollms has "
            "lollms-modalities-core, and there are no environments.",
            hint=f"Install it there, such as by ssh {self.address.target} pipx install lollms-client; then {create}.",
            name=spec.name,
        )

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
        if code == _SSH:
            self._reader.join(1.0)
            words = next((line for line in reversed(self._output.last_lines()) if line.strip()), "ssh does not say why")
            return f"the connection to {self.address} was lost ({words.rstrip('.')})"
        if code < 0:
            return f"ssh was ended by {_signal(-code)}, and the worker with it"
        if code > 128:
            return f"it was ended by {_signal(code - 128)}" + (
                "; that machine may have been out of memory" if code - 128 == signal.SIGKILL else ""
            )
        return f"it ended with exit code {code}"

    @property
    def exit_code(self) -> int | None:
        """The worker's; None while it runs, and where the connection was lost."""
        if not self._ended.is_set() or not self._known:
            return None
        code = self._popen.returncode
        if code == _SSH or code < 0:
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


def program(asked: Mapping[str, Any]) -> bytes:
    """What Python is to run there. All that differs from time to time is in it, nothing of it in the command."""
    source = Path(__file__).with_name("ssh_there.py").read_text("utf-8")
    return f"{source}\nmain(json.loads({json.dumps(asked)!r}))\n".encode()


def ssh_command(address: SshAddress, text: bytes) -> list[str]:
    """The command that runs ``text`` there, when it is given it over its standard input.

    Every shell takes the words for the other side as they are. Raises ``PlaceError``: there is no ssh here.
    """
    ssh = shutil.which("ssh")
    if ssh is None:
        raise PlaceError(
            f"{address} is reached with the program ssh, which is not here.",
            hint="Install OpenSSH's client: apt-get install openssh-client, for one.",
            place=str(address),
            reason="program",
        )
    options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
    # -u: no byte is read that is not of the text. From here on its own folder is on nobody's path.
    code = f"import sys;sys.path[:]=filter(None,sys.path);exec(sys.stdin.buffer.read({len(text)}).decode())"
    return [ssh, *options, *address.words, f"exec python3 -uc '{code}'"]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
