"""The databases that jobs can be in, and what goes wrong with them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from lollms_server.jobs.errors import StoreFull, StoreLost

_T = TypeVar("_T")
_BUSY = 10  # seconds that SQLite waits for another writer
READS, HASTY = "lollms_reads", "lollms_hasty"  # options of an execution


def typed(method: Callable[..., _T]) -> Callable[..., _T]:
    """The errors of a database as ours."""

    @functools.wraps(method)
    def run(*args: Any, **named: Any) -> _T:
        try:
            return method(*args, **named)
        except SQLAlchemyError as exc:
            said = str(getattr(exc, "orig", None) or exc)
            if any(words in said for words in ("disk is full", "No space left", "could not extend file")):
                raise StoreFull("The disk with the jobs is full.", hint="Ask again later.") from exc
            raise StoreLost(
                "The database with the jobs does not answer.", hint="Ask again in a while.", retry_after=5.0
            ) from exc

    return run


def engine_of(text: str) -> tuple[Engine, str]:
    """The engine of SQLAlchemy's for an address, and that address without its password.

    Raises:
        ValueError, ArgumentError, NoSuchModuleError, ImportError, OSError: it is none.
    """
    url = make_url(text)
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("a database in memory survives nothing")
        url = url.set(database=os.path.expanduser(url.database))
        return _sqlite(url, str(url.database)), url.render_as_string()
    if backend != "postgresql":
        raise ValueError(f"{backend!r:.40} is no database that it can be")
    url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(
        url, pool_pre_ping=True, pool_size=5, max_overflow=5, pool_timeout=10, hide_parameters=True,
        connect_args={"connect_timeout": 5, "options": "-c statement_timeout=15000", "keepalives_idle": 10,
                      "keepalives_interval": 5, "keepalives_count": 3},
    )  # fmt: skip
    return engine, url.render_as_string(hide_password=True)


def _sqlite(url: URL, path: str) -> Engine:
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    # For its owner alone, and with it the files that SQLite puts beside it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=5, connect_args={"timeout": _BUSY, "check_same_thread": False},
        hide_parameters=True,
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin as is said below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=ON")  # what was deleted is not

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        how = connection.get_execution_options()
        if how.get(READS):
            connection.exec_driver_sql("BEGIN")
            return
        # FULL: what was promised is on the disk.
        connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if how.get(HASTY) else 'FULL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def first_line(exc: BaseException) -> str:
    """What an error of a database says, without the statement that it is about."""
    said = str(exc.orig) if isinstance(exc, DBAPIError) else str(exc)
    return (said.strip().splitlines() or [type(exc).__name__])[0].rstrip(".")[:300]
