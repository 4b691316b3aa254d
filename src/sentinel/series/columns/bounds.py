"""The polls of every source that lie in a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Floats

_NEVER: Final = -math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The polls of each source (one entry a slot) inside a window."""

    count: NDArray[np.intp]
    first_tick: NDArray[np.int64]
    last_tick: NDArray[np.int64]
    first: Floats
    """When that poll was, in Unix seconds; +inf where the window has none, and …"""
    last: Floats
    """… −inf."""
    ticks: NDArray[np.int64]
    """Neighbouring ticks, ascending: those with a poll of any source in the window, and those between."""
    inside: NDArray[np.bool_]
    """[ticks, slots]"""
    times: Floats
    """[ticks, slots]"""

    @property
    def is_whole(self) -> NDArray[np.bool_]:
        """[slot] no poll was missed between the first and the last."""
        whole: NDArray[np.bool_] = self.last_tick - self.first_tick + 1 == self.count
        return whole


def bounds_of(times: Floats, tick: int, newest: int, start: float, end: float) -> Bounds:
    """
    Args:
        times: [ticks, slots], neighbouring ticks from `tick` on; −inf where there was no poll; each slot's ascend.
        newest: the tick to name where the window has no poll.
    """
    inside = (times > start) & (times <= end)
    used = np.flatnonzero(inside.any(axis=1))
    low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    inside, times = inside[low:high], times[low:high]
    slots = np.arange(times.shape[1])
    if not len(times):
        none = np.full(len(slots), newest, np.int64)
        nothing = np.zeros(len(slots), np.intp)
        never = np.full(len(slots), _NEVER)
        return Bounds(nothing, none, none, -never, never, none[:0], inside, times)
    count = np.count_nonzero(inside, axis=0)
    first, last = inside.argmax(axis=0), len(times) - 1 - inside[::-1].argmax(axis=0)
    is_polled = count > 0
    return Bounds(
        count,
        np.where(is_polled, first + (tick + low), newest),
        np.where(is_polled, last + (tick + low), newest),
        np.where(is_polled, times[first, slots], math.inf),
        np.where(is_polled, times[last, slots], _NEVER),
        np.arange(tick + low, tick + high),
        inside,
        times,
    )


def neighbouring(ring: Floats, low: int, high: int) -> Floats:
    """The rows of neighbouring ticks, both ends included: a view, or a copy where the ring comes round.

    Args:
        ring: [rows, slots], tick t in row t mod rows.
    """
    rows = len(ring)
    first, last = low % rows, high % rows
    return ring[first : last + 1] if first <= last else ring[np.arange(low, high + 1) % rows]
