"""Copies of the database: made while it is in use, looked at before they count, put back in place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sentinel.db import schema
from sentinel.db.database import Database, database_path
from sentinel.db.errors import UnusableDatabaseError
from sentinel.db.lock import InstanceLock

PREFIX = "sentinel-"
SUFFIX = ".db"


class BackupError(Exception):
    """No backup was made; what is in its place, if anything, is the former one."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished and verified copy."""

    path: Path
    size: int
    """Bytes."""
    removed: tuple[Path, ...] = ()
    """Older backups that made way."""


async def back_up(db: Database, path: Path) -> Backup:
    """Copy the database as it is now, from beside the running daemon or inside it; check the copy.

    Raises:
        BackupError
    """
    return await asyncio.to_thread(_copy, db.path, path)


async def nightly(db: Database, folder: Path, *, keep: int) -> Backup:
    """A new backup in the folder, and the oldest gone: `keep` remain.

    Raises:
        BackupError
    """
    backup = await back_up(db, folder / f"{PREFIX}{_stamp(db.clock.now())}{SUFFIX}")
    removed = await asyncio.to_thread(_rotate, folder, keep)
    return Backup(backup.path, backup.size, removed)


def restore(url: str, backup: Path, *, now: float, data_dir: Path = Path()) -> Path | None:
    """Put a backup in the database's place. The daemon must not run. Blocking.

    Returns:
        Where the former database is kept, if there was one.

    Raises:
        UnusableDatabaseError: the daemon runs, or the backup is not whole; nothing was changed.
    """
    path = database_path(url, data_dir)
    schema.inspect(backup, thoroughly=True)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = InstanceLock.take(path)
    try:
        passing = path.with_name(path.name + ".restored")
        try:
            _copy(backup, passing)
        except BackupError as error:
            raise UnusableDatabaseError(path, str(error)) from None
        former = _set_aside(path, now)
        passing.rename(path)
        return former
    finally:
        lock.release()


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _set_aside(path: Path, now: float) -> Path | None:
    if not path.exists():
        return None
    former = path.with_name(f"{path.name}.before-restore-{_stamp(now)}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(former.with_name(former.name + suffix))
    return former


def _copy(source: Path, path: Path) -> Backup:
    passing = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        passing.unlink(missing_ok=True)
        os.close(os.open(passing, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with (
            closing(
                sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
            ) as original,
            closing(sqlite3.connect(passing)) as copy,
        ):
            original.backup(copy)  # all pages in one step: one state, and the daemon goes on writing
            copy.execute("PRAGMA journal_mode = DELETE")
            findings = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(5)")]
        if findings != ["ok"]:
            raise BackupError(f"the copy is damaged: {findings[0]}")
        schema.inspect(passing, thoroughly=False)
        _sync(passing)
        passing.replace(path)
        _sync(path.parent)
        return Backup(path, path.stat().st_size)
    except (OSError, sqlite3.Error, UnusableDatabaseError) as error:
        with contextlib.suppress(OSError):
            passing.unlink(missing_ok=True)
        raise BackupError(f"backup to {path} failed: {error}") from None


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _rotate(folder: Path, keep: int) -> tuple[Path, ...]:
    """The names sort by time."""
    old = sorted(folder.glob(f"{PREFIX}*{SUFFIX}"))[: -max(1, keep)]
    for path in old:
        path.unlink()
    return tuple(old)
