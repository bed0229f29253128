"""Runs at the other end of ssh, in the Python that is found there, and imports nothing of ours: its text is sent.

It finds the interpreter that has the binding, says so in one line, starts a worker in a process group of its own, and
carries bytes between that and ssh. When either is gone, both are: the worker's whole group ends. Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

_CHUNK = 1 << 18
_SILENCE = 15.0  # seconds without the pulse of the other side, after which it is gone: sshd may not notice for hours
_AHEAD = 64 << 20  # bytes that are read while a worker takes nothing, so that the pulse behind them is seen
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)
_SITES = "import json, sys; print(json.dumps(sys.path))"
_VARIABLES = (
    "import json, sys, tomllib; print(json.dumps(tomllib.loads(sys.stdin.buffer.read().decode()).get('variables', {})))"
)


def main(asked: Mapping[str, Any]) -> NoReturn:
    """Do what was asked; ``asked`` is what ``SshProcess`` has sent."""
    mark = asked["mark"].encode()
    try:
        if "lollms" in asked:
            python = with_client()
            os.write(1, b"\n" + mark + json.dumps({"python": python}).encode() + b"\n")
            run_until_gone([python, "-P", "-m", "lollms_client", *asked["lollms"]])
        python, where, environment = find(asked)
        command, variables = asked["command"], dict(asked["variables"])
        lock = None
        if environment is not None:
            variables = {**recipe_variables(python, environment), **variables}
            lock = shared_lock(environment)
    except Missing as exc:
        os.write(1, b"\n" + mark + json.dumps(exc.told).encode() + b"\n")
        sys.exit(0)
    os.write(1, b"\n" + mark + json.dumps({"python": python, "where": where}).encode() + b"\n")
    own = environment is None
    kept = {k: v for k, v in os.environ.items() if own or not k.startswith(("PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX"))}
    run([python, "-P" if own else "-I", *command], {**kept, **variables}, lock)


class Missing(Exception):
    """There is nothing to run; ``told`` says what is missing."""

    def __init__(self, missing: str, **more: Any) -> None:
        super().__init__(missing)
        self.told = {"missing": missing, **more}


# --- which interpreter ----------------------------------------------------------------------------------------------


def find(asked: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """The interpreter, what messages call it, and the folder of its environment if it is one of ours."""
    name, group, binding = asked["environment"], asked["group"], asked["binding"]
    known = environments()
    if name is not None:
        if "/" in name or name in (".", "..", "~"):
            folder = os.path.abspath(os.path.expanduser(name))
            if not os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
                raise Missing("folder", folder=folder)
            return os.path.join(folder, "bin", "python"), folder, folder
        if name not in known:
            raise Missing("environment", known=sorted(known))
        return os.path.join(known[name], "bin", "python"), name, known[name]
    with_core = None
    for python in interpreters():
        sites = sites_of(python)
        if not holds(sites, "lollms_modalities_core"):
            continue
        with_core = with_core or python
        if binding in bindings(sites, group):
            return python, python, None
    held = {n: bindings(sites_in(folder), group) for n, folder in sorted(known.items())}
    for n in held:
        if binding in held[n]:
            return os.path.join(known[n], "bin", "python"), n, known[n]
    if with_core is None and not known:
        raise Missing("core", python=sys.executable, version=sys.version.split()[0])
    there = {} if with_core is None else {with_core: bindings(sites_of(with_core), group)}
    raise Missing("binding", there={where: sorted(names) for where, names in {**there, **held}.items()})


def with_client() -> str:
    """The interpreter that has the command ``lollms``."""
    for python in interpreters():
        if holds(sites_of(python), "lollms_client"):
            return python
    raise Missing("core", python=sys.executable, version=sys.version.split()[0], lacks="lollms-client")


def interpreters() -> list[str]:
    """Those that may have the core: the one that runs this, and the one of the command ``lollms``."""
    found = [sys.executable]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.expanduser("~/.local/bin")])
    program = shutil.which("lollms", path=path)
    try:
        with open(program or os.devnull, "rb") as file:
            line = file.readline(4096).decode("utf-8", "replace").strip()
    except OSError:
        line = ""
    if line.startswith("#!/") and os.access(line[2:], os.X_OK) and os.path.basename(line).startswith("python"):
        found.append(line[2:])
    return list(dict.fromkeys(found))


def sites_of(python: str) -> list[str]:
    """The folders in which an interpreter finds distributions."""
    if python == sys.executable:
        return [path for path in sys.path if path]
    try:
        told = subprocess.run([python, "-c", _SITES], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=20)
        return [path for path in json.loads(told.stdout.decode()) if path]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def sites_in(folder: str) -> list[str]:
    """The same of an environment."""
    return glob.glob(os.path.join(glob.escape(folder), "lib", "python3*", "site-packages"))


def holds(sites: Iterable[str], distribution: str) -> bool:
    """Whether a distribution is installed there."""
    return any(glob.glob(os.path.join(glob.escape(site), f"{distribution}-*.dist-info")) for site in sites)


def bindings(sites: Iterable[str], group: str) -> set[str]:
    """The names that distributions there offer in a group of entry points."""
    found: set[str] = set()
    for site in sites:
        for file in glob.glob(os.path.join(glob.escape(site), "*-info", "entry_points.txt")):
            section = ""
            try:
                with open(file, encoding="utf-8", errors="replace") as lines:
                    for line in map(str.strip, lines):
                        if line.startswith("["):
                            section = line.strip("[] ")
                        elif section == group and "=" in line:
                            found.add(line.partition("=")[0].strip())
            except OSError:
                continue
    return found


def environments() -> dict[str, str]:
    """The named environments: name and folder."""
    if sys.platform == "darwin":
        data = os.path.expanduser("~/Library/Application Support")
    else:
        data = os.path.expanduser("~/.local/share")
    folder = os.path.join(os.environ.get("XDG_DATA_HOME", "").strip() or data, "lollms", "environments")
    try:
        names = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError:
        return {}
    # One that was made by lollms is a link; what runs there keeps its files when the link moves on.
    found = {name: os.path.realpath(os.path.join(folder, name)) for name in names}
    return {name: path for name, path in found.items() if os.path.isfile(os.path.join(path, "pyvenv.cfg"))}


def recipe_variables(python: str, folder: str) -> dict[str, str]:
    """The environment variables that an environment's recipe wants."""
    try:
        with open(os.path.join(folder, "lollms.json"), encoding="utf-8") as file:
            recipe = json.load(file).get("recipe", "")
        if "[variables]" not in recipe:
            return {}
        told = subprocess.run(
            [python, "-I", "-c", _VARIABLES], input=recipe.encode(), stdout=subprocess.PIPE, timeout=20, check=True
        )
        found: dict[str, str] = json.loads(told.stdout.decode())
        return found
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}


