"""What can be wrong with a database as a whole."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import DBAPIError

from sentinel.model.problem import Problem, UnusableError


class UnusableDatabaseError(UnusableError):
    """The database cannot be used as it is: damaged, of a newer Sentinel, in use, or not reachable."""

    def __init__(self, path: Path | str, text: str) -> None:
        super().__init__([Problem(str(path), 0, 0, text)])


def reason_of(error: BaseException) -> str:
    """One line about a failed statement, without its parameters."""
    if isinstance(error, DBAPIError):
        return str(error.orig)
    return str(error)
