"""What rules need from elsewhere: queries, readability, and somewhere to put what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sentinel.model.alert import AlertChange
from sentinel.model.batch import Batch
from sentinel.model.labels import Labels
from sentinel.promql.value import Value


class Evaluation(Protocol):
    """An evaluation that takes a while: `take` on the loop's thread, `value` in another."""

    def take(self) -> Iterator[None]:
        """Copies what is needed of the samples in memory, in small steps. Raises: EvaluationError."""
        ...

    def value(self) -> Value:
        """Raises: EvaluationError."""
        ...


class Expression(Protocol):
    """A compiled expression."""

    @property
    def is_long(self) -> bool:
        """It reads samples that are on disk only: evaluate it by `over`."""
        ...

    def over(self, start: float, end: float) -> Evaluation:
        """At one instant, start and end. Raises: EvaluationError."""
        ...

    @property
    def text(self) -> str: ...

    @property
    def names(self) -> frozenset[str]:
        """Metric names that it reads; empty where they cannot be told."""
        ...

    def instant(self, at: float) -> Value:
        """
        Raises:
            EvaluationError: this evaluation failed; the next may not.
        """
        ...


class Expressions(Protocol):
    """The query engine."""

    def compile(self, text: str) -> Expression:
        """
        Raises:
            ExpressionError: wrong or not supported, with the offset in the text.
        """
        ...


class Readability(Protocol):
    """Knows which sources can be read now."""

    def readability(self, labels: Labels, names: frozenset[str]) -> bool:
        """True: every source that could feed an alert with these labels, from these metrics, cannot be read
        now, so that the alert's absence says nothing. False: one can be read, or there is none any more."""
        ...


class Ledger(Protocol):
    """Takes alert changes; commits them later, together."""

    def submit(self, changes: Sequence[AlertChange]) -> None: ...


class Recorder(Protocol):
    """Stores the results of recording rules and the state of alerts as series."""

    def append(self, batches: Sequence[Batch]) -> None: ...
