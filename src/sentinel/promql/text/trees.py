"""Questions to the parser's tree."""

from __future__ import annotations

from typing import Any

import promql_parser

from sentinel.promql.text.rewrite import PLAIN, STYLE


def seconds_of(duration: Any) -> float:
    return float(duration.total_seconds())


def unwrapped(tree: Any) -> Any:
    while isinstance(tree, promql_parser.ParenExpr):
        tree = tree.expr
    return tree


def style_of(tree: Any) -> str:
    """The word behind a selector: anchored, smoothed, or nothing."""
    selector = tree.vector_selector if isinstance(tree, promql_parser.MatrixSelector) else tree
    if not isinstance(selector, promql_parser.VectorSelector):
        return ""
    return next(
        (str(m.value) for m in selector.matchers.matchers if m.name == STYLE and m.value != PLAIN), ""
    )


def is_range(tree: Any) -> bool:
    return isinstance(unwrapped(tree), promql_parser.MatrixSelector | promql_parser.SubqueryExpr)


def is_scalar(tree: Any) -> bool:
    tree = unwrapped(tree)
    match tree:
        case promql_parser.NumberLiteral():
            return True
        case promql_parser.UnaryExpr():
            return is_scalar(tree.expr)
        case promql_parser.BinaryExpr():
            return is_scalar(tree.lhs) and is_scalar(tree.rhs)
        case promql_parser.Call():
            return str(tree.func.return_type).endswith("Scalar")
    return False
