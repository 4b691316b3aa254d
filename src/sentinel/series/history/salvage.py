"""What can still be read of a damaged file, put into a new one."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sentinel.series.history.encoding import Bundle
from sentinel.series.history.files import DamagedError, HistoryFile, Recovered


def salvage(damaged: Path, into: Path) -> int:
    """Copy every window, bundle and chunk whose checksum is right.

    Returns:
        how many windows could be read.
    """
    with contextlib.closing(_opened(damaged)) as db:
        windows = list(_rows(db, "window", "id, segment, start, stop, shift, samples"))
        bundles: dict[int, Bundle] = {}
        for number, digest, content in _rows(db, "bundle", "id, digest, content"):
            with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
                bundles[number] = Bundle.of(content, digest)
        stamps = _checked(_rows(db, "stamps", "window, team, content, checksum", by="window, team"))
        chunks = _checked(_rows(db, "chunk", "bundle, window, content, checksum"))
        if not windows:
            return 0
        with contextlib.suppress(OSError, DamagedError), HistoryFile(into, writable=True) as file:
            file.recover(Recovered(windows, bundles, stamps, chunks))
            file.settle()
            return len(windows)
    return 0


def _opened(path: Path) -> sqlite3.Connection:
    """With what SQLite keeps beside it, where that can be read."""
    address = f"file:{quote(str(path))}?mode=ro"
    db = sqlite3.connect(address, uri=True)
    try:
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        db.close()
        return sqlite3.connect(f"{address}&immutable=1", uri=True)
    return db


def _rows(
    db: sqlite3.Connection, table: str, columns: str, *, by: str = "rowid"
) -> Iterator[tuple[Any, ...]]:
    """All rows that can be reached: from both ends, around what is damaged.

    The names come from this module alone.
    """
    seen: set[tuple[Any, ...]] = set()
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{one} {order}" for one in by.split(", "))
        with contextlib.suppress(sqlite3.Error):
            for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY {ordered}"):  # noqa: S608
                if row[:2] not in seen:
                    seen.add(row[:2])
                    yield row


def _checked(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, int, bytes, int]]:
    for one, two, content, checksum in rows:
        if isinstance(content, bytes) and zlib.crc32(content) == checksum:
            yield one, two, content, checksum
