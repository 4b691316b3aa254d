"""The head: what was polled recently, in columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from sentinel.model.batch import Batch, Family, Reading, Source
from sentinel.model.labels import Labels
from sentinel.series.columns.pool import Index, Pool, milliseconds
from sentinel.series.feed import Feed
from sentinel.series.index.directory import Directory
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.metric import Block, Metric
from sentinel.series.index.placing import meta_groups, own_codes
from sentinel.series.index.selection import Selection
from sentinel.series.index.symbols import Symbols
from sentinel.series.received import ReceivedFeed, Sent
from sentinel.series.witness import Witness

LOOKBACK: Final = 300.0
"""Seconds for which a sample stands for its series, as in Prometheus."""

UP: Final = "up"
DURATION: Final = "sentinel_poll_duration_seconds"
SAMPLES: Final = "sentinel_poll_samples"
_META: Final = (UP, DURATION, SAMPLES)
_META_FAMILIES: Final = {
    UP: Family("gauge", "1 if the target could be read in the last poll, 0 if not."),
    DURATION: Family("gauge", "Time that the last poll took.", "seconds"),
    SAMPLES: Family("gauge", "Samples that the last poll gave."),
}


class Listener(Protocol):
    """Whoever wants to have what the head gets.

    Batches of received sources may have absent cells (ABSENT_BITS), for series that have ended.
    """

    def append(self, batches: Sequence[Batch]) -> None: ...
    def forget(self, source: Source) -> None: ...


class Head:
    """Recent samples of all sources.

    Not thread-safe: appended to and read from the loop's thread.
    """

    def __init__(self, *, retention: float = 3600.0, recent: float = LOOKBACK, lag: float = 600.0) -> None:
        """
        Args:
            retention: seconds for which samples are kept.
            recent: seconds for which they are kept unpacked, 8 bytes a sample, at least; older ones are packed to
                about two. A poll that comes later than this is rejected.
            lag: the same for received sources.
        """
        self.retention = retention
        self.recent = recent
        self.lag = lag
        self.rejected = 0
        """Samples not stored: out of order, too old, or a series that another source gives."""
        self._pools: dict[float, Pool[Block]] = {}
        self._received: dict[float, Pool[Block]] = {}
        """Pools of received sources, so that a sender's clock moves nobody else's ticks."""
        self.directory = Directory(self._lost)
        self._feeds: dict[Source, Feed] = {}
        self._forgotten: list[Feed] = []
        self._families: dict[str, Family] = dict(_META_FAMILIES)
        self._newest = 0.0
        self._vacuumed_at = 0.0
        self._listeners: list[Listener] = []
        self._whole_since: float = math.inf
        self.shifts = 0
        """How often the clock was stepped."""
        self._witness: Witness | None = None

    # Writing

    def append(self, batches: Sequence[Batch]) -> None:
        """Store polls; late or repeated ones are dropped and counted in `rejected`."""
        stored = []
        for batch in batches:
            if self._append(batch):
                stored.append(batch)
                if not batch.source.is_received:  # those may be older than what was polled before a restart
                    self._whole_since = min(self._whole_since, batch.at)
            self._newest = max(self._newest, batch.at)
        if self._newest - self._vacuumed_at > self.retention / 4:
            self.vacuum()
        for listener in self._listeners:
            listener.append(stored)

    def forget(self, source: Source) -> None:
        """A removed source: all of its series end now."""
        feed = self._feeds.pop(source, None)
        if feed is not None:
            feed.end()
            self._forgotten.append(feed)
            if self._witness is not None:
                self._witness.forget(source)
            for listener in self._listeners:
                listener.forget(source)

    def split(self, source: Source, rest: Source, rows: Index) -> None:
        """Some series of a received source's layout are a source of their own from now on, with what they had."""
        self._feeds[rest], columns = self._received_feed(source).split(rest, rows)
        self.directory.moved(self._feeds[rest].pool, columns)

    def unite(self, source: Source, rest: Source) -> bool:
        """The other way round; False: they had different polls, and nothing has changed."""
        feed, other = self._received_feed(source), self._received_feed(rest)
        columns = feed.absorb(other)
        if columns is None:
            return False
        del self._feeds[rest]
        other.pool.close_slot(other.slot)
        self.directory.moved(feed.pool, columns)
        return True

    def judge(self, source: Source, *, is_up: bool) -> None:
        """Say whether a received source can be relied on: its sender talks, and can read it himself."""
        self._received_feed(source).judge(is_up=is_up)

    def received(self) -> list[Sent]:
        """What is here of received sources: after a restart, for who takes their samples."""
        return [feed.sent() for feed in self._feeds.values() if isinstance(feed, ReceivedFeed)]

    def is_crowded(self, source: Source, at: float) -> bool:
        """Whether a received source polled then would have more polls than its interval has room for."""
        return self._received_feed(source).is_crowded(at)

    def describe(self, families: Mapping[str, Family]) -> None:
        """Say what metrics mean, where no layout does."""
        self._families.update(families)

    def listen(self, listener: Listener) -> None:
        """Tell the listener of everything that is stored from now on."""
        self._listeners.append(listener)

    def tell(self, witness: Witness) -> None:
        """Tell of every sample as it is stored; to be called before the first poll."""
        self._witness = witness

    def shift(self, seconds: float) -> None:
        """The clock was stepped by that much: what was polled keeps its age."""
        for pool in self._pools.values():
            pool.shift(seconds)
        for feed in (*self._feeds.values(), *self._forgotten):
            feed.shift(seconds)
        self.shifts += 1
        self._newest += seconds
        self._whole_since += seconds
        self._vacuumed_at += seconds

    def vacuum(self) -> None:
        """Free the columns of series that ended longer ago than the head keeps samples."""
        self._vacuumed_at = self._newest
        horizon = self._newest - self.retention - LOOKBACK
        for feed in [*self._feeds.values(), *self._forgotten]:
            self.directory.remove(feed.pool, feed.take_expired(horizon))
        for feed in [feed for feed in self._forgotten if feed.is_empty]:
            feed.pool.close_slot(feed.slot)
            self._forgotten.remove(feed)
        self.directory.compact()

    # Reading

    @property
    def symbols(self) -> Symbols:
        """Label texts as codes; another table once most of the old one is no longer used."""
        return self.directory.symbols

    def select(self, matchers: tuple[Matcher, ...]) -> Selection:
        """The series that satisfy all matchers; the same object for as long as they stay the same.

        Raises:
            ValueError: a regular expression cannot be used.
        """
        return self.directory.select(matchers)

    def names(self, matchers: tuple[Matcher, ...] = ()) -> list[str]:
        """Metric names that the matchers on the name accept."""
        return self.directory.names(matchers)

    def metrics(self) -> list[Metric]:
        """All metrics that have series now."""
        return list(self.directory)

    def families(self) -> Mapping[str, Family]:
        """Metric families by name, for # TYPE, # HELP and metadata."""
        return self._families

    def readability(self, labels: Labels, names: frozenset[str]) -> bool:
        """True when what an alert stands on cannot be read now.

        That is: every source that last had series of one of these metrics, and whose own labels agree with the
        alert's wherever both have the label, is down or could not read the metric. False when there is no such
        source.
        """
        feeds = [feed for feed in self._feeds.values() if feed.could_feed(labels, names)]
        return bool(feeds) and all(feed.is_unreadable(names) for feed in feeds)

    @property
    def series(self) -> int:
        """Series that have a column: live ones and those ended within the retention."""
        return len(self.directory)

    @property
    def nbytes(self) -> int:
        """Bytes of the samples."""
        return sum(pool.nbytes for pool in (*self._pools.values(), *self._received.values()))

    @property
    def newest(self) -> float:
        """Unix seconds of the newest poll; 0 before the first."""
        return self._newest

    @property
    def since(self) -> float:
        """Unix seconds from which on everything is here that was stored; +Inf before the first poll."""
        return max(self._whole_since, self._newest - self.retention)

    def version_of(self, name: str) -> int:
        """Changes whenever the series of that metric do; 0 while it has none."""
        return self.directory.version_of(name)

    # One batch

    def _append(self, batch: Batch) -> bool:
        """False: too late, nothing of it is stored."""
        at = milliseconds(batch.at)
        feed = self._feed(batch.source, at)
        if not feed.begin(at):
            self.rejected += len(batch.reading.layout) or 1
            return False
        reading = batch.reading
        meta: tuple[float, ...] = ()
        if has_meta(batch.source):
            meta = (float(batch.up), batch.duration, float(len(reading.layout)) if batch.up else 0.0)
        layout = reading.layout if batch.up else feed.layout
        if layout is None or layout is not feed.layout or batch.source.labels != feed.source.labels:
            self._lay_out(feed, batch)
        if batch.up:
            feed.store(at, reading.values, meta)
        else:
            feed.store_down(at, meta)
        feed.note(batch)
        self.rejected += feed.duplicates
        return True

    def _feed(self, source: Source, at: float) -> Feed:
        feed = self._feeds.get(source)
        if feed is not None and feed.source.interval != source.interval:
            # Another interval is another pool. The old columns go at once, or each series would exist twice.
            past = feed.past() if isinstance(feed, ReceivedFeed) else ()
            del self._feeds[source]
            self._whole_since = self._newest
            self.directory.remove(feed.pool, feed.take_all())
            feed.pool.close_slot(feed.slot)
            feed = self._again(source, past)
        if feed is None:
            kind = ReceivedFeed if source.is_received else Feed
            feed = self._feeds[source] = kind(source, self._pool(source), at, self._witness)
        return feed

    def _again(self, source: Source, past: Iterable[tuple[Reading, float]]) -> Feed | None:
        """Store what was stored before, without telling anybody."""
        witness, self._witness = self._witness, None
        for reading, at in past:
            self._append(Batch(source, at, reading, up=True, duration=0.0))
        self._witness = witness
        feed = self._feeds.get(source)
        if feed is not None:
            feed.witness = witness
        return feed

    def _pool(self, source: Source) -> Pool[Block]:
        pools = self._received if source.is_received else self._pools
        pool = pools.get(source.interval)
        if pool is None:
            recent = self.lag if source.is_received else self.recent
            pool = pools[source.interval] = Pool(source.interval, self.retention, recent)
        return pool

    def _received_feed(self, source: Source) -> ReceivedFeed:
        feed = self._feeds[source]
        assert isinstance(feed, ReceivedFeed)
        return feed

    def _lay_out(self, feed: Feed, batch: Batch) -> None:
        """Give every series of the batch's layout its column."""
        source, layout = batch.source, batch.reading.layout
        own, count = own_codes(source.labels, self.symbols), len(layout)
        laid, meta = self.directory.groups_of(layout), _META if has_meta(source) else ()
        groups = [*laid, *meta_groups(meta, count)]
        columns = np.full(count + len(meta), -1, np.intp)
        for group in groups:
            columns[group.rows] = self.directory.place(feed, group, own)
        for name, family in layout.families.items():
            self._families[name] = family
        feed.lay_out(batch, columns, count, meta, frozenset(group.name for group in laid))

    def _lost(self, pool: Pool[Block], columns: Index) -> None:
        """Series that have ended are given by another source from now on."""
        self._whole_since = self._newest
        slots = pool.slot_of[columns].tolist()
        for column, slot in zip(columns.tolist(), slots, strict=True):
            for feed in (*self._feeds.values(), *self._forgotten):
                if feed.pool is pool and feed.slot == slot:
                    feed.lose(column)

    def __iter__(self) -> Iterator[str]:
        return (metric.name for metric in self.directory)


def has_meta(source: Source) -> bool:
    """Whether the head adds series about the poll itself."""
    return bool(source.labels) and not source.is_received
