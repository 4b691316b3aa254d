"""info(): labels of info metrics, such as target_info, on the series of the same target.

Source: Prometheus documentation, "Query functions", info(); promql/info.go.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.labels import METRIC_NAME
from sentinel.promql.errors import EvaluationError
from sentinel.promql.frame import Context, Frame, Index, Mask, Memo, Node, check_unique, duplicates, vector
from sentinel.promql.selectors import Moment, Selector
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.index.table import Codes, LabelTable, identify

IDENTIFYING: Final = ("instance", "job")
"""Labels that say which target a series is about."""

_DEFAULT: Final = Matcher(METRIC_NAME, MatchOperator.EQUAL, "target_info")
_ANY: Final = Matcher(METRIC_NAME, MatchOperator.MATCH, ".+_info")
"""What matchers that only leave names out leave them out of."""

_NEGATIVE: Final = (MatchOperator.NOT_EQUAL, MatchOperator.NOT_MATCH)


class Info:
    """Adds data labels; where several series of an info metric are about one target, the newest sample decides."""

    def __init__(self, argument: Node, matchers: tuple[Matcher, ...]) -> None:
        """
        Args:
            matchers: which info metrics, and which of their labels; empty: every label of target_info.
        """
        self.argument = argument
        names = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
        if names and all(matcher.operator in _NEGATIVE for matcher in names):
            names.append(_ANY)
        self._names = names or ([] if matchers else [_DEFAULT])
        data = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
        self._wanted = frozenset(matcher.name for matcher in data)
        self._is_required = any(not matcher.accepts("") for matcher in data)
        self.selector = Selector((*(names or [_DEFAULT]), *data), Moment())
        self._plan: Memo[_Plan] = Memo(lambda base, info: _Plan(base, info, self._names))
        self._table: Memo[LabelTable] = Memo(self._enriched)
        self._duplicates: Memo[Index | None] = Memo(duplicates)
        self._chosen: Index = np.zeros(0, np.intp)

    def evaluate(self, context: Context) -> Frame:
        """
        Raises:
            EvaluationError: info series that contradict each other, or results with the same labels.
        """
        base = vector(self.argument.evaluate(context))
        info = self.selector.instants(context)
        plan = self._plan(base.table, info.table)
        chosen = plan.newest(info.values, info.present)
        if not np.array_equal(chosen, self._chosen):
            self._chosen = chosen
        table = self._table(plan, self._chosen)
        present = base.present
        if self._is_required:
            present = present & (plan.is_info | plan.found(chosen))
        check_unique(self._duplicates(table), present)
        return Frame(table, base.values, present, base.order)

    def _enriched(self, plan: _Plan, chosen: Index) -> LabelTable:
        """The base table with the data labels of the info rows chosen for each group."""
        table = plan.base
        added: dict[str, Codes] = {}
        for name in plan.info.names:
            if name == METRIC_NAME or (self._wanted and name not in self._wanted):
                continue
            for number in range(len(plan.metrics)):
                codes = plan.handed_over(number, name, chosen)
                before = added.get(name)
                if before is not None:
                    if ((before != codes) & (before != 0) & (codes != 0)).any():
                        raise EvaluationError(f"conflicting label: {name}")
                    codes = np.where(codes != 0, codes, before)
                added[name] = codes
        for name, codes in added.items():
            own = table.column(name)
            table = table.replaced(name, np.where(own != 0, own, codes))
        return table


class _Plan:
    """Which info rows could be about which base rows."""

    def __init__(self, base: LabelTable, info: LabelTable, names: list[Matcher]) -> None:
        self.base, self.info = base, info
        metric = base.column(METRIC_NAME)
        self.is_info: Mask = np.full(len(base), bool(names))
        for matcher in names:
            self.is_info &= matcher.choose(metric, base.symbols)
        keys = np.concatenate([base.matrix(IDENTIFYING), info.matrix(IDENTIFYING)])
        targets, count, _ = identify(keys)
        self._target_of_base, target_of_info = targets[: len(base)], targets[len(base) :]
        self.metrics, metric_of_info = np.unique(info.column(METRIC_NAME), return_inverse=True)
        self._group_of_info = metric_of_info * count + target_of_info
        self._targets = count
        self._usable = self._is_about_a_target(info)

    def _is_about_a_target(self, info: LabelTable) -> Mask:
        """Info rows whose identifying labels are among those of the base rows."""
        usable = np.ones(len(info), np.bool_)
        is_any = False
        for name in IDENTIFYING:
            values = np.unique(self.base.column(name)[~self.is_info])
            values = values[values != 0]
            if len(values):
                is_any = True
                usable &= np.isin(info.column(name), values)
        return usable & is_any

    def newest(self, times: Floats, present: Mask) -> Index:
        """For each group of an info metric and a target the row with the newest sample; -1: none.

        Raises:
            EvaluationError: two of them are equally new.
        """
        chosen = np.full(len(self.metrics) * self._targets, -1, np.intp)
        rows = np.flatnonzero(present & self._usable)
        groups: Index = self._group_of_info[rows]
        order = np.lexsort((times[rows], groups))
        rows, groups = rows[order], groups[order]
        same: Mask = np.logical_and(groups[1:] == groups[:-1], times[rows[1:]] == times[rows[:-1]])
        is_last = np.ones(len(rows), np.bool_)
        is_last[:-1] = groups[1:] != groups[:-1]
        equal = np.flatnonzero(same & is_last[1:])
        if len(equal):
            row = rows[equal[0] + 1]
            raise EvaluationError(f"found duplicate series for info metric: {self.info[int(row)]}")
        chosen[groups[is_last]] = rows[is_last]
        return chosen

    def found(self, chosen: Index) -> Mask:
        """Base rows with an info row of any metric."""
        by_target: Mask = np.any(chosen.reshape(len(self.metrics), self._targets) >= 0, axis=0)
        found: Mask = by_target[self._target_of_base]
        return found

    def handed_over(self, number: int, name: str, chosen: Index) -> Codes:
        """What one info metric says about a label of each base row; 0: nothing."""
        row = chosen[number * self._targets + self._target_of_base]
        codes: Codes = np.where((row >= 0) & ~self.is_info, self.info.column(name)[row], 0).astype(np.int32)
        return codes
