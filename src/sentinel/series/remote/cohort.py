"""Series of one origin that are sent with the same instants: what becomes one source of the head."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import ABSENT_BITS, STALE_BITS, Batch, Floats, Reading, Source
from sentinel.series.columns.pool import Index, Mask
from sentinel.series.remote.layout import ReceivedLayout
from sentinel.series.remote.scan import Instants

MOST: Final = 512
"""Series of one cohort: a new layout is worked out at once, and the event loop should not stand still for long."""

WAITING: Final = 64
"""Instants of one cohort that may wait for the rest of their samples."""

FIRST_HOLD: Final = 1.0
"""Seconds after its last sample for which the first poll of a cohort waits for more."""

HOLD: Final = 6.0
"""Seconds for which a later one waits for those that came last time. Prometheus sends what does not fill a request
after 5 s."""

INTERVALS: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
FIRST_INTERVAL: Final = 15.0
_JUDGED: Final = 4
"""Pauses between polls from which the interval is told."""

Bits = NDArray[np.uint64]
_NEVER: Final = -(1 << 62)
_ABSENT: Final = np.uint64(ABSENT_BITS)
_STALE: Final = np.uint64(STALE_BITS)


@dataclass(slots=True, eq=False)
class Origin:
    """Where series come from: a job and an instance, or a sender."""

    labels: dict[str, str]
    """job and instance, as far as the series have them."""
    sender: str
    """Who sent the first of them."""
    cohorts: list[Cohort] = field(default_factory=list)
    at: dict[int, Cohort] = field(default_factory=dict)
    """Which cohort waits for samples of an instant (milliseconds)."""
    is_up: bool = True
    """What the last `up` said."""


@dataclass(slots=True, eq=False)
class Scrape:
    """Samples of one instant that wait for the rest."""

    bits: Bits
    """[place] ABSENT_BITS where nothing has come."""
    heard_at: float
    """Monotonic seconds of the last sample's arrival."""


