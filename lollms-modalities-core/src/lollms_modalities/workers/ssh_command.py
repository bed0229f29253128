"""The user's own ``ssh``, told to run Python there; and ``lollms`` run on another machine with it."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lollms_modalities.errors import PlaceError
from lollms_modalities.workers.process import guarded
from lollms_modalities.workers.ssh_address import SshAddress
from lollms_modalities.workers.ssh_errors import SSH_FAILED, failure, missing

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
GREETING = 1 << 16
"""Bytes that may come before the first line of ours, such as what a shell says before each command."""


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
    # No byte is read that is not of the text, and its own folder is on nobody's path.
    code = f"import sys;sys.path[:]=filter(None,sys.path);exec(sys.stdin.buffer.read({len(text)}).decode())"
    return [ssh, *options, *address.words, f"exec python3 -uc '{code}'"]


def run_there(
    address: SshAddress, words: Sequence[str], told: Callable[[bytes], object], printed: Callable[[bytes], object]
) -> int:
    """Run the command ``lollms`` there, and wait for its end; it ends when this is interrupted.

    Args:
        address: where.
        words: its arguments.
        told: is given what it writes to standard output, as it comes.
        printed: the same of standard error.

    Returns:
        its exit code; 128 and the number of the signal that has ended it.

    Raises:
        PlaceError: the machine cannot be reached.
        BindingDependencyError: it has no ``lollms`` that is found.
    """
    mark = secrets.token_hex(16).encode()
    text = program({"mark": mark.decode(), "lollms": list(words)})
    command = ssh_command(address, text)
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    with process, guarded(process), selectors.DefaultSelector() as selector:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        said, lines, met = b"", deque[str](maxlen=20), None
        try:
            process.stdin.write(text)
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and says why
        out, err = process.stdout.fileno(), process.stderr.fileno()
        for descriptor in (out, err):
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                elif key.fd == err:
                    if met is not None:
                        printed(data)
                    lines += data.decode("utf-8", "replace").splitlines()
                elif met is not None:
                    told(data)
                else:
                    said += data
                    _, found, after = said.partition(mark)
                    line, ends, rest = after.partition(b"\n")
                    if found and ends:
                        met = json.loads(line)
                        if "missing" in met:
                            raise missing(address, met, "", "", None)
                        if rest:
                            told(rest)
                    elif len(said) > GREETING:
                        raise failure(address, None, said.strip(), lines)
        code = process.wait()
        if met is None or code == SSH_FAILED:
            raise failure(address, code, said.strip() if met is None else b"", lines)
        return code
