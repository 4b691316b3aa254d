"""Problems in what people wrote: where, what, and what to do; all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in one file. Lines and columns count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        if self.line <= 0:
            return f"{self.file}: {self.text}"
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


class UnusableError(Exception):
    """What people wrote cannot be used; carries every problem found, never only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def close_to(word: str, known: Iterable[str]) -> list[str]:
    """The known word that was probably meant, if there is one."""
    candidates: Sequence[str] = [str(item) for item in known]
    return difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to an error, or an empty string."""
    close = close_to(word, known)
    return f" (did you mean '{close[0]}'?)" if close else ""
