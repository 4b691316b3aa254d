"""What the web asks about samples: queries, which series there are, and taking those of others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from sentinel.model.batch import Family
from sentinel.model.labels import Labels
from sentinel.promql.service import Question, Reply
from sentinel.promql.value import Value
from sentinel.series.index.matcher import Matcher
from sentinel.series.remote.verdict import Verdict
from sentinel.series.text.exposition import Style

Result = TypeVar("Result")
Scope = Literal["self", "fleet"]
Matchers = tuple[Matcher, ...]


class Expression(Protocol):
    """A compiled PromQL expression."""

    def instant(self, at: float, /) -> Value:
        """Its value at that moment; reads memory only and returns within milliseconds.

        Raises:
            EvaluationError: it gives no result on the samples there are, or would cost too much.
        """
        ...


class Expressions(Protocol):
    """PromQL over the recent samples."""

    def compile(self, text: str, /) -> Expression:
        """Raises: ExpressionError: not an expression, or one that is not supported."""
        ...


class Queries(Protocol):
    """PromQL over all samples, for people and their tools."""

    async def ask(self, question: Question, gone: threading.Event, /) -> Reply:
        """
        Args:
            gone: set when nobody waits for the answer any more.
        Raises:
            ExpressionError: not an expression, or one that is not supported.
            EvaluationError: no result on the samples there are, too much work, or nobody waits.
        """
        ...

    async def work(self, function: Callable[[], Result], /) -> Result:
        """Something that takes long, away from the event loop."""
        ...


class Catalogue(Protocol):
    """Which series there are; times are Unix seconds. Raises: EvaluationError, as queries."""

    async def series(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event, /
    ) -> Sequence[Labels]:
        """Those that satisfy one of the sets of matchers, sorted."""
        ...

    async def names(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event, /
    ) -> Sequence[str]:
        """Their label names; without matchers those of all."""
        ...

    async def values(
        self, name: str, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event, /
    ) -> Sequence[str]:
        """The values of a label in them; without matchers in all."""
        ...

    def families(self) -> Mapping[str, Family]: ...

    def counts(self) -> Mapping[str, int]:
        """How many recent series each metric has."""
        ...

    def times(self) -> tuple[float, float]:
        """Of the oldest and the newest recent sample."""
        ...


class Exposition(Protocol):
    """The text of /metrics."""

    def parts(self, scopes: Collection[Scope], matchers: Sequence[str], style: Style, /) -> Iterator[bytes]:
        """Series of the daemon itself, of the fleet or of both, each part the work of some milliseconds.

        Args:
            matchers: only series that one of them picks; none: all.
        Raises:
            ExpressionError: a matcher is not a series selector, or is not supported.
        """
        ...


class Receiving(Protocol):
    """Samples from others."""

    async def take(self, body: bytes, sender: str, /) -> Verdict:
        """A remote write request. Raises: WireError: it cannot be read."""
        ...
