"""The table of jobs, its version, and how an older one becomes it.

Times are seconds since 1970 by the clock of the database, which all servers share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lollms_modalities import ConfigurationError
from sqlalchemy import BigInteger, Column, Connection, Double, Index, Integer, MetaData, String, Table, Text, inspect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

metadata = MetaData()
JOBS = Table(
    "lollms_jobs",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("owner", String(300), nullable=False),
    Column("modality", String(8), nullable=False),
    Column("model", String(300), nullable=False),
    Column("verb", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("done", Double, nullable=False, default=0.0),
    Column("progress", Text),
    Column("request", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("result", Text),
    Column("error", Text),
    Column("size", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("taken", Double),
    Column("ended", Double),
    Column("expires", Double),
    Column("server", String(200)),
    Column("token", String(40)),
    Column("lease", Double),
    Column("idempotency", String(64), unique=True),
    Column("asked", String(64)),
    Index("lollms_jobs_waiting", "state", "modality", "model", "owner", "number"),
    Index("lollms_jobs_owned", "owner", "kind", "number"),
    Index("lollms_jobs_expiring", "expires"),
)
VERSION = Table("lollms_jobs_version", metadata, Column("version", Integer, nullable=False))
_LOCK = 7_239_610_023  # of PostgreSQL's advisory locks: one server at a time changes the schema


class now(FunctionElement[float]):  # as functions of SQL are written
    """The time by the database's clock."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_of_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_of_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


# The one at index n makes version n + 1 of version n. One that was released is not changed any more, and only adds: a
# server of the version before goes on beside it.
MIGRATIONS: list[Callable[[Connection], None]] = [_first]


def migrate(connection: Connection) -> None:
    """Bring the schema to the newest version, within the connection's transaction.

    Raises:
        ConfigurationError: it is newer than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    there = inspect(connection).has_table(VERSION.name)
    version = connection.scalar(VERSION.select()) or 0 if there else 0
    if version > len(MIGRATIONS):
        raise ConfigurationError(
            f"The store of the jobs has version {version}, and this lollms-server knows {len(MIGRATIONS)}.",
            hint="Install the newer lollms-server again, or give this one another store.",
        )
    for step in MIGRATIONS[version:]:
        step(connection)
    if version < len(MIGRATIONS):
        changed = VERSION.update().values(version=len(MIGRATIONS)) if version else None
        connection.execute(VERSION.insert().values(version=len(MIGRATIONS)) if changed is None else changed)
