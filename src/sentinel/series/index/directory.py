"""The directory: which series there are, and in which columns they live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Layout
from sentinel.series.columns.pool import Index, Pool
from sentinel.series.index.matcher import Matcher
from sentinel.series.index.metric import Block, Metric, codes_in_use
from sentinel.series.index.placing import Group, Groups
from sentinel.series.index.selecting import Selections
from sentinel.series.index.selection import Selection
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import Codes

Left = Callable[[Pool[Block], Index], None]


class Holder(Protocol):
    """Who gives series: a source's slot in a pool, and its newest polls."""

    @property
    def pool(self) -> Pool[Block]: ...
    @property
    def slot(self) -> int: ...
    @property
    def tick(self) -> int: ...
    @property
    def before(self) -> float: ...


class Directory:
    def __init__(self, left: Left) -> None:
        """
        Args:
            left: told of columns whose series have ended where they were, just before another source gives them.
        """
        self.symbols = Symbols()
        self._left = left
        self._metrics: dict[str, Metric] = {}
        self._version = 0
        self._names_version = 0
        self._selections = Selections(self._metrics, self.symbols)
        self._groups = Groups(self.symbols)
        self._symbols_used = 0

    # Reading

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._metrics.values())

    def __len__(self) -> int:
        """Series that have a column."""
        return sum(len(metric) for metric in self._metrics.values())

    def select(self, matchers: tuple[Matcher, ...]) -> Selection:
        """See Head.select."""
        return self._selections.select(matchers, self._names_version)

    def names(self, matchers: tuple[Matcher, ...]) -> list[str]:
        """Metric names that the matchers on the name accept."""
        return self._selections.names(matchers)

    def version_of(self, name: str) -> int:
        """Changes whenever the series of that metric do; 0 while it has none."""
        metric = self._metrics.get(name)
        return metric.version if metric is not None else 0

    def groups_of(self, layout: Layout) -> tuple[Group, ...]:
        return self._groups.of(layout)

    # Writing

    def metric(self, name: str) -> Metric:
        """That metric, made if there is none."""
        metric = self._metrics.get(name)
        if metric is None:
            metric = self._metrics[name] = Metric(name)
            self._names_version = self._next()
        return metric

    def changed(self, metric: Metric) -> None:
        """The metric has other series than before."""
        metric.version = self._next()

    def place(self, holder: Holder, group: Group, own: Mapping[str, int]) -> Index:
        """The columns of a group's series in the holder's pool; −1 where another source gives it already."""
        metric = self.metric(group.name)
        names, codes = group.within(own)
        metric.know(names)
        codes = metric.spread(names, codes)
        keys = metric.keys(codes)
        columns = np.full(len(keys), -1, np.intp)
        is_new = np.ones(len(keys), np.bool_)
        for block in list(metric.blocks.values()):
            positions = block.find(keys, codes)
            found = np.flatnonzero(positions >= 0)
            if not len(found):
                continue
            is_new[found] = False
            there = block.columns[positions[found]].astype(np.intp)
            if block.pool is holder.pool:
                ours = block.pool.slot_of[there] == holder.slot
                columns[found[ours]] = there[ours]
                found, there = found[~ours], there[~ours]
            if len(found):
                over = ~block.pool.are_live(there)
                self._take_over(metric, block, there[over])
                is_new[found[over]] = True
        if is_new.any():
            columns[is_new] = self._open(holder, metric, keys[is_new], codes[is_new])
        return columns

    def remove(self, pool: Pool[Block], columns: Index) -> None:
        """Free the columns of series that their source has given up."""
        for block, positions in pool.columns.locate(columns):
            metric = block.metric
            block.remove(positions)
            self.changed(metric)
            if not block:
                block.release()
                del metric.blocks[id(pool)]
            if not metric.blocks:
                del self._metrics[metric.name]
                self._names_version = self._next()
        pool.close_columns(columns)

    def moved(self, pool: Pool[Block], columns: Index) -> None:
        """The columns belong to another source now."""
        for block, _ in pool.columns.locate(columns):
            self.changed(block.metric)

    def compact(self) -> None:
        """Make a new symbol table once most texts of the old one are no longer used."""
        if len(self.symbols) <= 2 * self._symbols_used + 1024:
            return  # no need to look: at most half of them can have fallen out of use
        used = codes_in_use(self._metrics.values(), self.symbols)
        self._symbols_used = int(used.sum())
        if len(self.symbols) <= 2 * self._symbols_used + 1024:
            return
        symbols = Symbols()
        translation = np.zeros(len(self.symbols), np.int32)
        for code in np.flatnonzero(used).tolist():
            translation[code] = symbols.code(self.symbols.text(code))
        for metric in self._metrics.values():
            metric.recode(translation)
            self.changed(metric)
        self._names_version = self._next()
        self.symbols = symbols
        self._groups = Groups(symbols)
        self._selections.start_anew(symbols)

    def _open(self, holder: Holder, metric: Metric, keys: NDArray[np.uint64], codes: Codes) -> Index:
        """Columns for series that nobody gives; a layout that names one twice gets one for both."""
        first = again = np.arange(len(keys))
        if len(np.unique(keys)) < len(keys):
            _, first, again = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        block = metric.block(holder.pool)
        positions = block.add(keys[first], codes[first])
        columns = block.columns[positions].astype(np.intp)
        holder.pool.open_columns(columns, holder.slot, holder.tick, holder.before)
        self.changed(metric)
        self._metrics.setdefault(metric.name, metric)
        return columns[again.ravel()]

    def _take_over(self, metric: Metric, block: Block, columns: Index) -> None:
        """The series have ended at the source that had them: let another give them, without the old samples."""
        if len(columns):
            self._left(block.pool, columns)
        self.remove(block.pool, columns)
        if self._metrics.setdefault(metric.name, metric) is metric:
            self._names_version = self._next()

    def _next(self) -> int:
        self._version += 1
        return self._version
