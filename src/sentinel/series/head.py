"""The head: what was polled recently, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from sentinel.model.batch import Batch, Family, Source
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.series.feed import Feed
from sentinel.series.matcher import Matcher, MatchOperator
from sentinel.series.metric import Metric, codes_in_use
from sentinel.series.pool import Pairs, Pool, milliseconds
from sentinel.series.selection import Piece, Selection
from sentinel.series.symbols import Symbols
from sentinel.series.table import Codes, LabelTable

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
_KEPT_SELECTIONS: Final = 16_384
_KEPT_ROWS: Final = 1_000_000
"""Rows of all kept selections together, so that passing queries do not fill the memory."""


class Head:
    """Recent samples of all sources.

    Not thread-safe: appended to and read from the loop's thread.
    """

    def __init__(self, *, retention: float = 3600.0) -> None:
        """
        Args:
            retention: seconds for which samples are kept; memory is 8 bytes per series and interval of it.
        """
        self.retention = retention
        self.symbols = Symbols()
        self.rejected = 0
        """Samples not stored: out of order, too old, or a series that another source gives."""
        self._pools: dict[float, Pool] = {}
        self._metrics: dict[str, Metric] = {}
        self._feeds: dict[Source, Feed] = {}
        self._forgotten: list[Feed] = []
        self._families: dict[str, Family] = dict(_META_FAMILIES)
        self._version = 0
        self._names_version = 0
        self._selections: dict[tuple[Matcher, ...], Selection] = {}
        self._selected = 0
        self._newest = 0.0
        self._vacuumed_at = 0.0

    # Writing

    def append(self, batches: Sequence[Batch]) -> None:
        """Store polls; late or repeated ones are dropped and counted in `rejected`."""
        for batch in batches:
            self._append(batch)
            self._newest = max(self._newest, batch.at)
        if self._newest - self._vacuumed_at > self.retention / 4:
            self.vacuum()

    def forget(self, source: Source) -> None:
        """A removed source: all of its series end now."""
        feed = self._feeds.pop(source, None)
        if feed is not None:
            feed.end()
            self._forgotten.append(feed)

    def shift(self, seconds: float) -> None:
        """The clock was stepped by that much: what was polled keeps its age."""
        for pool in self._pools.values():
            pool.shift(seconds)
        for feed in (*self._feeds.values(), *self._forgotten):
            feed.shift(seconds)
        self._newest += seconds
        self._vacuumed_at += seconds

    def vacuum(self) -> None:
        """Free the columns of series that ended longer ago than the head keeps samples."""
        self._vacuumed_at = self._newest
        horizon = self._newest - self.retention - LOOKBACK
        for feed in [*self._feeds.values(), *self._forgotten]:
            self._drop(feed, feed.take_expired(horizon))
        for feed in [feed for feed in self._forgotten if feed.is_empty]:
            feed.pool.close_slot(feed.slot)
            self._forgotten.remove(feed)
        self._compact_symbols()

    # Reading

    def select(self, matchers: tuple[Matcher, ...]) -> Selection:
        """The series that satisfy all matchers; the same object for as long as they stay the same.

        Raises:
            ValueError: a regular expression cannot be used.
        """
        found = self._selections.pop(matchers, None)
        if found is None or found.version != self._version_of(matchers):
            self._selected -= len(found) if found is not None else 0
            found = self._make_selection(matchers)
            self._selected += len(found)
            most = max(_KEPT_ROWS, 16 * self.series)
            while self._selections and (len(self._selections) >= _KEPT_SELECTIONS or self._selected > most):
                oldest = next(iter(self._selections))
                self._selected -= len(self._selections.pop(oldest))
        # Back at the end: the dictionary's order is that of last use.
        self._selections[matchers] = found
        return found

    def names(self, matchers: tuple[Matcher, ...] = ()) -> list[str]:
        """Metric names that the matchers on the name accept."""
        on_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
        exact = [m.value for m in on_name if m.operator is MatchOperator.EQUAL]
        candidates = [name for name in exact[:1] if name in self._metrics] if exact else list(self._metrics)
        return [name for name in candidates if all(matcher.accepts(name) for matcher in on_name)]

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
        return sum(len(metric) for metric in self._metrics.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the sample arrays."""
        return sum(pool.nbytes for pool in self._pools.values())

    @property
    def newest(self) -> float:
        """Unix seconds of the newest poll; 0 before the first."""
        return self._newest

    def version_of(self, name: str) -> int:
        """Changes whenever the series of that metric do; 0 while it has none."""
        metric = self._metrics.get(name)
        return metric.version if metric is not None else 0

    # One batch

    def _append(self, batch: Batch) -> None:
        at = milliseconds(batch.at)
        feed = self._feed(batch.source, at)
        row = feed.begin(at)
        if row < 0:
            self.rejected += len(batch.reading.layout) or 1
            return
        reading = batch.reading
        meta: tuple[float, ...] = ()
        if batch.source.labels:
            meta = (float(batch.up), batch.duration, float(len(reading.layout)) if batch.up else 0.0)
        if batch.up:
            if reading.layout is not feed.layout or batch.source.labels != feed.source.labels:
                self._lay_out(feed, batch)
            feed.store(row, at, reading.values, meta)
        else:
            if feed.layout is None or batch.source.labels != feed.source.labels:
                self._lay_out(feed, batch)
            feed.store_down(row, at, meta)
        feed.note(batch)
        self.rejected += feed.duplicates

    def _feed(self, source: Source, at: float) -> Feed:
        feed = self._feeds.get(source)
        if feed is not None and feed.source.interval != source.interval:
            # Another interval is another pool. The old columns go at once, or each series would exist twice.
            del self._feeds[source]
            self._drop(feed, feed.take_all())
            feed.pool.close_slot(feed.slot)
            feed = None
        if feed is None:
            pool = self._pools.get(source.interval)
            if pool is None:
                pool = self._pools[source.interval] = Pool(source.interval, self.retention)
            feed = self._feeds[source] = Feed(source, pool, at)
        return feed

    def _lay_out(self, feed: Feed, batch: Batch) -> None:
        """Give every series of the batch's layout its column."""
        source, layout = batch.source, batch.reading.layout
        own = {name: self.symbols.code(value) for name, value in source.labels.pairs}
        keys = [_merged(own, labels, self.symbols) for labels in layout.series]
        count = len(keys)
        if source.labels:
            base = tuple(sorted(own.items()))
            keys.extend((name, base) for name in _META)
        for name, family in layout.families.items():
            self._families[name] = family
        feed.lay_out(batch, [self._place(feed, name, pairs) for name, pairs in keys], count)

    def _place(self, feed: Feed, name: str, pairs: Pairs) -> int:
        """The id of the series in the feed's pool; −1 if another source gives it already."""
        metric = self._metrics.get(name)
        if metric is None:
            metric = self._metrics[name] = Metric(name)
            self._names_version = self._next_version()
        found = metric.find(pairs)
        if found is not None:
            block, position = found
            series_id = int(block.ids[position])
            column = block.start + position
            if block.pool is feed.pool and block.pool.slot_of[column] == feed.slot:
                return series_id
            if block.pool.is_live(column):
                return -1
            self._take_over(metric, pairs, block.pool, int(block.pool.slot_of[column]))
        metric.know(label for label, _ in pairs)
        block = metric.block(feed.pool)
        series_id = feed.pool.open_id(name, pairs)
        position, moved = block.add(pairs, series_id)
        if moved:
            used = block.positions()
            feed.pool.place(block.ids[used], block.start + used)
        feed.pool.place(series_id, block.start + position)
        feed.pool.clear(block.start + position, feed.slot, feed.before)
        metric.version = self._next_version()
        return series_id

    def _take_over(self, metric: Metric, pairs: Pairs, pool: Pool, slot: int) -> None:
        """The series has ended at the source that had it: let another give it, without the old samples."""
        for feed in (*self._feeds.values(), *self._forgotten):
            if feed.pool is pool and feed.slot == slot:
                feed.layout = None
        self._remove(metric, pairs)
        if self._metrics.setdefault(metric.name, metric) is metric:
            self._names_version = self._next_version()

    # Freeing

    def _drop(self, feed: Feed, ids: Sequence[int]) -> None:
        """Free the columns of series that the feed has given up."""
        for series_id in ids:
            series = feed.pool.series(series_id)
            if series is not None:
                name, pairs = series
                self._remove(self._metrics[name], pairs)
            feed.pool.free_id(series_id)

    def _remove(self, metric: Metric, pairs: Pairs) -> None:
        found = metric.find(pairs)
        assert found is not None
        block, position = found
        block.pool.close_id(int(block.ids[position]))
        block.remove(pairs)
        metric.version = self._next_version()
        if not block:
            block.release()
            del metric.blocks[id(block.pool)]
        if not metric.blocks:
            del self._metrics[metric.name]
            self._names_version = self._next_version()

    def _compact_symbols(self) -> None:
        """Make a new symbol table once most texts of the old one are no longer used."""
        used = codes_in_use(self._metrics.values(), self.symbols)
        if len(self.symbols) <= 2 * int(used.sum()) + 1024:
            return
        symbols = Symbols()
        translation = np.zeros(len(self.symbols), np.int32)
        for code in np.flatnonzero(used).tolist():
            translation[code] = symbols.code(self.symbols.text(code))
        for metric in self._metrics.values():
            metric.recode(translation)
            metric.version = self._next_version()
        for pool in self._pools.values():
            pool.recode(translation)
        self._names_version = self._next_version()
        self.symbols = symbols
        self._selections.clear()
        self._selected = 0

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    # Selecting

    def _version_of(self, matchers: tuple[Matcher, ...]) -> tuple[int, ...]:
        exact = exact_name(matchers)
        if exact is not None:
            return (self.version_of(exact),)
        return (self._names_version, *(self._metrics[name].version for name in self.names(matchers)))

    def _make_selection(self, matchers: tuple[Matcher, ...]) -> Selection:
        others = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
        pieces: list[Piece] = []
        tables: list[LabelTable] = []
        names = self.names(matchers)
        for name in names:
            metric = self._metrics[name]
            for block in metric.blocks.values():
                codes = block.codes[: block.used]
                chosen = block.ids[: block.used] >= 0
                for matcher in others:
                    column = metric.columns.get(matcher.name)
                    if column is not None:
                        chosen &= matcher.choose(codes[:, column], self.symbols)
                    elif not matcher.accepts(""):
                        chosen[:] = False
                positions = np.flatnonzero(chosen)
                if len(positions):
                    pieces.append(Piece.of(block.pool, block.start + positions))
                    tables.append(self._table(name, metric, codes[positions]))
        return Selection(self._version_of(matchers), self._joined(tables), tuple(pieces), len(names) < 2)

    def _table(self, name: str, metric: Metric, codes: Codes) -> LabelTable:
        named = np.full((len(codes), 1), self.symbols.code(name), np.int32)
        return LabelTable(
            self.symbols, (METRIC_NAME, *metric.names), np.concatenate([named, codes], axis=1), unique=True
        )

    def _joined(self, tables: list[LabelTable]) -> LabelTable:
        if not tables:
            return LabelTable(self.symbols, (METRIC_NAME,), np.zeros((0, 1), np.int32), unique=True)
        if len(tables) == 1:
            return tables[0]
        names = list(dict.fromkeys(name for table in tables for name in table.names))
        codes = np.concatenate([table.matrix(names) for table in tables])
        return LabelTable(self.symbols, names, codes, unique=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)


def exact_name(matchers: tuple[Matcher, ...]) -> str | None:
    """The metric name that the matchers ask for, if they ask for one."""
    on_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    if len(on_name) == 1 and on_name[0].operator is MatchOperator.EQUAL:
        return on_name[0].value
    return None


def _merged(own: Mapping[str, int], labels: Labels, symbols: Symbols) -> tuple[str, Pairs]:
    """A series' name and labels with its source's; what clashes moves aside, as in Prometheus."""
    merged = dict(own)
    for name, value in labels.pairs:
        if name == METRIC_NAME:
            continue
        while name in merged:
            name = f"exported_{name}"
        merged[name] = symbols.code(value)
    return labels.name, tuple(sorted(merged.items()))
