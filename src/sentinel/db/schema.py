"""Bringing a database file into shape before anything uses it. Blocking: call it in a thread."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.pool import NullPool

from sentinel.db.errors import UnusableDatabaseError

SCHEMA = "0005"
"""Revision that this version reads and writes."""
OLDER: tuple[str, ...] = ("0001", "0002", "0003", "0004")
"""Revisions that the migrations start from."""

APPLICATION_ID = 0x534E544C
"""SQLite's mark of whose file it is: "SNTL"."""

MIGRATIONS = Path(__file__).parent / "migrations"


def create(path: Path) -> None:
    """Make an empty database under a passing name and put it in place complete.

    Raises:
        UnusableDatabaseError: the folder does not take it.
    """
    for suffix in ("-wal", "-journal"):
        journal = path.with_name(path.name + suffix)
        if journal.exists():
            raise UnusableDatabaseError(
                path, f"the database is missing but its journal {journal.name} is there: restore a backup"
            )
    passing = path.with_name(path.name + ".new")
    try:
        for leftover in (passing, Path(f"{passing}-wal"), Path(f"{passing}-shm")):
            leftover.unlink(missing_ok=True)
        os.close(os.open(passing, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(passing, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
            connection.execute("PRAGMA journal_mode = WAL")
        migrate(passing)
        passing.rename(path)
        _sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnusableDatabaseError(path, f"cannot be created: {reason}") from None


def inspect(path: Path, *, thoroughly: bool) -> str:
    """Revision of an existing database, after a look at whether it is whole.

    Raises:
        UnusableDatabaseError: damaged, not ours, of a newer Sentinel, or not readable.
    """
    try:
        if path.stat().st_size == 0:
            raise UnusableDatabaseError(path, "the database is empty (0 bytes): restore a backup")
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5)
        ) as connection:
            revision = _revision(connection, path)
            if thoroughly:
                _check_pages(connection, path)
    except OSError as error:
        raise UnusableDatabaseError(path, f"cannot be read: {error.strerror}") from None
    except sqlite3.DatabaseError as error:
        raise UnusableDatabaseError(path, _meaning(error)) from None
    if revision != SCHEMA and revision not in OLDER:
        raise UnusableDatabaseError(
            path, f"the database was written by a newer Sentinel (schema {revision}, this one knows {SCHEMA})"
        )
    return revision


def migrate(path: Path) -> None:
    """Bring the schema up to date in one transaction: whatever happens in between, it is the old or the new."""
    from alembic import command
    from alembic.config import Config

    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin_at_once)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _begin_at_once(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _revision(connection: sqlite3.Connection, path: Path) -> str:
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
    if not tables:
        raise UnusableDatabaseError(path, "this is a database, but not Sentinel's")
    rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(rows) != 1:
        raise UnusableDatabaseError(path, "the database does not say which schema it has: restore a backup")
    return str(rows[0][0])


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    findings = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    if findings != ["ok"]:
        raise UnusableDatabaseError(path, f"the database is damaged ({findings[0]}): restore a backup")


def _meaning(error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return "this is not a SQLite database (or its beginning is damaged): restore a backup"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"the database is damaged ({error}): restore a backup"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "the database is locked by another program"
    return f"the database cannot be opened: {error}"


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
