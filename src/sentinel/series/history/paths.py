"""Where the files of the history are: 2026-11-22T12.history holds six hours from 12:00 UTC."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

SUFFIX: Final = ".history"
HOURS: Final = 6
"""Of one file."""


def path_at(folder: Path, at: int) -> Path:
    """The file that a window belongs to.

    Args:
        at: milliseconds since 1970.
    """
    hours = at // 3_600_000
    start = datetime.fromtimestamp((hours - hours % HOURS) * 3600, UTC)
    return folder / f"{start:%Y-%m-%dT%H}{SUFFIX}"


def end_of(path: Path) -> int:
    """When the hours of a file are over, milliseconds since 1970; 0: its name does not say."""
    try:
        start = datetime.strptime(path.name, f"%Y-%m-%dT%H{SUFFIX}").replace(tzinfo=UTC)
    except ValueError:
        return 0
    return round(start.timestamp() + HOURS * 3600) * 1000


def files_in(folder: Path) -> list[Path]:
    """The files that are there, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def file_bytes(path: Path) -> int:
    """With what SQLite keeps beside it."""
    total = 0
    for each in _with_beside(path):
        with contextlib.suppress(OSError):
            total += each.stat().st_size
    return total


def remove(path: Path) -> None:
    """
    Raises:
        OSError: it cannot be deleted.
    """
    for each in _with_beside(path):
        each.unlink(missing_ok=True)


def move(path: Path, to: Path) -> None:
    """
    Raises:
        OSError: it cannot be renamed.
    """
    for each, target in zip(_with_beside(path), _with_beside(to), strict=True):
        with contextlib.suppress(FileNotFoundError):
            each.rename(target)


def _with_beside(path: Path) -> tuple[Path, Path, Path]:
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
