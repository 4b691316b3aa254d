"""The database as the daemon holds it: one writer, several readers, found whole or not opened at all."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sentinel.db import schema
from sentinel.db.ballast import Ballast
from sentinel.db.errors import UnusableDatabaseError
from sentinel.db.lock import InstanceLock
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long one statement waits for another program's lock before it fails and is tried again."""
READERS = 4


def database_path(url: str, data_dir: Path) -> Path:
    """File behind a [store] url.

    Raises:
        UnusableDatabaseError: anything but sqlite:///PATH.
    """
    if url.startswith("postgresql"):
        raise UnusableDatabaseError(
            url.partition(":")[0], "PostgreSQL is not supported yet: use sqlite:///PATH"
        )
    name = url.removeprefix("sqlite:///")
    if name == url or not name or name == ":memory:":
        raise UnusableDatabaseError(url, "not a database of ours: write sqlite:///PATH")
    return data_dir / name


class Database:
    """`async with Database.open(url, clock=clock, data_dir=…) as db`."""

    def __init__(self, path: Path, clock: Clock, writer: AsyncEngine, readers: AsyncEngine) -> None:
        self.path = path
        self.clock = clock
        self._writer = writer
        self._readers = readers
        self._writing = asyncio.Lock()
        self._ballast = Ballast(path)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, clock: Clock, data_dir: Path = Path(), beside: bool = False
    ) -> AsyncIterator[Database]:
        """
        Args:
            data_dir: where a relative path in the url starts.
            beside: for commands that work next to a running daemon: takes no instance lock.

        Raises:
            UnusableDatabaseError: cannot be used; nothing was changed.
        """
        path = database_path(url, data_dir)
        lock = await asyncio.to_thread(_prepared, path, beside)
        writer = _engine(path, size=1, begin="BEGIN IMMEDIATE", read_only=False)
        readers = _engine(path, size=READERS, begin="BEGIN", read_only=True)
        db = cls(path, clock, writer, readers)
        try:
            if not beside:
                await asyncio.to_thread(db._ballast.restore)
            yield db
        finally:
            await readers.dispose()
            await writer.dispose()
            if lock is not None:
                lock.release()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """The one writer's connection in a transaction: committed and on disk at the end, or as if never begun.

        Raises:
            DBAPIError: locked for too long, disk full, … (see `is_passing`); nothing was written.
        """
        async with self._writing:
            try:
                async with self._writer.begin() as connection:
                    yield connection
            except DBAPIError as error:
                if _code(error) == sqlite3.SQLITE_FULL:
                    await asyncio.to_thread(self._ballast.release)
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one committed state throughout and cannot write."""
        async with self._readers.connect() as connection:
            yield connection

    async def watch_space(self) -> bool:
        """Put the ballast back when there is room again; whether there is. Call it every few seconds."""
        return await asyncio.to_thread(self._ballast.restore)

    @property
    def is_short_of_space(self) -> bool:
        """The disk was full and still is nearly so."""
        return not self._ballast.is_there


def is_passing(error: BaseException) -> bool:
    """Whether a failed transaction may go through later: locked, disk full, or an I/O error."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OSError | PoolTimeoutError)
    return _code(error) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
    )


def is_about_content(error: BaseException) -> bool:
    """Whether a failed transaction failed for what it wrote, so that it will never go through."""
    if isinstance(error, DBAPIError):
        return isinstance(error, IntegrityError | DataError | InterfaceError)
    return not is_passing(error)


def _code(error: DBAPIError) -> int:
    """SQLite's primary result code of an error, 0 if it has none."""
    for raised in (error.orig, getattr(error.orig, "__cause__", None)):
        code = getattr(raised, "sqlite_errorcode", None)
        if isinstance(code, int):
            return code & 0xFF
    return 0


def _prepared(path: Path, beside: bool) -> InstanceLock | None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableDatabaseError(path.parent, f"cannot be created: {error.strerror}") from None
    if beside and path.exists() and schema.inspect(path, thoroughly=False) == schema.SCHEMA:
        return None
    lock = InstanceLock.take(path)
    try:
        if not path.exists():
            schema.create(path)
            log.info("database created", extra={"facts": {"path": path, "schema": schema.SCHEMA}})
        revision = schema.inspect(path, thoroughly=True)
        if revision != schema.SCHEMA:
            schema.migrate(path)
            facts = {"path": path, "before": revision, "now": schema.SCHEMA}
            log.info("database migrated", extra={"facts": facts})
    except BaseException:
        lock.release()
        raise
    if beside:
        lock.release()
        return None
    return lock


def _engine(path: Path, *, size: int, begin: str, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=size,
        max_overflow=0,
        connect_args={"timeout": BUSY_SECONDS},
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )
    event.listen(engine.sync_engine, "connect", _on_connect(read_only=read_only))
    event.listen(engine.sync_engine, "begin", _on_begin(begin))
    event.listen(engine.sync_engine, "invalidate", _roll_back)
    return engine


def _on_connect(*, read_only: bool) -> Callable[[Any, Any], None]:
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    return connected


def _roll_back(connection: Any, _record: Any, _error: Any) -> None:
    """Roll back before a connection is thrown away, as those of cancelled tasks are.

    Closing alone does not end its transaction: SQLite waits for statements that a traceback still holds, and the
    database would be locked for everybody else meanwhile.
    """
    task = asyncio.ensure_future(connection.driver_connection.rollback())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


def _on_begin(statement: str) -> Callable[[Connection], None]:
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return begun
