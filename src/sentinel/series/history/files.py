"""Files of the history: SQLite databases of some hours each, whose rows hold packed samples.

    window  one segment of the journal: when it starts and ends
    stamps  instants of the polls of up to 64 sources of a window
    bundle  labels of up to a thousand series
    name    in which bundles a metric name is
    chunk   the samples of a bundle in a window, a row a poll
    merged  segments whose windows have become parts of longer ones
    about   what tells this file from another that is called the same

Every blob has a checksum. Instants are milliseconds since 1970.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np

from sentinel.series.columns.packed import Packed
from sentinel.series.history.encoding import (
    Bundle,
    Stamps,
    numbers_bytes,
    numbers_of,
    packed_bytes,
    packed_of,
    stamps_bytes,
)
from sentinel.series.history.shape import Index

TEAM: Final = 64
"""Sources whose instants stand together."""
VERSION: Final = 1
APPLICATION: Final = 0x534E544C
_BUSY: Final = 10.0

_SCHEMA: Final = """
CREATE TABLE window (
    id INTEGER PRIMARY KEY, segment TEXT NOT NULL UNIQUE, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    shift INTEGER NOT NULL DEFAULT 0, samples INTEGER NOT NULL
);
CREATE TABLE stamps (
    window INTEGER NOT NULL, team INTEGER NOT NULL, content BLOB NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (window, team)
) WITHOUT ROWID;
CREATE TABLE bundle (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, content BLOB NOT NULL);
CREATE TABLE name (name TEXT NOT NULL, bundle INTEGER NOT NULL, PRIMARY KEY (name, bundle)) WITHOUT ROWID;
CREATE TABLE chunk (
    bundle INTEGER NOT NULL, window INTEGER NOT NULL, content BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE UNIQUE INDEX chunk_place ON chunk (bundle, window);
CREATE TABLE merged (segment TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE about (id TEXT NOT NULL);
INSERT INTO about VALUES (hex(randomblob(8)));
"""


class DamagedError(Exception):
    """A file, or a part of one, is not what was written."""


@dataclass(frozen=True, slots=True)
class Window:
    id: int
    start: int
    stop: int
    """The first and the last instant, with the shift."""
    shift: int
    segment: str
    """The segment of the journal that it was."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Samples of a bundle in a window."""

    values: Packed
    stamps: Index
    """Of each of the bundle's sources: which of the window's instants are its own."""

    @property
    def content(self) -> bytes:
        stamps = numbers_bytes(self.stamps.astype(np.int64))
        return len(stamps).to_bytes(4, "little") + stamps + packed_bytes(self.values)

    @classmethod
    def of(cls, content: bytes) -> Chunk:
        """
        Raises:
            ValueError: damaged.
        """
        length = int.from_bytes(content[:4], "little")
        stamps = numbers_of(content[4 : 4 + length]).astype(np.intp)
        return cls(packed_of(content[4 + length :]), stamps)


@dataclass(frozen=True, slots=True, eq=False)
class Recovered:
    """What could be read of a damaged file; all of it has been checked."""

    windows: list[tuple[int, str, int, int, int, int]]
    """id, segment, start, stop, shift, samples"""
    bundles: dict[int, Bundle]
    stamps: Iterable[tuple[int, int, bytes, int]]
    """window, team, content, checksum"""
    chunks: Iterable[tuple[int, int, bytes, int]]
    """bundle, window, content, checksum"""


class HistoryFile:
    """One file, for one thread at a time.

    Every method raises DamagedError where the file is not what was written, and OSError where it cannot be read or
    written, such as for want of room.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self.id = ""
        """Tells it from another file in the same place."""
        # A reader too may find what a killed writer left beside the file, and has to put it in.
        address = f"file:{quote(str(path))}?mode={'rwc' if writable else 'rw'}"
        with self._translated():
            self._db = sqlite3.connect(
                address, timeout=_BUSY, isolation_level=None, check_same_thread=False, uri=True
            )
        try:
            with self._translated():
                self._prepare(writable=writable)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> HistoryFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, *, writable: bool) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if writable:
            self._db.execute("PRAGMA synchronous = FULL")
            if not version:
                self._db.execute("PRAGMA page_size = 4096")
                self._db.execute("PRAGMA journal_mode = WAL")
                begin = f"BEGIN;PRAGMA application_id = {APPLICATION};PRAGMA user_version = {VERSION};"
                self._db.executescript(f"{begin}{_SCHEMA}COMMIT;")
                version = VERSION
        else:
            self._db.execute("PRAGMA query_only = ON")
        if version != VERSION:
            raise DamagedError(f"{self.path.name}: of version {version}, this is {VERSION}")
        (self.id,) = self._db.execute("SELECT id FROM about").fetchone()

    # Writing

    def has(self, segment: str) -> bool:
        with self._translated():
            return (
                self._db.execute("SELECT 1 FROM window WHERE segment = ?", (segment,)).fetchone() is not None
            )

    def add(
        self,
        segment: str,
        span: tuple[int, int],
        samples: int,
        stamps: list[Stamps],
        chunks: Iterable[tuple[Bundle, Chunk]],
    ) -> None:
        """A window, whole or not at all.

        Args:
            stamps: of all its sources.
        """
        with self._translated(), self._transaction():
            window = self._db.execute(
                "INSERT INTO window (segment, start, stop, samples) VALUES (?, ?, ?, ?)",
                (segment, *span, samples),
            ).lastrowid
            for team in range(0, len(stamps), TEAM):
                content = stamps_bytes(stamps[team : team + TEAM])
                placed = (window, team // TEAM, content, zlib.crc32(content))
                self._db.execute("INSERT INTO stamps VALUES (?, ?, ?, ?)", placed)
            for bundle, chunk in chunks:
                content = chunk.content
                row = (self._bundle_id(bundle), window, content, zlib.crc32(content))
                self._db.execute("INSERT INTO chunk VALUES (?, ?, ?, ?)", row)

    def shift(self, milliseconds: int, since: int, before: str) -> None:
        """The clock was stepped: windows that end after that instant move along.

        Args:
            before: only windows of segments before that one.
        """
        moved = "UPDATE window SET start = start + ?1, stop = stop + ?1, shift = shift + ?1"
        with self._translated(), self._transaction():
            self._db.execute(f"{moved} WHERE stop > ?2 AND segment < ?3", (milliseconds, since, before))

    def recover(self, found: Recovered) -> None:
        """Take over what was read of a damaged file."""
        with self._translated(), self._transaction():
            self._db.executemany(
                "INSERT INTO window (id, segment, start, stop, shift, samples) VALUES (?, ?, ?, ?, ?, ?)",
                found.windows,
            )
            for number, bundle in found.bundles.items():
                row = (number, bundle.digest, bundle.content)
                self._db.execute("INSERT INTO bundle (id, digest, content) VALUES (?, ?, ?)", row)
                names = [(name, number) for name in bundle.names]
                self._db.executemany("INSERT INTO name VALUES (?, ?)", names)
            windows = {window for window, *_ in found.windows}
            for part in found.stamps:
                if part[0] in windows:
                    self._db.execute("INSERT OR IGNORE INTO stamps VALUES (?, ?, ?, ?)", part)
            for part in found.chunks:
                if part[0] in found.bundles and part[1] in windows:
                    self._db.execute("INSERT OR IGNORE INTO chunk VALUES (?, ?, ?, ?)", part)

    def note_merged(self, segments: Iterable[str]) -> None:
        """These segments are in the file, in windows of other names."""
        with self._translated(), self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO merged VALUES (?)", [(one,) for one in segments])

    def finish(self) -> None:
        """Everything is written: leave nothing beside the file.

        Raises:
            BlockingIOError: somebody reads it.
        """
        try:
            (mode,) = self._db.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError as error:
            raise BlockingIOError(f"{self.path.name}: {error}") from error
        if mode != "delete":
            raise BlockingIOError(f"{self.path.name}: in use")

    def settle(self) -> None:
        """Put everything into the file itself: nothing more is written to it."""
        with self._translated():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _bundle_id(self, bundle: Bundle) -> int:
        found = self._db.execute("SELECT id FROM bundle WHERE digest = ?", (bundle.digest,)).fetchone()
        if found is not None:
            return int(found[0])
        made = self._db.execute(
            "INSERT INTO bundle (digest, content) VALUES (?, ?)", (bundle.digest, bundle.content)
        ).lastrowid
        assert made is not None
        self._db.executemany("INSERT INTO name VALUES (?, ?)", [(name, made) for name in bundle.names])
        return made

    # Reading

    def span(self) -> tuple[int, int] | None:
        """The first and the last instant; None: it is empty."""
        with self._translated():
            start, stop = self._db.execute("SELECT min(start), max(stop) FROM window").fetchone()
        return None if start is None else (start, stop)

    def newest_segment(self) -> int:
        """The highest number of a segment that is in the file; 0: none is."""
        with self._translated():
            (segment,) = self._db.execute("SELECT max(segment) FROM window").fetchone()
            (merged,) = self._db.execute("SELECT max(segment) FROM merged").fetchone()
            return max(int(segment or 0), int(merged or 0))

    def windows(self, start: int, stop: int) -> list[Window]:
        """Windows that may have samples in [start, stop], in the order in which they were written."""
        with self._translated():
            rows = self._db.execute(
                "SELECT id, start, stop, shift, segment FROM window WHERE stop >= ? AND start <= ? ORDER BY id",
                (start, stop),
            ).fetchall()
        return [Window(*row) for row in rows]

    def names(self) -> list[str]:
        with self._translated():
            return [name for (name,) in self._db.execute("SELECT DISTINCT name FROM name")]

    def bundles(self, names: Iterable[str]) -> dict[int, bytes]:
        """Bundles with series of any of these names, and their digests."""
        found: dict[int, bytes] = {}
        with self._translated():
            for name in names:
                found.update(
                    self._db.execute(
                        "SELECT id, digest FROM name JOIN bundle ON bundle.id = name.bundle WHERE name = ?",
                        (name,),
                    )
                )
        return found

    def bundle(self, number: int) -> Bundle:
        with self._translated():
            row = self._db.execute("SELECT content, digest FROM bundle WHERE id = ?", (number,)).fetchone()
            if row is None:
                raise DamagedError(f"{self.path.name}: bundle {number} is missing")
            return Bundle.of(*row)

    def samples(self, windows: Iterable[int]) -> int:
        """How many samples these windows have."""
        with self._translated():
            rows = self._db.execute("SELECT id, samples FROM window").fetchall()
        wanted = set(windows)
        return sum(samples for window, samples in rows if window in wanted)

    def quick_check(self) -> list[str]:
        """What SQLite finds wrong with the file as such."""
        with self._translated():
            found = [str(text) for (text,) in self._db.execute("PRAGMA quick_check(20)")]
        return [] if found == ["ok"] else found

    def teams(self, window: int) -> int:
        """In how many parts the instants of a window are."""
        with self._translated():
            (count,) = self._db.execute("SELECT count(*) FROM stamps WHERE window = ?", (window,)).fetchone()
        return int(count)

    def stamps(self, window: int, team: int) -> bytes:
        """Packed, checked."""
        with self._translated():
            row = self._db.execute(
                "SELECT content, checksum FROM stamps WHERE window = ? AND team = ?", (window, team)
            ).fetchone()
        return self._checked(row, f"instants of window {window}")

    def chunk_windows(self, bundle: int) -> list[int]:
        """The windows that have samples of the bundle."""
        with self._translated():
            rows = self._db.execute(
                "SELECT window FROM chunk WHERE bundle = ? ORDER BY window", (bundle,)
            ).fetchall()
        return [window for (window,) in rows]

    def chunk(self, bundle: int, window: int) -> bytes:
        """Packed, checked."""
        with self._translated():
            row = self._db.execute(
                "SELECT content, checksum FROM chunk WHERE bundle = ? AND window = ?", (bundle, window)
            ).fetchone()
        return self._checked(row, f"samples of bundle {bundle} in window {window}")

    def _checked(self, row: tuple[bytes, int] | None, what: str) -> bytes:
        if row is None:
            raise DamagedError(f"{self.path.name}: {what} are missing")
        content, checksum = row
        if zlib.crc32(content) != checksum:
            raise DamagedError(f"{self.path.name}: {what} have a wrong checksum")
        return content

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if (
                getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR
            ):  # such as a table that is not there
                raise DamagedError(f"{self.path.name}: {error}") from error
            raise OSError(f"{self.path.name}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DamagedError(f"{self.path.name}: {error}") from error
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise DamagedError(f"{self.path.name}: {error}") from error