class Cohort:
    """A place is a series' position in the layout."""

    def __init__(self, number: int, origin: Origin, source: Source, now: float) -> None:
        self.number = number
        self.origin = origin
        self.source = source
        self.encoded: list[bytes] = []
        self.numbers: list[int] = []
        """[place] what the receiver calls the series."""
        self.up: int | None = None
        """The place of `up`."""
        self.rows: Index = np.empty(0, np.intp)
        """[place] position in the layout that the head has; −1: the head has not had the series."""
        self.width = 0
        """Of the layout that the head has."""
        self.expected: Mask = np.empty(0, np.bool_)
        """[place] Came last time, and has not ended."""
        self.newest: Bits = np.empty(0, np.uint64)
        """[place] What came last."""
        self.last_of: Instants = np.empty(0, np.int64)
        """[place] Milliseconds of the newest sample in the head."""
        self.ended_at: Floats = np.empty(0)
        """[place] Monotonic seconds since which nothing has come."""
        self.waiting: dict[int, Scrape] = {}
        """By instant, milliseconds."""
        self.last = _NEVER
        """Milliseconds of the newest poll in the head."""
        self.polls = 0
        self.heard_at = now
        self.is_judged_up = True
        self.is_laid_out_anew = True
        """With the last poll."""
        self._pauses: list[float] = []
        self._interval = source.interval
        """For the next poll on."""
        self._layout: ReceivedLayout | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    # Series

    def join(self, encoded: bytes, number: int, *, is_up: bool) -> int:
        """A new series, and its place."""
        place = len(self.encoded)
        self.encoded.append(encoded)
        self.numbers.append(number)
        if is_up:
            self.up = place
        self._layout = None
        return place

    def leave(self, places: Index) -> None:
        """These series are given up; the others move up to their places."""
        kept = np.setdiff1d(np.arange(len(self)), places)
        self._fill_up()
        self.rows, self.expected = self.rows[kept], self.expected[kept]
        self.newest, self.ended_at = self.newest[kept], self.ended_at[kept]
        self.last_of = self.last_of[kept]
        for at, scrape in list(self.waiting.items()):
            scrape.bits = _longer(scrape.bits, len(self))[kept]
            if (scrape.bits == _ABSENT).all():
                self.drop(at)
        is_up = self.up
        order = kept.tolist()
        self.up = order.index(is_up) if is_up is not None and is_up in order else None
        self.encoded = [self.encoded[place] for place in order]
        self.numbers = [self.numbers[place] for place in order]
        self._layout = None

    def follow(self, other: Cohort) -> None:
        """Be a part of the other, which is about to get some of its series."""
        self.polls, self.heard_at = other.polls, other.heard_at
        self.is_judged_up = other.is_judged_up
        self._pauses, self._interval = other._pauses, other._interval

    def take_from(self, other: Cohort, places: Index) -> None:
        """Series of another cohort, with what waits of them; give them up there afterwards.

        The head has put them behind those that it has in this one.
        """
        other._fill_up()
        first = len(self)
        for place in places.tolist():
            self.join(other.encoded[place], other.numbers[place], is_up=place == other.up)
        self._fill_up()
        new = np.arange(first, len(self))
        self.expected[new], self.newest[new] = other.expected[places], other.newest[places]
        self.ended_at[new], self.last_of[new] = other.ended_at[places], other.last_of[places]
        rows = other.rows[places]
        if self.width:
            self.rows[new] = np.where(rows >= 0, rows + self.width, -1)
            self.width += other.width
        else:
            self.rows[new[rows >= 0]] = np.arange((rows >= 0).sum())
            self.width = int((rows >= 0).sum())
        self.last = max(self.last, int(self.last_of.max(initial=_NEVER)))
        for at, scrape in other.waiting.items():
            bits = _longer(scrape.bits, len(other))[places]
            if (bits != _ABSENT).any():
                own = self.scrape(at, scrape.heard_at)
                own.bits = _longer(own.bits, len(self))
                own.bits[new] = bits

    def _fill_up(self) -> None:
        """Room in the arrays for series that have joined."""
        new = len(self) - len(self.expected)
        if new:
            self.rows = np.concatenate([self.rows, np.full(new, -1, np.intp)])
            self.expected = np.concatenate([self.expected, np.zeros(new, np.bool_)])
            self.newest = np.concatenate([self.newest, np.full(new, _ABSENT)])
            self.last_of = np.concatenate([self.last_of, np.full(new, _NEVER)])
            self.ended_at = np.concatenate([self.ended_at, np.full(new, np.inf)])

    def resume(self, newest: Floats, at: int, polls: int, now: float) -> None:
        """After a restart: all series have joined, and this was the newest of so many polls."""
        self._fill_up()
        self.newest = newest.astype(np.float64).view(np.uint64)
        self.expected = (self.newest != _ABSENT) & (self.newest != _STALE)
        self.ended_at[~self.expected] = now
        self.last_of[:] = self.last = at
        self.rows, self.width, self.polls = np.arange(len(self)), len(self), polls

    # Samples

    def scrape(self, at: int, now: float) -> Scrape:
        found = self.waiting.get(at)
        if found is None:
            found = self.waiting[at] = Scrape(np.full(len(self), _ABSENT), now)
            if len(self) < MOST:
                self.origin.at[at] = self
        return found

    def put(self, at: int, places: Index, bits: Bits, now: float) -> Index:
        """Samples of one instant that is newer than the newest poll.

        Returns:
            which of them are refused, as the instant has another value already.
        """
        scrape = self.scrape(at, now)
        scrape.heard_at = self.heard_at = now
        if len(scrape.bits) < len(self):
            scrape.bits = _longer(scrape.bits, len(self))
        there = scrape.bits[places]
        fresh = there == _ABSENT
        if fresh.all():
            scrape.bits[places] = bits
        else:
            scrape.bits[places[fresh]] = bits[fresh]
        return np.flatnonzero(scrape.bits[places] != bits)

    def late(self, at: int, places: Index, bits: Bits) -> tuple[Mask, Mask]:
        """What to do with samples that are not newer than the newest poll.

        Returns:
            which are newer than what the head has of their series, and which are refused; others it has already.
        """
        self._fill_up()
        last = self.last_of[places]
        return at > last, (at < last) | ((at == last) & (self.newest[places] != bits))

    def due(self, now: float) -> int | None:
        """The instant of the poll that can go to the head now: it is whole, or has waited long enough."""
        if not self.waiting:
            return None
        at = min(self.waiting)
        scrape = self.waiting[at]
        if self.polls and not self.missing(at).any():
            return at
        hold = HOLD if self.polls else FIRST_HOLD
        return at if now - scrape.heard_at >= hold or len(self.waiting) > WAITING else None

    def missing(self, at: int) -> Mask:
        """[place] Came last time, and has not come this time."""
        self._fill_up()
        bits = self.waiting[at].bits
        missing = self.expected.copy()
        missing[: len(bits)] &= bits == _ABSENT
        return missing

    def arrived(self, at: int) -> Mask:
        """[place] Has come."""
        arrived: Mask = _longer(self.waiting[at].bits, len(self)) != _ABSENT
        return arrived

    def drop(self, at: int) -> None:
        del self.waiting[at]
        if self.origin.at.get(at) is self:
            del self.origin.at[at]

    def poll(self, at: int, now: float, *, is_crowded: bool = False) -> Batch:
        """Everything that has come of an instant, for the head.

        Args:
            is_crowded: its interval is too long for the head to keep one more poll.
        """
        bits = _longer(self.waiting[at].bits, len(self))
        self.drop(at)
        self._note_pause(at, is_crowded=is_crowded)
        if self.source.interval != self._interval:
            self.source = replace(self.source, interval=self._interval)
        self.is_laid_out_anew = self._layout is None
        if self._layout is None:
            self._layout = ReceivedLayout(tuple(self.encoded), self.origin.labels)
            self._fill_up()
        self.rows, self.width = np.arange(len(self)), len(self)
        alive = (bits != _ABSENT) & (bits != _STALE)
        if not (alive == self.expected).all():
            self.ended_at[alive] = np.inf
            self.ended_at[~alive & ~(self.ended_at < now)] = now
        self.expected = alive
        arrived = bits != _ABSENT
        self.newest[arrived], self.last_of[arrived] = bits[arrived], at
        if self.up is not None and bits[self.up] != _ABSENT:
            self.origin.is_up = bool(bits[self.up] == _STALE) or float(bits.view(np.float64)[self.up]) != 0.0
        self.last = at
        self.polls += 1
        reading = Reading(self._layout, bits.view(np.float64))
        return Batch(self.source, at / 1000, reading, up=True, duration=0.0)

    def _note_pause(self, at: int, *, is_crowded: bool) -> None:
        """Tell the interval from the pauses: too long a one would lose samples, too short a one takes room."""
        if not self.polls:
            return
        self._pauses = [*self._pauses, (at - self.last) / 1000][-_JUDGED:]
        least = min(self._pauses)
        if is_crowded:
            shorter = [interval for interval in INTERVALS if interval < self._interval]
            fitting = [interval for interval in shorter if interval <= least]
            self._interval = max(fitting, default=min(shorter, default=INTERVALS[0]))
        elif self.polls == _JUDGED and least >= 2 * self._interval:
            self._interval = max(interval for interval in INTERVALS if interval <= least * 1.01)

    def given_up(self, before: float) -> Index:
        """Places of series that ended before that (monotonic seconds) and of which nothing waits."""
        self._fill_up()
        ended = self.ended_at < before
        for scrape in self.waiting.values():
            ended[: len(scrape.bits)] &= scrape.bits == _ABSENT
        return np.flatnonzero(ended)


def _longer(bits: Bits, size: int) -> Bits:
    if len(bits) == size:
        return bits
    return np.concatenate([bits, np.full(size - len(bits), _ABSENT)])
