"""Who runs what waits: this server, as far as its models have room, in turns between those whose jobs they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import socket
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import CallCancelled, LollmsError, Progress, WorkerRestartError

from lollms_server.jobs import owners
from lollms_server.jobs.errors import JobLost, StoreLost
from lollms_server.jobs.job import Job
from lollms_server.jobs.requests import Request, given
from lollms_server.jobs.results import kept, plain_options, put_together
from lollms_server.jobs.store import Head
from lollms_server.room.callers import Caller
from lollms_server.room.errors import Later
from lollms_server.room.room import Room

if TYPE_CHECKING:
    from lollms_server.jobs.board import Jobs, Lease, Tell

_log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds after which what others have asked for is looked for
_AGAIN = 1.0  # seconds between two tries to tell a database that does not answer
_PATIENCE = 10.0  # seconds that the ends of jobs may take when the server ends


@dataclass
class Running:
    """A job that this server runs."""

    job: Job
    token: str
    done: float = 0.0
    told: dict[str, Any] | None = None
    is_told: bool = True
    dropped: bool = False
    task: asyncio.Task[None] | None = None


class Runner:
    """Runs jobs.

    Args:
        jobs: whose store they are in.
        room: which runs their calls.
        tell: an error as JSON values.
        lease: how long they are held.
        folder: for media, while they are used.
    """

    def __init__(self, jobs: Jobs, room: Room, tell: Tell, lease: Lease, folder: Path) -> None:
        self._jobs = jobs
        self._room = room
        self._tell = tell
        self._lease = lease
        self._folder = folder
        self._server = f"{socket.gethostname()[:100]}-{secrets.token_hex(8)}"
        self._running: dict[str, Running] = {}
        self._served: dict[str, float] = {}  # when an owner's turn was the last time
        self._woken = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There may be something to run."""
        self._woken.set()

    def seen(self, job: Job) -> Job:
        """The job with what this server knows of its progress and has not written yet."""
        known = self._running.get(job.id)
        if known is None or known.token != job.token or job.state != "in_progress":
            return job
        return replace(job, done=known.done, progress=known.told)

    async def drop(self, job_id: str) -> None:
        """A job was cancelled, deleted or lost: if this server runs it, its engine stops, and nothing is written."""
        known = self._running.get(job_id)
        if known is not None and known.task is not None:
            known.dropped = True
            known.task.cancel()
            await asyncio.wait({known.task}, timeout=_PATIENCE)

    async def run(self) -> None:
        """Take what waits, until the task is cancelled; what runs is held until ``close``."""
        self._holding = asyncio.get_running_loop().create_task(self._hold())
        while True:
            self._woken.clear()
            try:
                while not self._room.ending and await self._take():
                    pass
            except StoreLost as exc:
                _log.warning("%s", exc)
            except Exception:
                _log.exception("jobs could not be taken")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _LOOK)

    async def close(self) -> None:
        """Those that are still under way are given back."""
        running = list(self._running.values())
        tasks = [known.task for known in running if known.task is not None]
        if not self._room.ending:  # their calls go on otherwise
            for task in tasks:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=1.0) if late else None
        if self._holding is not None:
            self._holding.cancel()
        for known in running:
            with contextlib.suppress(LollmsError):
                await self._jobs.aside(self._jobs.store.release, known.token, 0.0)

    # -- taking ------------------------------------------------------------------------------------------------------

    async def _take(self) -> bool:
        """Take what there is room for; whether anything was."""
        busy = Counter((known.job.modality, known.job.model) for known in self._running.values())
        heads = await self._jobs.aside(self._jobs.store.waiting)
        took = False
        for head in sorted(heads, key=lambda head: (self._served.get(head.owner, 0.0), head.number)):
            place = (head.modality, head.model)
            room = self._room.at_once(head.model, head.modality)  # 0 where it is not served here
            if busy[place] >= room or self._room.ending:
                continue
            token = secrets.token_hex(16)
            job = await self._taken(head, token)
            if job is not None:
                busy[place] += 1
                took = True
                self._begin(job, token, head)
        return took

    async def _taken(self, head: Head, token: str) -> Job | None:
        """The job, if nobody else was quicker. One that is taken while the server ends is given back."""
        store, lease = self._jobs.store, self._lease.last
        taking = asyncio.ensure_future(self._jobs.aside(store.take, head.number, self._server, token, lease))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait({taking})
            if taking.exception() is None and taking.result() is not None:
                await self._jobs.aside(store.release, token, 0.0)
            raise

    def _begin(self, job: Job, token: str, head: Head) -> None:
        self._served[head.owner] = time.monotonic()
        if len(self._served) > 10_000:
            del self._served[min(self._served, key=self._served.__getitem__)]
        known = self._running[job.id] = Running(job, token)
        known.task = asyncio.get_running_loop().create_task(self._run(known))
        # Here, since a task that is cancelled before it began runs no line of its own.
        known.task.add_done_callback(lambda task: self._ended(known, task))
        self._jobs.tell_changed(job.id)

    def _ended(self, known: Running, task: asyncio.Task[None]) -> None:
        if self._running.get(known.job.id) is known:
            del self._running[known.job.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("job %s could not be ended", known.job.id, exc_info=error)
        self._jobs.tell_changed(known.job.id)
        self.wake()

    # -- running -----------------------------------------------------------------------------------------------------

    async def _run(self, known: Running) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            values = await self._outcome(known, folder)
        except asyncio.CancelledError:
            if not known.dropped and not self._room.ending:
                raise
            values = None
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if not known.dropped:
            await self._end(known, values)

    async def _outcome(self, known: Running, folder: Path) -> dict[str, Any] | float | None:
        """What the table is to say of the job; or after how many seconds it is to be tried again; None: at once."""
        try:
            return await self._made(known, folder)
        except Exception as exc:
            if self._room.ending:
                return None  # which is no end of the job
            if isinstance(exc, (Later, WorkerRestartError)):  # nothing of it was run
                return max(1.0, float(exc.retry_after or 1.0))
            if not isinstance(exc, LollmsError):
                _log.exception("job %s failed", known.job.id)
            state = "cancelled" if isinstance(exc, CallCancelled) else "failed"
            return {"state": state, "error": self._tell(exc)}

    async def _made(self, known: Running, folder: Path) -> dict[str, Any]:
        job, jobs = known.job, self._jobs
        caller = await asyncio.to_thread(owners.caller_of, job.owner, self._room.keys)
        if caller is None:
            raise gone(job.owner)
        request = await jobs.aside(given, job.request, jobs.files, job.id, folder)
        result = await self._called(known, caller, request)

        def write(name: str, data: bytes) -> int:
            return jobs.files.write(job.id, name, data)

        writing = asyncio.ensure_future(jobs.aside(kept, result, write, known.token[:8]))
        try:
            told = await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # or it would write what has just been removed
            raise
        return {
            "state": "completed", "result": told, "done": 1.0, "request": {"options": plain_options(request.options)},
            "size": sum(file["size"] for file in told["files"]),
        }  # fmt: skip

    async def _called(self, known: Running, caller: Caller, request: Request) -> Any:
        job, room = known.job, self._room
        chosen = room.find(job.model, job.modality, caller)
        options = dict(request.options)
        args = (options.pop(request.content),) if request.content else ()
        how: dict[str, Any] = {
            "progress": lambda progress: self._progressed(known, progress), "request_id": job.id,
            "keep_alive": request.keep_alive, "deadline": request.timeout, "limit": self._jobs.settings.timeout,
        }  # fmt: skip
        if not request.stream:
            return await room.call(chosen, caller, job.verb, *args, **how, **options)
        async with room.stream(chosen, caller, job.verb, *args, **how, **options) as stream:
            items = [item async for item in stream]
        made = await asyncio.to_thread(put_together, items)
        if stream.provenance is not None and hasattr(made, "_provenance"):
            made._provenance = stream.provenance
        return made

    def _progressed(self, known: Running, progress: Progress) -> None:
        fraction = progress.fraction
        if fraction is not None:
            known.done = max(known.done, min(fraction, 0.99))  # it never goes back, and is not done before its end
        known.told = {
            "stage": progress.stage, "done": float(progress.done), "unit": progress.unit,
            "total": None if progress.total is None else float(progress.total),
        }  # fmt: skip
        known.is_told = False
        self._jobs.tell_changed(known.job.id)

    # -- ending ------------------------------------------------------------------------------------------------------

    async def _end(self, known: Running, outcome: dict[str, Any] | float | None) -> None:
        """Say in the table what came of it; again and again, if need be, while the database does not answer."""
        jobs = self._jobs
        while True:
            try:
                if isinstance(outcome, dict):
                    await self._finish(known, outcome)
                else:
                    await jobs.aside(jobs.store.release, known.token, outcome or 0.0)
                return
            except StoreLost:
                if self._room.ending:
                    return  # its lease will tell
                await asyncio.sleep(_AGAIN)

    async def _finish(self, known: Running, outcome: dict[str, Any]) -> None:
        jobs, job = self._jobs, known.job
        keep = jobs.settings.keep
        shown = job.shown if "prompts" in keep else {n: v for n, v in job.shown.items() if n != "prompt"}
        uploads = tuple(job.request.get("uploads", ())) if "uploads" in keep else ()
        size = outcome.pop("size", 0) + (job.size if uploads else 0)
        values = {**outcome, "shown": shown, "size": size}
        if not await jobs.aside(jobs.store.finish, known.token, values, jobs.lifetime):
            now = await jobs.aside(jobs.store.get, job.id)
            if now is None or now.token != known.token or now.state != outcome["state"]:
                # Others have ended it: this server had not renewed its lease. What it made is nobody's.
                _log.warning("job %s was lost: it had been ended by others", job.id)
                await jobs.aside(jobs.files.remove, job.id)
                return
            # The answer to an earlier try was lost.
        names = tuple(file["name"] for file in (outcome.get("result") or {}).get("files", ()))
        # Also what a server had written that was ended, and gave the job back, before it could say so.
        await jobs.aside(jobs.files.remove, job.id, but=(*names, *uploads))
        jobs.metrics.ended(job.kind, outcome["state"])

    # -- holding -----------------------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Renew the leases; tell how far the jobs are; stop what was cancelled or lost at another server."""
        renewed = 0.0
        while True:
            await asyncio.sleep(min(_LOOK, self._lease.renew))
            running = [known for known in self._running.values() if not known.dropped]
            if not running:
                continue
            tokens = [known.token for known in running]
            store = self._jobs.store
            try:
                if time.monotonic() - renewed >= self._lease.renew - 0.01:
                    began = time.monotonic()
                    mine = await self._jobs.aside(store.hold, tokens, self._lease.last)
                    renewed = began
                else:
                    mine = await self._jobs.aside(store.held, tokens)
                for known in running:
                    if known.token in mine and not known.is_told and known.told is not None:
                        known.is_told = True
                        await self._jobs.aside(store.progress, known.token, known.done, known.told)
            except StoreLost:
                continue
            except Exception:
                _log.exception("jobs could not be held")
                continue
            for known in running:
                if known.token not in mine and self._running.get(known.job.id) is known:
                    await self._let_go(known)

    async def _let_go(self, known: Running) -> None:
        """It is not held any more: it has just ended here, or others have ended it."""
        job = await self._jobs.aside(self._jobs.store.get, known.job.id)
        here = job is not None and job.token == known.token and job.state in ("completed", "failed")
        if not here and self._running.get(known.job.id) is known:
            await self.drop(known.job.id)
            await self._jobs.aside(self._jobs.files.remove, known.job.id)


def gone(owner: str) -> JobLost:
    """The error of a job whose owner has no key any more."""
    what = f"The {owner.rpartition(' ')[0]}" if owner.startswith("key ") else "Whoever asked"
    return JobLost(f"{what} may not ask here any more: the key was removed, or one is needed now.")
