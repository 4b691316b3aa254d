"""One daemon per database: a lock on a file beside it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sentinel.db.errors import UnusableDatabaseError


class InstanceLock:
    """Held until it is released or the process ends, however it ends."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    def take(cls, database: Path) -> InstanceLock:
        """
        Raises:
            UnusableDatabaseError: another process holds it, or the file cannot be made.
        """
        path = database.with_name(database.name + ".lock")
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise UnusableDatabaseError(path, f"cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 20).decode(errors="replace").strip()
            os.close(file)
            who = f" (process {holder})" if holder.isdecimal() else ""
            raise UnusableDatabaseError(database, f"another Sentinel{who} is using this database") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        return cls(file)

    def release(self) -> None:
        os.close(self._file)
