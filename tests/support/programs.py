"""Programs that tests run in a Python of their own."""

from __future__ import annotations

import os
import subprocess
import sys

# The head of a program in which nobody is reached; what was tried is in ``tried``.
NO_NETWORK = """
import sys
tried = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        tried.append((event, str(args)))
        raise OSError("there is no network")
sys.addaudithook(hook)
"""
_REFUSED = """
import sys, time
began = time.perf_counter()
from {module} import {binding}
try:
    {binding}({arguments}).{call}
except FileNotFoundError as exc:
    print(time.perf_counter() - began, "torch" in sys.modules, type(exc).__name__, exc)
"""


def run(program: str, **variables: str) -> str:
    """What a program prints; it is not told to stay offline unless ``variables`` say so."""
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment | variables
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused_call(module: str, binding: str, call: str, arguments: str) -> str:
    """A program that makes a call whose model is not there.

    It prints the seconds it took, whether torch was imported, the error's name and its message.
    """
    return _REFUSED.format(module=module, binding=binding, call=call, arguments=arguments)
