"""Queries that templates ask while alerts are told."""

from __future__ import annotations

from collections.abc import Sequence

from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.rules.result import RuleError, vector_of
from sentinel.rules.seams import Expression, Expressions
from sentinel.rules.template import ExpansionError, Struct

MOST_KEPT = 1000
"""Compiled expressions that are kept: texts may come from labels."""


class Queries:
    """Evaluates what templates ask, each text compiled once."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions
        self._compiled: dict[str, Expression] = {}

    def ask(self, text: str, at: float) -> Sequence[Struct]:
        """
        Args:
            at: Unix seconds of the evaluation.
        Raises:
            ExpansionError: it cannot be compiled or evaluated.
        """
        try:
            expression = self._compiled.get(text)
            if expression is None:
                if len(self._compiled) > MOST_KEPT:
                    self.forget()
                expression = self._compiled[text] = self._expressions.compile(text)
            if expression.is_long:
                raise ExpansionError(f"query {text!r}: reaches further back than samples are kept in memory")
            vector = vector_of(expression.instant(at))
        except (ExpressionError, EvaluationError, RuleError) as error:
            raise ExpansionError(f"query {text!r}: {error}") from None
        return [Struct({"Labels": labels, "Value": value}) for labels, value in vector.samples()]

    def forget(self) -> None:
        self._compiled.clear()
