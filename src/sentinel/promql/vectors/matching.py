"""Which series of two vectors belong together: worked out once, while both sides keep their series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sentinel.model.labels import METRIC_NAME
from sentinel.promql.errors import EvaluationError, LimitError
from sentinel.promql.frame import Index, Mask
from sentinel.series.index.table import LabelTable, identify

Cardinality = Literal["one-to-one", "many-to-one", "one-to-many"]


@dataclass(frozen=True, slots=True)
class Matching:
    """on/ignoring with group_left/group_right."""

    on: bool
    labels: tuple[str, ...]
    cardinality: Cardinality = "one-to-one"
    include: tuple[str, ...] = ()
    """Labels taken over from the "one" side."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Match group of each row of either side."""

    left: Index
    right: Index
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every pair of rows that could meet. The "many" side comes first; the "one" side may have at most one
    row present for each group."""

    many: Index
    one: Index
    table: LabelTable
    groups: Groups
    """left: the many side, right: the one side."""
    one_repeats: bool
    many_repeats: bool
    results: Index | None
    """Ids of equal result labels within a group, if there are any."""
    matching: Matching

    def check_one(self, present: Mask) -> None:
        """
        Raises:
            EvaluationError: two rows of the "one" side are present for one match group.
        """
        if self.one_repeats:
            check_one_side(self.groups.right, present, self.matching)

    def check_matches(self, present: Mask, kept: Mask) -> None:
        """
        Args:
            present: pairs of which both rows are present.
            kept: those of them that a comparison lets through.
        Raises:
            EvaluationError: two matches of one match group, or results with the same labels.
        """
        if self.matching.cardinality == "one-to-one":
            if self.many_repeats and np.bincount(self.groups.left[self.many[present]]).max(initial=0) > 1:
                raise EvaluationError(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                )
        elif self.results is not None and np.bincount(self.results[kept]).max(initial=0) > 1:
            raise EvaluationError("multiple matches for labels: grouping labels must ensure unique matches")


def check_one_side(groups: Index, present: Mask, matching: Matching) -> None:
    if np.bincount(groups[present]).max(initial=0) > 1:
        side = "left" if matching.cardinality == "one-to-many" else "right"
        raise EvaluationError(
            f"found duplicate series for the match group on the {side} hand-side of the operation; many-to-many"
            " matching not allowed: matching labels must be unique on one side"
        )


def group_rows(left: LabelTable, right: LabelTable, matching: Matching) -> Groups:
    names: Sequence[str]
    if matching.on:
        names = matching.labels
    else:
        left_out = {METRIC_NAME, *matching.labels}
        names = [name for name in dict.fromkeys((*left.names, *right.names)) if name not in left_out]
    ids, count, _ = identify(np.concatenate([left.matrix(names), right.matrix(names)]))
    return Groups(ids[: len(left)], ids[len(left) :], count)


def pair_rows(
    many: LabelTable, one: LabelTable, matching: Matching, *, drops_name: bool, limit: int
) -> Pairs | None:
    """
    Returns:
        the pairs, or None when there are more than the limit.
    """
    groups = group_rows(many, one, matching)
    order = np.argsort(groups.right, kind="stable")
    sizes = np.bincount(groups.right, minlength=groups.count)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if groups.count else np.zeros(0, np.intp)
    repeats = sizes[groups.left] if len(many) else np.zeros(0, np.intp)
    total = int(repeats.sum())
    if total > limit:
        return None
    many_rows = np.repeat(np.arange(len(many)), repeats)
    within = np.arange(total) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    one_rows = order[starts[groups.left[many_rows]] + within] if total else np.zeros(0, np.intp)
    table = _result_table(many, one, many_rows, one_rows, matching, drops_name=drops_name)
    results = None
    if matching.cardinality != "one-to-one":
        keyed = np.column_stack([table.codes, groups.left[many_rows].astype(np.int32)])
        ids, distinct, _ = identify(keyed)
        results = ids if distinct < total else None
    return Pairs(
        many_rows,
        one_rows,
        table,
        groups,
        bool((sizes > 1).any()),
        bool((np.bincount(groups.left, minlength=1) > 1).any()),
        results,
        matching,
    )


def _result_table(
    many: LabelTable,
    one: LabelTable,
    many_rows: Index,
    one_rows: Index,
    matching: Matching,
    *,
    drops_name: bool,
) -> LabelTable:
    """Source: resultMetric in promql/engine.go."""
    is_whole = len(many_rows) == len(many)
    table = many if is_whole else many.take(many_rows)
    if drops_name:
        table = table.without((METRIC_NAME,))
    if matching.cardinality == "one-to-one":
        table = table.only(matching.labels) if matching.on else table.without(matching.labels)
    for name in matching.include:
        table = table.replaced(name, one.column(name)[one_rows])
    return table


def too_many_pairs(groups: Groups, present_one: Mask, matching: Matching) -> None:
    """A match that could not be worked out beforehand.

    Raises:
        EvaluationError: many-to-many, which is why there are so many pairs.
        LimitError: otherwise.
    """
    check_one_side(groups.right, present_one, matching)
    raise LimitError("vector matching would have to look through too many pairs of series")
