"""Binary operators between scalars and vectors."""

from __future__ import annotations

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.frame import Context, Frame, Mask, Memo, Nameless, Node, Outcome, scalar, vector
from sentinel.promql.vectors.matching import Groups, Matching, Pairs, group_rows, pair_rows, too_many_pairs
from sentinel.promql.vectors.operators import ARITHMETIC, COMPARISON, of_arrays, of_scalars
from sentinel.series.index.table import LabelTable


class OfScalars:
    def __init__(self, operator: str, left: Node, right: Node) -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def evaluate(self, context: Context) -> float:
        left, right = scalar(self.left.evaluate(context)), scalar(self.right.evaluate(context))
        return of_scalars(self.operator, left, right)


class WithScalar:
    """A vector on one side, a scalar on the other."""

    def __init__(
        self, operator: str, left: Node, right: Node, *, returns_bool: bool, vector_left: bool
    ) -> None:
        self.operator = operator
        self.left = left
        self.right = right
        self.returns_bool = returns_bool
        self.vector_left = vector_left
        self._nameless = Nameless()

    def evaluate(self, context: Context) -> Frame:
        left, right = self.left.evaluate(context), self.right.evaluate(context)
        frame = vector(left if self.vector_left else right)
        a = frame.values if self.vector_left else scalar(left)
        b = scalar(right) if self.vector_left else frame.values
        if self.operator in ARITHMETIC:
            values = of_arrays(self.operator, a, b)
            return self._nameless.checked(Frame(self._nameless(frame.table), values, frame.present))
        holds: Mask = COMPARISON[self.operator](a, b)
        if self.returns_bool:
            truth = holds.astype(np.float64)
            return self._nameless.checked(Frame(self._nameless(frame.table), truth, frame.present))
        return Frame(frame.table, frame.values, frame.present & holds)


class OfVectors:
    """Arithmetic and comparison of two vectors."""

    def __init__(
        self, operator: str, left: Node, right: Node, matching: Matching, *, returns_bool: bool, limit: int
    ) -> None:
        self.operator = operator
        self.left = left
        self.right = right
        self.matching = matching
        self.returns_bool = returns_bool
        self.is_swapped = matching.cardinality == "one-to-many"
        drops_name = operator in ARITHMETIC or returns_bool
        self._pairs: Memo[Pairs | None] = Memo(
            lambda many, one: pair_rows(many, one, matching, drops_name=drops_name, limit=limit)
        )
        self._groups: Memo[Groups] = Memo(lambda many, one: group_rows(many, one, matching))

    def evaluate(self, context: Context) -> Frame:
        left, right = vector(self.left.evaluate(context)), vector(self.right.evaluate(context))
        return self.matched(left, right, context)

    def matched(self, left: Frame, right: Frame, context: Context) -> Frame:
        """The result of these two.

        Raises:
            EvaluationError: more than one match, or too many pairs to look through.
        """
        many, one = (right, left) if self.is_swapped else (left, right)
        pairs = self._pairs(many.table, one.table)
        if pairs is None:
            too_many_pairs(self._groups(many.table, one.table), one.present, self.matching)
            raise AssertionError
        context.budget.charge(len(pairs.many))
        if not many.present.any() or not one.present.any():
            return Frame(pairs.table, np.full(len(pairs.many), np.nan), np.zeros(len(pairs.many), np.bool_))
        pairs.check_one(one.present)
        many_values, one_values = many.values[pairs.many], one.values[pairs.one]
        present = many.present[pairs.many] & one.present[pairs.one]
        a, b = (one_values, many_values) if self.is_swapped else (many_values, one_values)
        values, kept = self.operated(a, b, present)
        pairs.check_matches(present, kept)
        return Frame(pairs.table, values, kept)

    def operated(self, a: Floats, b: Floats, present: Mask) -> tuple[Floats, Mask]:
        if self.operator in ARITHMETIC:
            return of_arrays(self.operator, a, b), present
        holds: Mask = COMPARISON[self.operator](a, b)
        if self.returns_bool:
            return holds.astype(np.float64), present
        return a, present & holds


class OfSets:
    """and, or, unless."""

    def __init__(self, operator: str, left: Node, right: Node, matching: Matching) -> None:
        self.operator = operator
        self.left = left
        self.right = right
        self._groups: Memo[Groups] = Memo(lambda left, right: group_rows(left, right, matching))
        self._both: Memo[LabelTable] = Memo(lambda left, right: left.followed_by(right))

    def evaluate(self, context: Context) -> Outcome:
        left, right = vector(self.left.evaluate(context)), vector(self.right.evaluate(context))
        groups = self._groups(left.table, right.table)
        if self.operator == "or":
            seen = np.zeros(groups.count, np.bool_)
            seen[groups.left[left.present]] = True
            table = self._both(left.table, right.table)
            values = np.concatenate([left.values, right.values])
            return Frame(table, values, np.concatenate([left.present, right.present & ~seen[groups.right]]))
        seen = np.zeros(groups.count, np.bool_)
        seen[groups.right[right.present]] = True
        matched = seen[groups.left]
        kept = left.present & (matched if self.operator == "and" else ~matched)
        return Frame(left.table, left.values, kept)


class Negated:
    """Unary minus."""

    def __init__(self, argument: Node) -> None:
        self.argument = argument
        self._nameless = Nameless()

    def evaluate(self, context: Context) -> Outcome:
        outcome = self.argument.evaluate(context)
        if isinstance(outcome, float):
            return -outcome
        frame = vector(outcome)
        return self._nameless.checked(Frame(self._nameless(frame.table), -frame.values, frame.present))
