"""From matchers to series: selections, kept for as long as the series they pick stay the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from sentinel.model.labels import METRIC_NAME
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.index.metric import Metric
from sentinel.series.index.selection import Piece, Selection
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import Codes, LabelTable

_KEPT_SELECTIONS: Final = 16_384
_KEPT_ROWS: Final = 1_000_000
"""Rows of all kept selections together, so that passing queries do not fill the memory."""


class Selections:
    """Makes and keeps selections."""

    def __init__(self, metrics: Mapping[str, Metric], symbols: Symbols) -> None:
        """
        Args:
            metrics: the head's, by name; watched.
        """
        self._metrics = metrics
        self._symbols = symbols
        self._kept: dict[tuple[Matcher, ...], Selection] = {}
        self._rows = 0

    def start_anew(self, symbols: Symbols) -> None:
        """All codes have changed."""
        self._symbols = symbols
        self._kept.clear()
        self._rows = 0

    def select(self, matchers: tuple[Matcher, ...], names_version: int) -> Selection:
        """The series that satisfy all matchers; the same object for as long as they stay the same.

        Args:
            names_version: changes whenever there are other metric names.
        Raises:
            ValueError: a regular expression cannot be used.
        """
        found = self._kept.pop(matchers, None)
        if found is None or found.version != self._version_of(matchers, names_version):
            self._rows -= len(found) if found is not None else 0
            found = self._make(matchers, names_version)
            self._rows += len(found)
            most = max(_KEPT_ROWS, 16 * sum(len(metric) for metric in self._metrics.values()))
            while self._kept and (len(self._kept) >= _KEPT_SELECTIONS or self._rows > most):
                oldest = next(iter(self._kept))
                self._rows -= len(self._kept.pop(oldest))
        # Back at the end: the dictionary's order is that of last use.
        self._kept[matchers] = found
        return found

    def names(self, matchers: tuple[Matcher, ...]) -> list[str]:
        """Metric names that the matchers on the name accept."""
        on_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
        exact = [m.value for m in on_name if m.operator is MatchOperator.EQUAL]
        candidates = [name for name in exact[:1] if name in self._metrics] if exact else list(self._metrics)
        return [name for name in candidates if all(matcher.accepts(name) for matcher in on_name)]

    def _version_of(self, matchers: tuple[Matcher, ...], names_version: int) -> tuple[int, ...]:
        exact = exact_name(matchers)
        if exact is not None:
            metric = self._metrics.get(exact)
            return (metric.version if metric is not None else 0,)
        return (names_version, *(self._metrics[name].version for name in self.names(matchers)))

    def _make(self, matchers: tuple[Matcher, ...], names_version: int) -> Selection:
        others = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
        pieces: list[Piece] = []
        tables: list[LabelTable] = []
        names = self.names(matchers)
        for name in names:
            metric = self._metrics[name]
            for block in metric.blocks.values():
                codes = block.codes[: block.used]
                chosen = block.live[: block.used].copy()
                for matcher in others:
                    if matcher.name in metric.names:
                        column = metric.names.index(matcher.name)
                        chosen &= matcher.choose(codes[:, column], self._symbols)
                    elif not matcher.accepts(""):
                        chosen[:] = False
                positions = np.flatnonzero(chosen)
                if len(positions):
                    pieces.append(Piece.of(block.pool, block.columns[positions].astype(np.intp)))
                    tables.append(self._table(name, metric, codes[positions]))
        version = self._version_of(matchers, names_version)
        return Selection(version, self._joined(tables), tuple(pieces), len(names) < 2)

    def _table(self, name: str, metric: Metric, codes: Codes) -> LabelTable:
        named = np.full((len(codes), 1), self._symbols.code(name), np.int32)
        return LabelTable(
            self._symbols, (METRIC_NAME, *metric.names), np.concatenate([named, codes], axis=1), unique=True
        )

    def _joined(self, tables: list[LabelTable]) -> LabelTable:
        if not tables:
            return LabelTable(self._symbols, (METRIC_NAME,), np.zeros((0, 1), np.int32), unique=True)
        if len(tables) == 1:
            return tables[0]
        names = list(dict.fromkeys(name for table in tables for name in table.names))
        codes = np.concatenate([table.matrix(names) for table in tables])
        return LabelTable(self._symbols, names, codes, unique=True)


def exact_name(matchers: tuple[Matcher, ...]) -> str | None:
    """The metric name that the matchers ask for, if they ask for one."""
    on_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    if len(on_name) == 1 and on_name[0].operator is MatchOperator.EQUAL:
        return on_name[0].value
    return None