def shared_lock(folder: str) -> int | None:
    """A lock that keeps an environment from being taken away; None where others made it."""
    lock = os.path.join(os.path.dirname(folder), "lock")
    if not os.path.basename(os.path.dirname(folder)).startswith(".env-") or not os.path.isfile(lock):
        return None
    descriptor = os.open(lock, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


# --- the worker -----------------------------------------------------------------------------------------------------


def run(command: Sequence[str], variables: Mapping[str, str], lock: int | None) -> NoReturn:
    """Start the worker, carry, and end as it ended: 128 and the number of the signal, where one has ended it."""
    ours, theirs = socket.socketpair()
    printed, prints = os.pipe()
    told = guard()
    held = [theirs.fileno(), *([] if lock is None else [lock])]
    worker = subprocess.Popen(
        [*command, str(theirs.fileno())], stdin=subprocess.DEVNULL, stdout=prints, stderr=prints, pass_fds=held,
        env=variables, start_new_session=True,
    )  # fmt: skip
    theirs.close()
    os.close(prints)
    os.write(told, b"%d\n" % worker.pid)
    listens = False
    try:
        listens = carry(ours, printed)
    finally:
        # Its number is not another group's before it has been waited for: what it left behind ends with it.
        if listens and hasattr(os, "waitid"):
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                if os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                    break
                time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signal.SIGKILL)
        code = worker.wait()
        os.write(told, b"-")
    drain(printed)
    os._exit(128 - code if code < 0 else min(code, 254))  # 255 is ssh's own


