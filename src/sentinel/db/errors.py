"""What can be wrong with a database as a whole."""

from __future__ import annotations

from pathlib import Path

from sentinel.model.problem import Problem, UnusableError


class UnusableDatabaseError(UnusableError):
    """The database cannot be used as it is: damaged, of a newer Sentinel, in use, or not reachable."""

    def __init__(self, path: Path | str, text: str) -> None:
        super().__init__([Problem(str(path), 0, 0, text)])
