"""Why polls fail, as series: sentinel_poll_failed{instance, job, reason} is 1 while they do, else not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import numpy as np

from sentinel.model.batch import Batch, Family, Layout, Reading, Source
from sentinel.model.labels import EMPTY

METRIC: Final = "sentinel_poll_failed"
FAMILIES: Final = {METRIC: Family("gauge", "1 while polls of the target fail, with the last one's reason.")}

_ONE = np.ones(1)


class Sink(Protocol):
    """Where series end: the head."""

    def forget(self, source: Source, /) -> None: ...


class Failed:
    """The series of sources that are down. Healthy ones cost nothing."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._known: dict[Source, tuple[str, Batch]] = {}

    def batches(self, polls: Iterable[Batch]) -> Iterator[Batch]:
        """What belongs beside these polls; the series of sources that are up again end."""
        for poll in polls:
            if poll.up:
                self.forget(poll.source)
            else:
                yield self._batch(poll)

    def forget(self, source: Source) -> None:
        known = self._known.pop(source, None)
        if known is not None:
            self._sink.forget(known[1].source)

    def _batch(self, poll: Batch) -> Batch:
        reason, before = self._known.get(poll.source, ("", None))
        if before is None or reason != poll.reason or before.source.interval != poll.source.interval:
            series = poll.source.labels.updated({"__name__": METRIC, "reason": poll.reason})
            layout = Layout.of([series], FAMILIES)
        else:
            layout = before.reading.layout
        # Without labels of its own: `up` is the poll's own to tell.
        source = Source(poll.source.target, f"{poll.source.module} failed", EMPTY, poll.source.interval)
        batch = Batch(source, poll.at, Reading(layout, _ONE), up=True, duration=0.0)
        self._known[poll.source] = poll.reason, batch
        return batch
