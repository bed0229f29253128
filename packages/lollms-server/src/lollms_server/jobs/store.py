"""The table of jobs, over SQLAlchemy: what is done to it, each in one transaction.

Nothing is read and then written back: whoever changes a job says in the same statement what it must be before, so that
of several servers one does it. All methods block; they are called in threads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from lollms_modalities import ConfigurationError
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from lollms_server.jobs.database import HASTY, READS, engine_of, first_line, typed
from lollms_server.jobs.errors import KeyReused, StoreFull
from lollms_server.jobs.job import ENDED, Job
from lollms_server.jobs.schema import JOBS, migrate, now
from lollms_server.room.errors import QueueFull

_C = JOBS.c
_LIVE = ("queued", "in_progress")


class Head(NamedTuple):
    """The job of an owner that waits longest for a model."""

    modality: str
    model: str
    owner: str
    number: int


class Limits(NamedTuple):
    """What may be kept.

    Attributes:
        max_size: bytes of all uploads and results.
        max_queued: jobs of one owner that wait.
        retry_after: seconds that one who has too many is told to wait.
    """

    max_size: int
    max_queued: int
    retry_after: float = 10.0


class Store:
    """The table.

    Args:
        url: SQLAlchemy's: ``sqlite:///FILE`` or ``postgresql://...``.

    Raises:
        ConfigurationError: it is none, its database cannot be reached, or its schema is of a newer version.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine, self.shown = engine_of(url)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError, OSError) as exc:
            raise ConfigurationError(
                f"[serve.jobs] store: {first_line(exc)}.",
                hint='It is sqlite:///FILE, or postgresql://... with pip install "lollms-server[postgresql]>=2.0,<3".',
            ) from None
        self._reading = self._engine.execution_options(**{READS: True})
        self._hasty = self._engine.execution_options(**{HASTY: True})
        try:
            with self._writing() as connection:
                migrate(connection)
        except (SQLAlchemyError, OSError) as exc:
            self._engine.dispose()
            raise ConfigurationError(f"The store of the jobs, {self.shown}: {first_line(exc)}.") from None
        except BaseException:
            self._engine.dispose()
            raise

    def close(self) -> None:
        """End its connections."""
        self._engine.dispose()

    @contextmanager
    def _writing(self, *, hasty: bool = False) -> Iterator[Connection]:
        """A transaction. ``hasty``: nobody is promised anything by it, so that a power cut may undo it."""
        with (self._hasty if hasty else self._engine).begin() as connection:
            yield connection

    # -- those who ask -----------------------------------------------------------------------------------------------

    @typed
    def add(self, values: Mapping[str, Any], limits: Limits | None) -> tuple[Job, bool]:
        """Add a job, or give the one of the same idempotency; whether it was added.

        Raises:
            StoreFull: there is no room for another.
            QueueFull: too many of the owner's wait.
            KeyReused: that idempotency is another request's.
        """
        try:
            with self._writing() as connection:
                if (known := self._same(connection, values)) is not None:
                    return known, False
                if limits is not None:
                    self._check(connection, values["owner"], limits)
                row = {"not_before": 0.0, "created": now(), "done": 0.0, **_dumped(values)}
                if values["state"] in ENDED:
                    row |= {"ended": now(), "expires": now() + values["lifetime"]}
                row.pop("lifetime", None)
                made = connection.execute(insert(JOBS).values(**row).returning(JOBS)).mappings().one()
                return Job.of(made), True
        except IntegrityError:  # another request with the same key was quicker
            with self._reading.begin() as connection:
                if (known := self._same(connection, values)) is not None:
                    return known, False
            raise

    def _same(self, connection: Connection, values: Mapping[str, Any]) -> Job | None:
        if values.get("idempotency") is None:
            return None
        found = connection.execute(select(JOBS).where(_C.idempotency == values["idempotency"])).mappings().first()
        if found is None:
            return None
        if found["asked"] != values["asked"]:
            raise KeyReused("This Idempotency-Key came with another request before.", hint="Use a new one.")
        return Job.of(found)

    def _check(self, connection: Connection, owner: str, limits: Limits) -> None:
        taken = connection.scalar(select(func.coalesce(func.sum(_C.size), 0))) or 0
        if taken >= limits.max_size:
            raise StoreFull(
                f"The results of jobs take {taken} bytes, of {limits.max_size}.",
                hint="Delete jobs that are not needed any more, or ask again when some have expired.",
            )
        waiting = connection.scalar(select(func.count()).where(_C.owner == owner, _C.state == "queued")) or 0
        if waiting >= limits.max_queued:
            raise QueueFull(
                f"{waiting} of your jobs wait, which is as many as may.", hint="Ask again when some have ended.",
                retry_after=limits.retry_after,
            )  # fmt: skip

    @typed
    def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        with self._reading.begin() as connection:
            found = connection.execute(select(JOBS).where(_C.id == job_id)).mappings().first()
        return None if found is None else Job.of(found)

    @typed
    def listed(
        self, owner: str | None, kinds: Iterable[str], *, after: str | None = None, limit: int = 20,
        order: Literal["asc", "desc"] = "desc", state: str | None = None,
    ) -> tuple[list[Job], bool]:  # fmt: skip
        """Jobs in their order, the newest first unless told otherwise; and whether there are more.

        Args:
            owner: whose; None for everybody's.
            after: the id of the last that is known.
        """
        wanted = select(JOBS).where(_C.kind.in_(list(kinds)))
        if owner is not None:
            wanted = wanted.where(_C.owner == owner)
        if state is not None:
            wanted = wanted.where(_C.state == state)
        with self._reading.begin() as connection:
            if after is not None:
                last = connection.scalar(select(_C.number).where(_C.id == after))
                if last is None:
                    return [], False
                wanted = wanted.where(_C.number > last if order == "asc" else _C.number < last)
            wanted = wanted.order_by(_C.number.asc() if order == "asc" else _C.number.desc()).limit(limit + 1)
            rows = connection.execute(wanted).mappings().all()
        return [Job.of(row) for row in rows[:limit]], len(rows) > limit

    @typed
    def cancel(self, job_id: str, lifetime: float) -> bool:
        """End a job that has not ended; whether that was so. Who runs it learns of it when it holds it again."""
        return bool(self._end(_C.id == job_id, _C.state.in_(_LIVE), state="cancelled", lifetime=lifetime))

    @typed
    def remove(self, job_id: str) -> bool:
        """Delete a job."""
        with self._writing() as connection:
            return connection.execute(delete(JOBS).where(_C.id == job_id)).rowcount > 0

    # -- those who run them ------------------------------------------------------------------------------------------

    @typed
    def waiting(self) -> list[Head]:
        """Of each owner and model the job that waits longest."""
        heads = (
            select(_C.modality, _C.model, _C.owner, func.min(_C.number))
            .where(_C.state == "queued", _C.not_before <= now())
            .group_by(_C.modality, _C.model, _C.owner)
        )
        with self._reading.begin() as connection:
            return [Head(*row) for row in connection.execute(heads)]

    @typed
    def take(self, number: int, server: str, token: str, lease: float) -> Job | None:
        """Take a job that waits: one compare-and-set. None where another was quicker."""
        taking = (
            update(JOBS)
            .where(_C.number == number, _C.state == "queued")
            .values(state="in_progress", server=server, token=token, lease=now() + lease, taken=now(), done=0.0)
            .returning(JOBS)
        )
        with self._writing(hasty=True) as connection:
            found = connection.execute(taking).mappings().first()
        return None if found is None else Job.of(found)

    @typed
    def hold(self, tokens: Iterable[str], lease: float) -> set[str]:
        """Renew the leases of jobs; the tokens of those that are still held."""
        mine = _C.token.in_(list(tokens))
        renewing = update(JOBS).where(mine, _C.state == "in_progress").values(lease=now() + lease).returning(_C.token)
        with self._writing(hasty=True) as connection:
            return set(connection.scalars(renewing))

    @typed
    def held(self, tokens: Iterable[str]) -> set[str]:
        """Those of the tokens that are still held."""
        with self._reading.begin() as connection:
            return set(
                connection.scalars(
                    select(_C.token).where(_C.token.in_(list(tokens)), _C.state == "in_progress")
                )
            )  # fmt: skip

    @typed
    def progress(self, token: str, done: float, told: Mapping[str, Any]) -> None:
        """How far a job is."""
        with self._writing(hasty=True) as connection:
            mine = (_C.token == token, _C.state == "in_progress")
            connection.execute(update(JOBS).where(*mine).values(done=done, progress=json.dumps(told)))

    @typed
    def finish(self, token: str, values: Mapping[str, Any], lifetime: float) -> bool:
        """End a job that is held, with its result or its error; False where it was lost meanwhile."""
        return bool(self._end(_C.token == token, _C.state == "in_progress", lifetime=lifetime, **values))

    @typed
    def release(self, token: str, after: float) -> bool:
        """Put a job that is held back into the queue, for ``after`` seconds from now on."""
        back = {"state": "queued", "server": None, "token": None, "lease": None, "taken": None, "progress": None}
        with self._writing() as connection:
            mine = (_C.token == token, _C.state == "in_progress")
            done = connection.execute(update(JOBS).where(*mine).values(done=0.0, not_before=now() + after, **back))
        return done.rowcount > 0

    # -- what nobody runs any more -----------------------------------------------------------------------------------

    @typed
    def fail_lost(self, error: Mapping[str, Any], lifetime: float) -> list[str]:
        """Fail the jobs whose leases are over."""
        return self._end(
            _C.state == "in_progress", _C.lease < now(), state="failed", error=error, lifetime=lifetime
        )  # fmt: skip

    @typed
    def fail_waiting(self, error: Mapping[str, Any], lifetime: float, *, older: float) -> list[str]:
        """Fail the jobs that have waited for longer than ``older`` seconds."""
        return self._end(
            _C.state == "queued", _C.created < now() - older, state="failed", error=error, lifetime=lifetime
        )

    @typed
    def fail_of(self, owners: Iterable[str], error: Mapping[str, Any], lifetime: float) -> list[str]:
        """Fail what waits of these owners."""
        return self._end(
            _C.state == "queued", _C.owner.in_(list(owners)), state="failed", error=error, lifetime=lifetime
        )

    @typed
    def owners_waiting(self) -> list[str]:
        """Whose jobs wait."""
        with self._reading.begin() as connection:
            return list(connection.scalars(select(_C.owner).where(_C.state == "queued").distinct()))

    @typed
    def remove_expired(self) -> list[str]:
        """Delete the jobs whose time is over; their ids."""
        with self._writing() as connection:
            return list(connection.scalars(delete(JOBS).where(_C.expires < now()).returning(_C.id)))

    @typed
    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that there are."""
        wanted, found = list(ids), set[str]()
        with self._reading.begin() as connection:
            for start in range(0, len(wanted), 500):
                found.update(connection.scalars(select(_C.id).where(_C.id.in_(wanted[start : start + 500]))))
        return found

    @typed
    def counts(self) -> tuple[dict[tuple[str, str], int], int]:
        """How many jobs there are by kind and state, and the bytes of all."""
        rows = select(_C.kind, _C.state, func.count(), func.coalesce(func.sum(_C.size), 0)).group_by(_C.kind, _C.state)
        with self._reading.begin() as connection:
            found = list(connection.execute(rows))
        return {(kind, state): number for kind, state, number, _ in found}, sum(int(row[3]) for row in found)

    def _end(self, *where: Any, lifetime: float, **values: Any) -> list[str]:
        """End jobs: what they were asked with goes, unless ``values`` say what stays of it. Gives their ids."""
        gone = {"request": {}, "lease": None, "progress": None, **values}
        ending = (
            update(JOBS).where(*where).values(ended=now(), expires=now() + lifetime, **_dumped(gone)).returning(_C.id)
        )
        with self._writing() as connection:
            return list(connection.scalars(ending))


def _dumped(values: Mapping[str, Any]) -> dict[str, Any]:
    named = ("progress", "request", "shown", "result", "error")
    return {name: json.dumps(value) if name in named and value is not None else value for name, value in values.items()}
