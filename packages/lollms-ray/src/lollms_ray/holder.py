"""The process that holds Ray: ``python -m lollms_ray.holder FD``, in the environment that has Ray, one a cluster.

Ray ends the process it is in a minute after the cluster's head is lost, so that it is kept out of the user's program.
FD is an inherited Unix socket. Messages are frames (``frames``). The first says where to connect (``address``), and is
answered by ``ready`` or ``refused``. Then come ``start`` messages, each answered by ``started``, which carries the
connected socket of a worker (SCM_RIGHTS), or ``failed``, at once where the head is lost; and ``ended``, when a worker
has; ``leaving``, when its node is being drained. ``forget`` ends a worker that nobody waits for. When the program is
gone, so is this process.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import time
from typing import Any

from lollms_ray.frames import Frames
from lollms_ray.joining import Refused, join
from lollms_ray.nodes import is_reached, unreachable, without

_LOOK = 1.0  # seconds after which it is looked again whether the head is there, and which nodes are being drained
_CONNECTING = 8.0  # seconds for one to a worker that has said where it listens
_WAITING = 3.0  # seconds after which a start that has not ended may be on a node that is lost
_LEAVING = 10.0  # seconds in which a cluster is left
_TRIES = 3  # of a start whose node was lost
_SILENT = 2  # looks in a row without one: the head is lost, until there is one again


class Holder:
    """What the process does."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._actors: dict[int, Any] = {}
        self._nodes: dict[int, str] = {}  # of workers that run and are not leaving
        self._starting: set[int] = set()
        self._silent = 0
        self._joined = threading.Event()
        self._folder = ""

    def serve(self) -> None:
        """Until the program is gone."""
        told, _ = self._frames.read()
        self._folder = told["folder"]
        threading.Thread(target=self._join, args=(told,), daemon=True).start()
        while True:
            message, _ = self._frames.read()
            if message["type"] == "forget":
                threading.Thread(target=self._forget, args=(message["id"],), daemon=True).start()
            else:
                threading.Thread(target=self._run, args=(message,), daemon=True).start()

    def leave(self) -> None:
        """Leave the cluster, or end the one of the program's own. Never returns."""
        threading.Timer(_LEAVING, os._exit, (1,)).start()
        if "ray" in sys.modules:
            import ray

            ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)

    def _join(self, told: dict[str, Any]) -> None:
        try:
            join(told)
        except Refused as exc:
            self._send({"type": "refused", "why": exc.why, "where": str(exc)})
        except BaseException as exc:
            self._send({"type": "refused", "why": "failed", "where": f"{type(exc).__name__}: {str(exc)[:1000]}"})
        else:
            self._send({"type": "ready"})
            self._joined.set()
            threading.Thread(target=self._watch_nodes, daemon=True).start()
            self._watch()

    def _send(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        with self._sending:
            self._frames.write(message, descriptors)

    def _forget(self, number: int) -> None:
        import ray

        with self._lock:
            self._starting.discard(number)
            actor = self._actors.get(number)
        if actor is not None:
            ray.kill(actor)

    def _watch(self) -> None:
        """Tell of workers that cannot be started as the head is lost."""
        import ray

        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        while True:
            time.sleep(_LOOK)
            if is_reached(host.strip("[]"), int(port)):
                self._silent = 0
                continue
            self._silent += 1
            if self._silent >= _SILENT:
                with self._lock:
                    starting, self._starting = self._starting, set()
                for number in starting:
                    self._send({"type": "failed", "id": number, "why": "head"})

    def _watch_nodes(self) -> None:
        """Tell of workers whose nodes are being drained. Asked while the head is lost, Ray waits until it is back."""
        from ray._private.state import state

        while True:
            time.sleep(_LOOK)
            with self._lock:
                nodes = dict(self._nodes)
            if not nodes:
                continue
            try:
                draining = state.get_draining_nodes()
            except Exception:  # the head is lost, of which `_watch` tells
                continue
            for number, node in nodes.items():
                if node in draining:
                    with self._lock:
                        self._nodes.pop(number, None)
                    self._send({"type": "leaving", "id": number, "why": "its node is being drained"})

    def _run(self, message: dict[str, Any]) -> None:
        self._joined.wait()
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError

        number, limit = message["id"], message["limit"]
        if self._silent >= _SILENT:  # Ray would wait for it
            self._send({"type": "failed", "id": number, "why": "head"})
            return
        with self._lock:
            self._starting.add(number)
        started = False
        try:
            told = self._start(message)
            if "missing" not in told:
                with socket.create_connection((told["address"], told["port"]), min(limit, _CONNECTING)) as sock:
                    sock.settimeout(None)
                    self._send({"type": "started", "id": number, **told}, (sock.fileno(),))
                started = True
                with self._lock:
                    self._starting.discard(number)
                    self._nodes[number] = told["node_id"]
                ended = ray.get(self._actors[number].wait.remote())
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
            with self._lock:
                actor = self._actors.pop(number, None)
                self._nodes.pop(number, None)
                self._starting.discard(number)
            if actor is not None:
                ray.kill(actor)

    def _start(self, message: dict[str, Any]) -> dict[str, Any]:
        """Have Ray find a node, and what ``Placed`` says from there; of another where one is lost meanwhile.

        Nothing of the binding's has run there. Raises what Ray raises, as for options that it does not understand.
        """
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError

        from lollms_ray import placed

        ray.cloudpickle.register_pickle_by_value(placed)  # other nodes need not have this distribution
        until, lost = time.monotonic() + message["limit"], 0
        while True:
            gone = unreachable()
            options = {"max_concurrency": 4, "max_restarts": 0, **message["options"], **without(gone)}
            actor = ray.remote(placed.Placed).options(**options).remote()
            with self._lock:
                self._actors[message["id"]] = actor
            asked = actor.start.remote(message["worker"])
            while not ray.wait([asked], timeout=max(0.0, min(_WAITING, until - time.monotonic())))[0]:
                if time.monotonic() >= until:
                    raise GetTimeoutError
                if unreachable() - gone:
                    break
            else:
                try:
                    told: dict[str, Any] = ray.get(asked)
                    return told
                except RayActorError:
                    lost += 1
                    if lost == _TRIES or message["id"] not in self._starting:
                        raise
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
    holder = Holder(Frames(sock))
    try:
        holder.serve()
    except (EOFError, OSError):
        pass  # the program is gone
    finally:
        holder.leave()


if __name__ == "__main__":
    main()
