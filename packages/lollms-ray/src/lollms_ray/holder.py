"""The process that holds Ray: ``python -m lollms_ray.holder FD``, in the environment that has Ray, one a program.

Ray ends the process it is in a minute after the cluster's head is lost, so that it is kept out of the user's program.
FD is an inherited Unix socket. Messages are frames (``frames``). The first says where to connect (``address``); then
come ``start`` messages, each answered by ``started``, which carries the connected socket of a worker (SCM_RIGHTS), or
``failed``; and ``ended``, when a worker has. When the program is gone, so is this process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import Any

from lollms_ray.frames import Frames

_OPEN = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_get(b"lollms", b"lollms", timeout=5)
"""


class Refused(Exception):
    """A cluster that is not to be used: the reason, and what was found."""


def is_open(address: str) -> bool:
    """Whether a cluster answers whoever shows no token. Asked in a process without one."""
    hidden = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
    variables = {k: v for k, v in os.environ.items() if k not in hidden}
    variables["RAY_AUTH_MODE"] = "disabled"
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, address], env=variables, timeout=60, capture_output=True, check=False
    )
    return done.returncode == 0


def connect(told: dict[str, Any]) -> None:
    """Join a cluster, or start one that nobody but this machine's user reaches."""
    import ray

    address = told["address"]
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "namespace": "lollms"}
    if address == "local":
        ray.init(
            address="local", include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=told["folder"],
            object_store_memory=80 << 20, **common,
        )  # fmt: skip
        return
    if not told["allow_open"]:
        where = address
        if address == "auto":
            from ray._private.services import canonicalize_bootstrap_address_or_die

            where = canonicalize_bootstrap_address_or_die("auto")
        if is_open(where):
            raise Refused(where)
    ray.init(address=address, **common)


class Holder:
    """What the process does."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._sending = threading.Lock()

    def serve(self) -> None:
        """Until the program is gone."""
        told, _ = self._frames.read()
        try:
            connect(told)
        except Refused as exc:
            self._send({"type": "refused", "why": "open", "where": str(exc)})
            return
        except BaseException as exc:
            self._send({"type": "refused", "why": "failed", "where": f"{type(exc).__name__}: {str(exc)[:1000]}"})
            return
        self._send({"type": "ready"})
        while True:
            message, _ = self._frames.read()
            threading.Thread(target=self._run, args=(message,), daemon=True).start()

    def _send(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        with self._sending:
            self._frames.write(message, descriptors)

    def _run(self, message: dict[str, Any]) -> None:
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError

        from lollms_ray import placed

        ray.cloudpickle.register_pickle_by_value(placed)  # other nodes need not have this distribution
        number, limit = message["id"], message["limit"]
        actor = ray.remote(placed.Placed).options(max_concurrency=4, max_restarts=0, **message["options"]).remote()
        started = False
        try:
            told = ray.get(actor.start.remote(message["worker"]), timeout=limit)
            if "missing" not in told:
                with socket.create_connection((told["address"], told["port"]), limit) as sock:
                    sock.settimeout(None)
                    self._send({"type": "started", "id": number, **told}, (sock.fileno(),))
                started = True
                ended = ray.get(actor.wait.remote())
                self._send({"type": "ended", "id": number, **ended})
            else:
                self._send({"type": "failed", "id": number, "why": told["missing"], **told})
        except GetTimeoutError:
            self._send({"type": "failed", "id": number, "why": "room", "said": f"{limit:g}"})
        except RayActorError as exc:
            self._lost(number, started, "its node, or what Ray runs there, is gone", str(exc)[:1000])
        except BaseException as exc:
            self._lost(number, started, f"{type(exc).__name__}: {str(exc)[:1000]}", "")
        finally:
            ray.kill(actor)

    def _lost(self, number: int, started: bool, cause: str, said: str) -> None:
        if started:
            self._send({"type": "ended", "id": number, "cause": cause, "code": None, "lines": []})
        else:
            self._send({"type": "failed", "id": number, "why": "lost", "said": f"{cause} {said}".strip()})


def main() -> None:
    """Serve the program at the other end of the socket whose descriptor is the first argument."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    try:
        Holder(Frames(sock)).serve()
    except (EOFError, OSError):
        pass  # the program is gone
    finally:
        if "ray" in sys.modules:
            import ray

            ray.shutdown()
        os._exit(0)


if __name__ == "__main__":
    main()
