"""What can be wrong with an expression, before and during evaluation."""

from __future__ import annotations


class ExpressionError(Exception):
    """The expression cannot be used. `offset` is the character of the source text that it is about, from 0."""

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(text)
        self.offset = offset
        self.text = text


class BeyondHeadError(ExpressionError):
    """The expression is sound but reads samples older than those in memory. `reach`: how far back, in seconds."""

    def __init__(self, offset: int, text: str, reach: float) -> None:
        super().__init__(offset, text)
        self.reach = reach


class EvaluationError(Exception):
    """The expression is sound but gives no result on the samples present, such as two matches where one may be."""


class LimitError(EvaluationError):
    """The query would cost more than one query may."""


class QueryTimeoutError(LimitError):
    """The query takes longer than one query may."""


class AbandonedError(EvaluationError):
    """Nobody waits for the query any more."""
