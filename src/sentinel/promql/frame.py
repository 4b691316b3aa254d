"""What passes between the nodes of a plan: dense arrays over a fixed table of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.promql.errors import AbandonedError, EvaluationError, LimitError, QueryTimeoutError
from sentinel.series.head import Head
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import LabelTable, identify
from sentinel.series.reading.snapshot import Snapshot

Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
Result = TypeVar("Result")

SAME_LABELS: Final = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may cost."""

    samples: int = 50_000_000
    """Samples looked at in one evaluation, all steps of a range query together."""
    seconds: float = 10.0
    steps: int = 11_000
    pairs: int = 2_000_000
    """Combinations that vector matching may have to look through."""
    held: int = 50_000_000
    """Samples of the archive that may be in memory at once."""
    points: int = 10_000_000
    """Results of a range query, all series together."""


@dataclass(slots=True)
class Budget:
    """What is left of the limits of one query."""

    limits: Limits
    monotonic: Callable[[], float]
    spent: int = 0
    is_abandoned: Callable[[], bool] = lambda: False
    """Whether nobody waits for the result any more."""
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = self.monotonic() + self.limits.seconds

    def reading(self) -> Callable[[int], None]:
        """What one reading of the archive is charged by.

        Raises:
            LimitError: as `charge`, or more samples than may be held.
        """
        held = 0

        def charge(samples: int) -> None:
            nonlocal held
            held += samples
            if held > self.limits.held:
                raise LimitError(f"the query needs more than {self.limits.held:,} samples at once")
            self.charge(samples)

        return charge

    def charge(self, samples: int) -> None:
        """
        Raises:
            LimitError: too many samples.
            QueryTimeoutError: too much time has passed.
            AbandonedError: nobody waits any more.
        """
        if self.is_abandoned():
            raise AbandonedError("query was canceled")
        self.spent += samples
        if self.spent > self.limits.samples:
            raise LimitError(f"the query looks at more than {self.limits.samples} samples")
        if self.monotonic() > self.deadline:
            raise QueryTimeoutError(f"the query takes longer than {self.limits.seconds:g} s")


class Notes(Protocol):
    """Takes what should be said beside a result."""

    def info(self, text: str, place: str) -> None: ...
    def warning(self, text: str, place: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """One evaluation at one instant; all times are Unix seconds."""

    head: Head
    at: float
    start: float
    """What `@ start()` means: the first instant of a range query."""
    end: float
    budget: Budget
    lookback: float
    step: float
    """Step of subqueries that name none, in seconds."""
    resolution: float = 0.0
    """Step of a range query; 0 for one instant."""
    grid: Grid | None = None
    """Over a snapshot: all instants of which `at` is one; None: over the head."""
    place: int = 0
    """Which of them."""
    notes: Notes | None = None
    """Takes warnings and infos; None: nobody reads them."""

    @property
    def symbols(self) -> Symbols:
        return self.head.symbols if self.grid is None else self.grid.snapshot.symbols

    def moved(self, at: float) -> Context:
        return replace(self, at=at)

    def over(self, grid: Grid) -> Context:
        """At the first instant of another grid."""
        return replace(self, at=float(grid.instants[0]), grid=grid, place=0)

    def each(self) -> Iterator[Context]:
        """At every instant of the grid."""
        assert self.grid is not None
        for place, at in enumerate(self.grid.instants.tolist()):
            yield replace(self, at=at, place=place)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Ascending instants at which an expression is evaluated over a snapshot.

    What reads samples does so for all instants at once and keeps the results here; the rest of the expression is
    evaluated instant by instant.
    """

    instants: Floats
    snapshot: Snapshot
    _kept: dict[object, Any] = field(default_factory=dict)

    def keep(self, key: object, make: Callable[[], Result]) -> Result:
        """What was made for that key, by now or before."""
        if key not in self._kept:
            self._kept[key] = make()
        found: Result = self._kept[key]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An instant vector over all label sets that could be in it.

    A value means something where `present`.
    """

    table: LabelTable
    values: Floats
    present: Mask
    order: Index | None = None
    """Rows in result order, where a function sorts; otherwise by row."""

    def __len__(self) -> int:
        return len(self.values)


Outcome = Frame | float | str


class Node(Protocol):
    """A part of a compiled expression."""

    def evaluate(self, context: Context) -> Outcome: ...


class Memo(Generic[Result]):
    """The last result of a function of tables, kept while the tables stay the same objects."""

    __slots__ = ("_keys", "_make", "_result")

    def __init__(self, make: Callable[..., Result]) -> None:
        self._make = make
        self._keys: tuple[Any, ...] | None = None
        self._result: Result

    def __call__(self, *keys: Any) -> Result:
        held = self._keys
        if held is None or len(held) != len(keys) or any(a is not b for a, b in zip(held, keys, strict=True)):
            self._result = self._make(*keys)
            self._keys = keys
        return self._result


class Nameless:
    """Tables without the metric name, and the check that this leaves no two series with the same labels."""

    __slots__ = ("_duplicates", "_table")

    def __init__(self) -> None:
        self._table: Memo[LabelTable] = Memo(lambda table: table.without((METRIC_NAME,)))
        self._duplicates: Memo[Index | None] = Memo(duplicates)

    def __call__(self, table: LabelTable) -> LabelTable:
        return self._table(table)

    def checked(self, frame: Frame) -> Frame:
        """
        Raises:
            EvaluationError: two present rows have the same labels.
        """
        check_unique(self._duplicates(frame.table), frame.present)
        return frame


def duplicates(table: LabelTable) -> Index | None:
    """Ids of equal rows if there are any."""
    return None if table.is_unique else identify(table.codes)[0]


def check_unique(ids: Index | None, present: Mask) -> None:
    """
    Raises:
        EvaluationError: an id occurs twice among the rows present.
    """
    if ids is not None and np.bincount(ids[present]).max(initial=0) > 1:
        raise EvaluationError(SAME_LABELS)


def vector(outcome: Outcome) -> Frame:
    assert isinstance(outcome, Frame)
    return outcome


def scalar(outcome: Outcome) -> float:
    assert isinstance(outcome, float)
    return outcome


def text(outcome: Outcome) -> str:
    assert isinstance(outcome, str)
    return outcome
