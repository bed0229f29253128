"""Joining a cluster, or starting one: what is looked at before ``ray.init``, which waits for minutes, or for ever."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import Any

_REACHING = 4.0  # seconds for a connection to the head
_ANSWERING = 10.0  # seconds in which the head says something, once Ray is imported
_IMPORTING = 90.0
_TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_FIND = """
from ray._private.services import canonicalize_bootstrap_address_or_die
print(canonicalize_bootstrap_address_or_die("auto"))
"""
_ASK = """
import sys
from ray._raylet import GcsClient
print("asks", flush=True)
GcsClient(address=sys.argv[1]).internal_kv_get(b"lollms", b"lollms", timeout=5)
print("answered", flush=True)
"""


class Refused(Exception):
    """A cluster that is not to be used: the reason, and what was found."""

    def __init__(self, why: str, where: str) -> None:
        super().__init__(where)
        self.why = why


def join(told: dict[str, Any]) -> None:
    """Join a cluster, or start one that nobody but this machine's user reaches.

    Args:
        told: ``address``, ``folder`` for a cluster of this program's own, ``allow_open``.

    Raises:
        Refused: ``open``, it asks nobody for a token; ``silent``, nobody answers.
        Exception: as ``ray.init``.
    """
    address = told["address"]
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "namespace": "lollms"}
    if address != "local":
        # The one that was looked at, and not what may be found meanwhile.
        address = _checked(address, allow_open=told["allow_open"])
    import ray

    if address == "local":
        ray.init(
            address="local", include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=told["folder"],
            object_store_memory=80 << 20, **common,
        )  # fmt: skip
    else:
        ray.init(address=address, **common)


def _checked(address: str, *, allow_open: bool) -> str:
    """``host:port`` of a cluster that answers as it may."""
    where = _found() if address == "auto" else address
    host, _, port = where.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _REACHING):
            pass
    except (OSError, ValueError) as exc:
        raise Refused("silent", f"{where} ({exc})") from exc
    answered: dict[bool, bool] = {}
    asking = [
        threading.Thread(target=lambda token=token: answered.update({token: _answers(where, token=token)}))
        for token in (True, False)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    if answered[False]:
        if not allow_open:
            raise Refused("open", where)
        # Ray, not imported yet, would refuse what such a cluster asks it, as that shows no token either.
        os.environ.update(_without_token())
        for name in _TOKEN:
            os.environ.pop(name, None)
    elif not answered[True]:
        raise Refused("silent", f"{where} (to this token, in {_ANSWERING:g} s)")
    return where


def _found() -> str:
    """Where the cluster of this machine is. Asked in another process: here Ray is not to be imported yet."""
    asked = subprocess.run([sys.executable, "-c", _FIND], capture_output=True, text=True, timeout=_IMPORTING)
    where = asked.stdout.strip().rpartition("\n")[2]
    if asked.returncode or not where:
        said = asked.stderr.strip().splitlines() or ["no cluster"]
        raise Refused("silent", f"this machine ({said[-1]})")
    return where


def _without_token() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in _TOKEN} | {"RAY_AUTH_MODE": "disabled"}


def _answers(address: str, *, token: bool) -> bool:
    """Whether a head answers who shows the token, or none. Asked in a process that can be ended."""
    variables = dict(os.environ) if token else _without_token()
    asking = subprocess.Popen(
        [sys.executable, "-c", _ASK, address], env=variables, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    limit = threading.Timer(_IMPORTING, asking.kill)
    limit.start()
    try:
        assert asking.stdout is not None
        asked = asking.stdout.readline() == "asks\n"
        limit.cancel()
        limit = threading.Timer(_ANSWERING, asking.kill)
        limit.start()
        return asked and asking.stdout.readline() == "answered\n"
    finally:
        limit.cancel()
        asking.kill()
        asking.wait()
