"""Walking the parser's tree of an expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser

from sentinel.promql.text.rewrite import STYLE
from sentinel.promql.text.trees import unwrapped


def parts(tree: Any) -> Iterator[Any]:
    """The tree's nodes, outer ones first, parentheses left out."""
    tree = unwrapped(tree)
    yield tree
    match tree:
        case promql_parser.BinaryExpr():
            yield from parts(tree.lhs)
            yield from parts(tree.rhs)
        case promql_parser.AggregateExpr():
            if tree.param is not None:
                yield from parts(tree.param)
            yield from parts(tree.expr)
        case promql_parser.Call():
            for argument in tree.args:
                yield from parts(argument)
        case promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            yield from parts(tree.expr)
        case promql_parser.MatrixSelector():
            yield from parts(tree.vector_selector)


def matchers_of(selector: Any) -> list[Any]:
    return [matcher for matcher in selector.matchers.matchers if matcher.name != STYLE]


def name_of(selector: Any) -> str:
    """The metric that a selector asks for by name, or an empty text."""
    if selector.name:
        return str(selector.name)
    for matcher in matchers_of(selector):
        if matcher.name == "__name__" and str(matcher.op).rsplit(".", 1)[-1] == "Equal":
            return str(matcher.value)
    return ""
