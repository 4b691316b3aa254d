"""fill(), fill_left() and fill_right(): vector matching where one side lacks a series.

Source: Prometheus documentation, "Operators", fill modifiers; cases of promql/promqltest/testdata.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sentinel.model.labels import METRIC_NAME
from sentinel.promql.errors import EvaluationError
from sentinel.promql.frame import Context, Frame, Index, Memo, check_unique, duplicates, vector
from sentinel.promql.vectors.binary import OfVectors
from sentinel.promql.vectors.matching import Groups, Matching, group_rows
from sentinel.series.index.table import LabelTable


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """Tables of a match with rows behind it for series that have no partner: of the many side, then of the one."""

    groups: Groups
    table: LabelTable
    duplicates: Index | None


class Filling:
    """A match, and a value for what is missing on either side."""

    def __init__(
        self, inner: OfVectors, left: float | None, right: float | None, *, drops_name: bool
    ) -> None:
        """
        Args:
            left: the value of series that the left side lacks; None: such series have no result.
            right: the same of the right side.
        """
        self.inner = inner
        swapped = inner.matching.cardinality == "one-to-many"
        self._many, self._one = (right, left) if swapped else (left, right)
        self._filled: Memo[Filled] = Memo(
            lambda matched, many, one: filled(matched, many, one, inner.matching, drops_name=drops_name)
        )

    def evaluate(self, context: Context) -> Frame:
        """
        Raises:
            EvaluationError: several series of the many side for one result.
        """
        left, right = vector(self.inner.left.evaluate(context)), vector(self.inner.right.evaluate(context))
        matched = self.inner.matched(left, right, context)
        many, one = (right, left) if self.inner.is_swapped else (left, right)
        plan = self._filled(matched.table, many.table, one.table)
        has_one = np.zeros(plan.groups.count, np.bool_)
        has_one[plan.groups.right[one.present]] = True
        has_many = np.zeros(plan.groups.count, np.bool_)
        has_many[plan.groups.left[many.present]] = True
        alone = many.present & ~has_one[plan.groups.left] & (self._one is not None)
        lone = one.present & ~has_many[plan.groups.right] & (self._many is not None)
        if self.inner.matching.cardinality == "one-to-one":
            _check_alone(plan.groups.left[alone])
        of_many = self._operated(many.values, np.full(len(many), self._one or 0.0), alone)
        of_one = self._operated(np.full(len(one), self._many or 0.0), one.values, lone)
        values = np.concatenate([matched.values, of_many[0], of_one[0]])
        present = np.concatenate([matched.present, of_many[1], of_one[1]])
        check_unique(plan.duplicates, present)
        return Frame(plan.table, values, present)

    def _operated(
        self, many: np.ndarray, one: np.ndarray, present: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        a, b = (one, many) if self.inner.is_swapped else (many, one)
        return self.inner.operated(a, b, present)


def _check_alone(groups: Index) -> None:
    if np.bincount(groups).max(initial=0) > 1:
        raise EvaluationError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        )


def filled(
    matched: LabelTable, many: LabelTable, one: LabelTable, matching: Matching, *, drops_name: bool
) -> Filled:
    groups = group_rows(many, one, matching)
    of_many = many.without((METRIC_NAME,)) if drops_name else many
    if matching.cardinality == "one-to-one":
        of_many = of_many.only(matching.labels) if matching.on else of_many.without(matching.labels)
    of_one = one.only(matching.labels) if matching.on else one.without((*matching.labels, METRIC_NAME))
    for name in matching.include:
        if (name in matching.labels) != matching.on:
            # The series that stands in for the missing one has no such label to hand over.
            of_many = of_many.replaced(name, np.zeros(len(many), np.int32))
        of_one = of_one.replaced(name, one.column(name))
    table = matched.followed_by(of_many).followed_by(of_one)
    return Filled(groups, table, duplicates(table))