def run_until_gone(command: Sequence[str]) -> NoReturn:
    """Run a program whose output is ours, until it ends or ssh does, and end as it ended."""
    told = guard()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    os.write(told, b"%d\n" % process.pid)
    poll = select.poll()
    poll.register(0, select.POLLIN | getattr(select, "POLLRDHUP", 0))
    while process.poll() is None:
        if poll.poll(100):  # nothing is sent: this is the end
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    os.write(told, b"-")
    code = process.returncode
    os._exit(128 - code if code < 0 else min(code, 254))


def guard() -> int:
    """A process that ends the worker's group should this one be killed. Gives the pipe over which it is told."""
    heard, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.dup2(heard, 3)
        os.closerange(0, 3)
        os.closerange(4, 1024)
        said = b"".join(iter(lambda: os.read(3, 64), b""))
        if said.endswith(b"\n"):
            with contextlib.suppress(OSError):
                os.killpg(int(said), signal.SIGKILL)
        os._exit(0)
    os.close(heard)
    return told


def carry(ours: socket.socket, printed: int) -> bool:
    """Bytes between ssh and the worker, until one of them is gone; and what the worker prints. Whether ssh is there."""
    for descriptor in (0, 1, printed, ours.fileno()):
        os.set_blocking(descriptor, False)
    to_worker, to_host = bytearray(), memoryview(b"")
    ended, prints = False, True
    heard = taken = time.monotonic()
    while True:
        poll = select.poll()
        # What the worker does not take is not read; after a second it is, since the pulse is behind it.
        reads = not to_worker or (time.monotonic() - taken > 1.0 and len(to_worker) < _AHEAD)
        poll.register(0, (select.POLLIN if reads else 0) | getattr(select, "POLLRDHUP", 0))
        poll.register(1, select.POLLOUT if to_host else 0)
        if prints:
            poll.register(printed, select.POLLIN)
        wanted = (0 if to_host else select.POLLIN) | (select.POLLOUT if to_worker else 0)
        if wanted and not ended:
            poll.register(ours.fileno(), wanted)
        found = dict(poll.poll(1000))
        if found.get(0, 0) & select.POLLIN or not reads:
            heard = time.monotonic()
        elif time.monotonic() - heard > _SILENCE:
            return False
        if found.get(1, 0) & _GONE or found.get(0, 0) & _GONE:
            return False
        try:
            if found.get(0, 0) & select.POLLIN:
                said = os.read(0, _CHUNK)
                if not said:
                    return False
                taken = taken if to_worker else time.monotonic()
                to_worker += said
            if prints and found.get(printed, 0):
                said = os.read(printed, 65536)
                if said:
                    os.write(2, said)
                else:
                    prints = False
        except BlockingIOError:
            pass
        at = found.get(ours.fileno(), 0) if not ended else 0
        if at & (select.POLLIN | select.POLLHUP | select.POLLERR) and not to_host:
            try:
                to_host = memoryview(ours.recv(_CHUNK))
                ended = not to_host
            except BlockingIOError:
                pass
            except OSError:
                ended = True
        if to_worker and not ended:
            try:
                del to_worker[: ours.send(to_worker)]
                taken = time.monotonic()
            except BlockingIOError:
                pass
            except OSError:
                to_worker.clear()
        if to_host:
            try:
                to_host = to_host[os.write(1, to_host) :]
            except BlockingIOError:
                pass
            except OSError:
                return False
        if ended and not to_host:
            return True


def drain(printed: int) -> None:
    """The last that it printed; what others that it started print is not waited for."""
    until = time.monotonic() + 0.1
    with contextlib.suppress(OSError):
        while time.monotonic() < until and (said := os.read(printed, 65536)):
            os.write(2, said)
