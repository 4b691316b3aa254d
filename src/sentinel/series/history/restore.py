"""From the journal into the head: after a restart rules and queries go on with what they had."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sentinel.series.head import Head
from sentinel.series.history.segment import Segment, joined_families
from sentinel.series.history.shape import RestoredLayout
from sentinel.series.history.tracks import Track, tracks_of
from sentinel.series.refill import Past, refill


def restore(head: Head, segments: Sequence[Segment], now: float) -> int:
    """Fill an empty head.

    Args:
        segments: in the order in which they were written.
        now: Unix seconds; polls that seem to be later are left out: the clock was set back in between.
    Returns:
        how many sources it has again.
    Raises:
        OSError: a segment cannot be read.
    """
    layouts: dict[bytes, RestoredLayout] = {}
    pasts = []
    for track in tracks_of(segments):
        past = _past(track, now, layouts)
        if past is not None:
            pasts.append(past)
    refill(head, pasts, joined_families(segments))
    return len(pasts)


def _past(track: Track, now: float, layouts: dict[bytes, RestoredLayout]) -> Past | None:
    polls = int(np.searchsorted(track.times, round(now * 1000), side="right"))
    if not polls:
        return None
    layout = layouts.setdefault(track.shape.digest, RestoredLayout(track.shape))
    times = track.times[:polls] / 1000
    return Past(
        track.source,
        layout,
        times,
        track.current,
        min(layout.shape.own, len(track.current)),
        _down_since(track, polls),
        track.is_forgotten,
        track.cells,
    )


def _down_since(track: Track, polls: int) -> float:
    """Unix seconds of the first of the polls that could not be read up to the last one."""
    ups = np.flatnonzero(track.ups[:polls])
    first = int(ups[-1]) + 1 if len(ups) else 0
    return float(track.times[first]) / 1000 if first < polls else math.inf
