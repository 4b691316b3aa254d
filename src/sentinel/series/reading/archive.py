"""The seam to samples that are older than the head's: what queries ask of the history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from sentinel.model.labels import Labels
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.selection import Samples

Charge = Callable[[int], None]
"""Told how many samples are about to be read, before they are; raises where the query may not go on (too many, too
long, nobody waits for it any more). The archive lets the exception pass and calls it at least once a file, so that
no reading goes on for long after a query has ended."""


@dataclass(frozen=True, slots=True)
class Panes:
    """Windows of one width that end at regular instants: what a range query looks at. All in milliseconds."""

    first: int
    """The end of one of them; the others end whole steps before and after."""
    step: int
    width: int
    """At most the step: (end − width, end]."""
    is_newest: bool
    """Of each only the newest sample is wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class Archived:
    """Samples of some series out of the archive."""

    labels: Sequence[Labels]
    """With the metric name as __name__; each series once. The same object again where the same series come in the
    same order, so that readers need not work out twice which those are."""
    samples: Samples
    """Aligned with `labels`, oldest first. Staleness markers are among the values (`model.batch.STALE_BITS`): they
    end their series for instant selectors. Cells without a sample are not. Series that share their times share a
    slot, which readers use to look for instants once instead of for each series."""


class Archive(Protocol):
    """What was stored, by time.

    Every method may be called from several threads at a time, none of which is the event loop's. An archive that
    cannot read a part of its files answers with the rest.
    """

    @property
    def oldest(self) -> float:
        """Unix seconds of the oldest sample; +Inf while there is none. Cheap: also read on the event loop."""
        ...

    def read(
        self, matchers: tuple[Matcher, ...], start: float, end: float, panes: Panes | None, *, charge: Charge
    ) -> Sequence[Archived]:
        """Samples in (start, end] of the series that satisfy all matchers, as far as they are archived.

        A series may come in several of the results, in the order of time: no sample of a later one is older than,
        or as old as, one of an earlier. It is fine to have samples that the head holds too.

        Args:
            panes: None: every sample is wanted. Otherwise only what they say; more does no harm.
        Raises:
            ValueError: a regular expression cannot be used.
        """
        ...

    def labels_of(
        self, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Sequence[Labels]:
        """Series that satisfy all matchers and may have samples in [start, end]; each once, in no order.

        Args:
            charge: is told of series instead of samples.
        Raises:
            ValueError: a regular expression cannot be used.
        """
        ...

    def label_names(
        self, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Collection[str]:
        """Label names of those series, __name__ among them. Raises: ValueError, as `labels_of`."""
        ...

    def label_values(
        self, name: str, matchers: tuple[Matcher, ...], start: float, end: float, *, charge: Charge
    ) -> Collection[str]:
        """Values that a label has in those series. Raises: ValueError, as `labels_of`."""
        ...
