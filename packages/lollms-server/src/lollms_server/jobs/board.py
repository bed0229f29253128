"""The whole of the jobs: ``Jobs`` is what every surface is written against.

Its methods are called on the event loop, and none of them blocks that.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast
from weakref import WeakValueDictionary

from lollms_server.jobs.errors import JobNotFound, JobUnfinished
from lollms_server.jobs.files import files_of
from lollms_server.jobs.job import Job
from lollms_server.jobs.metrics import JobMetrics
from lollms_server.jobs.owners import owner_of
from lollms_server.jobs.requests import Request, stored
from lollms_server.jobs.results import kept
from lollms_server.jobs.runner import Runner
from lollms_server.jobs.store import Limits, Store
from lollms_server.jobs.sweeping import Sweeper
from lollms_server.room.callers import Caller
from lollms_server.room.configuration import JobSettings
from lollms_server.room.log import log_act
from lollms_server.room.models import Chosen
from lollms_server.room.room import Room

_T = TypeVar("_T")
KINDS = {"video": "video_", "music": "music_", "call": "job_"}
IMAGES = "image"  # results of calls, for who wants an address of them
_ID = re.compile("[a-z]{1,16}_[0-9a-f]{32}")
_LOOK = 1.0  # seconds after which a job that another server runs is looked at again
Tell = Callable[[BaseException], dict[str, Any]]


class Lease(NamedTuple):
    """How a server holds its jobs, in seconds: ``renew`` between two renewals, ``last`` without any."""

    renew: float = 5.0
    last: float = 20.0


class Jobs:
    """The jobs of a room, and of all servers that share its store.

    Args:
        room: which runs them.
        tell: an error as surfaces tell it, as JSON values.
        folder: of what is under way; whoever gives it takes it away, also after a server that was killed.

    Raises:
        ConfigurationError: the store or the place of the results cannot be used.
    """

    def __init__(self, room: Room, tell: Tell, folder: Path, lease: Lease | None = None) -> None:
        self._room = room
        settings = room.configuration.serve.jobs
        keys = room.configuration.serve.keys_path()
        self.files = files_of(settings.results or keys.with_name("results"))
        self.store = Store(settings.store or f"sqlite:///{keys.with_name('jobs.sqlite3')}")
        self._threads = ThreadPoolExecutor(6, "lollms-jobs")
        self.metrics = JobMetrics(room.metrics.registry, self.store)
        # As long as somebody watches: those who leave before the end take theirs with them.
        self._changed: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        lease = lease or Lease()
        self.runner = Runner(self, room, tell, lease, folder)
        self._sweeper = Sweeper(self, room, tell, lease.renew)
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def settings(self) -> JobSettings:
        """Of now."""
        return self._room.configuration.serve.jobs

    @property
    def lifetime(self) -> float:
        """Seconds that a job is kept after its end."""
        return self.settings.lifetime

    def start(self) -> None:
        """Run what waits, from now on."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.runner.run()), loop.create_task(self._sweeper.run())]

    async def close(self) -> None:
        """Take no more jobs; those that were under way are given back to the queue, or ended."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.runner.close()
        for event in list(self._changed.values()):
            event.set()
        await asyncio.to_thread(self._threads.shutdown)
        self.store.close()

    async def aside(self, fn: Callable[..., _T], *args: Any, **named: Any) -> _T:
        """Run what blocks. Whoever is cancelled meanwhile leaves it to its end."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: fn(*args, **named))

    # -- those who ask -----------------------------------------------------------------------------------------------

    async def create(
        self, caller: Caller, kind: str, chosen: Chosen, verb: str, request: Request, *,
        shown: Mapping[str, Any] | None = None, idempotency: str | None = None,
    ) -> Job:  # fmt: skip
        """Make a job. When this returns, the job is in the store.

        Args:
            kind: one of ``KINDS``.
            request: what the verb is given, checked already.
            shown: what the surface tells of it.
            idempotency: the caller's name for this request, under which it is one job however often it is asked for.

        Raises:
            StoreFull, StoreLost, QueueFull, KeyReused, SaveError: it is not made.
        """
        owner, job_id = owner_of(caller), KINDS[kind] + secrets.token_hex(16)
        values = {"id": job_id, "kind": kind, "owner": owner, "modality": chosen.served.modality,
                  "model": chosen.name, "verb": verb, "state": "queued", "shown": dict(shown or {})}  # fmt: skip
        job, made = await self.aside(self._create, values, request, idempotency)
        if made:
            self.metrics.asked(kind)
            self.runner.wake()
        return job

    def _create(self, values: dict[str, Any], request: Request, idempotency: str | None) -> tuple[Job, bool]:
        settings, job_id = self.settings, values["id"]
        limits = Limits(settings.max_size, settings.max_queued)
        made = False
        try:
            values["request"], values["size"] = stored(request, self.files, job_id)
            if idempotency is not None:
                values["idempotency"] = _digest([values["owner"], idempotency])
                uploads = [self._digest_of(job_id, name) for name in values["request"]["uploads"]]
                values["asked"] = _digest([*(values[n] for n in ("kind", "model", "verb", "request")), *uploads])
            job, made = self.store.add(values, limits)
            return job, made
        finally:
            if not made and values.get("size"):
                self.files.remove(job_id)

    def _digest_of(self, job_id: str, name: str) -> str:
        with self.files.open(job_id, name) as file:
            return hashlib.file_digest(cast(Any, file), "sha256").hexdigest()

    async def keep(self, caller: Caller, chosen: Chosen, verb: str, result: Any, lifetime: float) -> Job:
        """Keep the result of a call for a while, so that it can be fetched.

        Raises:
            StoreFull, StoreLost, SaveError: it is not kept.
        """
        job_id = f"{IMAGES}_{secrets.token_hex(16)}"

        def write() -> Job:
            done = False
            try:
                told = kept(result, lambda name, data: self.files.write(job_id, name, data), "r")
                values = {"id": job_id, "kind": IMAGES, "owner": owner_of(caller), "verb": verb, "model": chosen.name,
                          "modality": chosen.served.modality, "state": "completed", "done": 1.0, "request": {},
                          "shown": {}, "result": told, "size": sum(file["size"] for file in told["files"]),
                          "lifetime": min(lifetime, self.lifetime)}  # fmt: skip
                job, done = self.store.add(values, Limits(self.settings.max_size, 1 << 30))
                return job
            finally:
                if not done:
                    self.files.remove(job_id)

        return await self.aside(write)

    async def found(self, job_id: str, caller: Caller | None, kinds: Iterable[str]) -> Job:
        """The job of that id, as it is now.

        Args:
            caller: who asks; None where the id alone is what lets in.

        Raises:
            JobNotFound: there is none for this caller.
        """
        # What is no id is not looked for: no database has to take any text.
        job = await self.aside(self.store.get, job_id) if _ID.fullmatch(job_id) else None
        if job is None or job.kind not in kinds or not (caller is None or _is_for(job, caller)):
            raise JobNotFound(f"There is no job {job_id!r:.80}.")
        return self.runner.seen(job)

    async def listed(
        self, caller: Caller, kinds: Iterable[str], *, everyone: bool = False, **how: Any
    ) -> tuple[list[Job], bool]:
        """The caller's jobs, or for an admin everybody's; arguments as of ``Store.listed``."""
        if (after := how.get("after")) is not None and not _ID.fullmatch(after):
            return [], False
        owner = None if everyone and caller.is_admin else owner_of(caller)
        rows, more = await self.aside(self.store.listed, owner, kinds, **how)
        return [self.runner.seen(job) for job in rows], more

    async def cancel(self, job: Job, caller: Caller) -> Job:
        """Cancel a job, in the queue or in the engine, here or at another server; as it is then.

        Raises:
            JobNotFound: it was deleted meanwhile.
        """
        _written_down("cancel", job, caller)
        if await self.aside(self.store.cancel, job.id, self.lifetime):
            self.metrics.ended(job.kind, "cancelled")
            await self.runner.drop(job.id)
            kept = tuple(job.request.get("uploads", ())) if "uploads" in self.settings.keep else ()
            await self.aside(self.files.remove, job.id, but=kept)
            self.tell_changed(job.id)
        now = await self.aside(self.store.get, job.id)
        if now is None:
            raise JobNotFound(f"There is no job {job.id!r} any more.")
        return now

    async def remove(self, job: Job, caller: Caller) -> None:
        """Delete a job with its results; one that runs is cancelled."""
        _written_down("delete", job, caller)
        await self.aside(self.store.remove, job.id)
        await self.runner.drop(job.id)
        await self.aside(self.files.remove, job.id)
        self.tell_changed(job.id)

    def file(self, job: Job, number: int) -> dict[str, Any]:
        """What is known of a file of a job that is done: ``name``, ``mime_type``, ``size``.

        Raises:
            JobUnfinished: the job is not done.
            JobNotFound: it has no such file.
        """
        if job.state != "completed":
            ended = job.has_ended
            raise JobUnfinished(
                f"The job {job.id} is {job.state}: there is no content.",
                hint="Its error says why." if ended else "Ask again when it is completed.",
                retry_after=3600.0 if ended else 2.0,
            )
        if not 0 <= number < len(job.files):
            raise JobNotFound(f"The job {job.id} has no file {number}.")
        return job.files[number]

    async def opened(self, job: Job, number: int) -> tuple[BinaryIO, dict[str, Any]]:
        """A file of a job, open for reading, which is done in threads; and what is known of it.

        Raises:
            JobUnfinished: the job is not done.
            JobNotFound: it has no such file, or it has expired.
        """
        known = self.file(job, number)
        try:
            return await self.aside(self.files.open, job.id, known["name"]), known
        except FileNotFoundError:
            raise JobNotFound(f"The content of the job {job.id} is not there any more.") from None

    async def watch(self, job: Job, caller: Caller) -> AsyncIterator[Job]:
        """The job whenever it has changed, until it has ended; then for the last time."""
        last: Job | None = None
        while True:
            event = self._changed.setdefault(job.id, asyncio.Event())
            event.clear()
            now = await self.found(job.id, caller, (job.kind,))
            if now != last:
                last = now
                yield now
            if now.has_ended or self._room.ending:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), _LOOK)

    def tell_changed(self, job_id: str) -> None:
        """A job has changed."""
        if (event := self._changed.get(job_id)) is not None:
            event.set()


def _is_for(job: Job, caller: Caller) -> bool:
    return caller.is_admin or job.owner == owner_of(caller)


def _written_down(act: str, job: Job, caller: Caller) -> None:
    """What an admin does to another's job is."""
    if job.owner != owner_of(caller):
        log_act(caller.who, act, job=job.id)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
