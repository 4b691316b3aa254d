"""PromQL: plans and functions over the head."""

from sentinel.promql.engine import Engine, Expression, Track
from sentinel.promql.errors import EvaluationError, ExpressionError, LimitError
from sentinel.promql.frame import Limits

__all__ = ["Engine", "EvaluationError", "Expression", "ExpressionError", "LimitError", "Limits", "Track"]
