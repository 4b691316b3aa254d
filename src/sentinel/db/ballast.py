"""A file that takes up room until the disk is full: then it makes way for the database.

SQLite needs room even to delete; with the ballast gone, commits and the retention run get it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

SIZE = 8 * 1024 * 1024
SPARE = 3
"""The ballast comes back once that many times its size is free."""


class Ballast:
    def __init__(self, database: Path, size: int = SIZE) -> None:
        self._path = database.with_name(database.name + ".ballast")
        self._size = size
        self._is_short = False
        """Known to lack room: said once, and once when it is over."""

    @property
    def is_there(self) -> bool:
        try:
            return self._path.stat().st_size == self._size
        except OSError:
            return False

    def release(self) -> None:
        """Give the room to the database."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            facts = {"file": str(self._path), "error": error.strerror}
            log.error("ballast cannot be released", extra={"facts": facts})
            return
        self._is_short = True
        log.error("disk is full, ballast released", extra={"facts": {"file": str(self._path)}})

    def restore(self) -> bool:
        """Take the room again if there is plenty; whether the ballast is there."""
        is_there = self.is_there or self._take()
        if is_there == self._is_short:
            facts = {"file": str(self._path)}
            if is_there:
                log.info("disk has room again", extra={"facts": facts})
            else:
                log.error("disk is nearly full, no room for ballast", extra={"facts": facts})
            self._is_short = not is_there
        return is_there

    def _take(self) -> bool:
        try:
            if shutil.disk_usage(self._path.parent).free < SPARE * self._size:
                return False
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(file, 0, self._size)
            finally:
                os.close(file)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink()
            return False
        return True
