"""Which labels the result of an expression can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import promql_parser

from sentinel.promql.text.trees import is_scalar, unwrapped
from sentinel.rules.lint.trees import matchers_of

_PICKING: Final = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_WITHOUT_LABELS: Final = frozenset({"vector", "time", "scalar", "pi"})


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels that may be there: those of `only` (None: any) that are not among `never`."""

    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

    def may_have(self, name: str) -> bool:
        return name not in self.never and (self.only is None or name in self.only)

    def kept(self, names: frozenset[str]) -> LabelSet:
        return LabelSet(frozenset(name for name in names if self.may_have(name)))

    def without(self, names: frozenset[str]) -> LabelSet:
        if self.only is not None:
            return LabelSet(self.only - names - self.never)
        return LabelSet(None, self.never | names)

    def with_(self, names: frozenset[str]) -> LabelSet:
        return LabelSet(None if self.only is None else self.only | names, self.never - names)

    def or_(self, other: LabelSet) -> LabelSet:
        """What may be in either."""
        if self.only is not None and other.only is not None:
            return LabelSet((self.only - self.never) | (other.only - other.never))
        never = frozenset(
            name for name in self.never | other.never if not (self.may_have(name) or other.may_have(name))
        )
        return LabelSet(None, never)


NONE: Final = LabelSet(frozenset())


def labels_of(tree: Any) -> LabelSet:
    """Of the parser's tree."""
    tree = unwrapped(tree)
    match tree:
        case promql_parser.VectorSelector():
            empty = {m.name for m in matchers_of(tree) if str(m.op).endswith("Equal") and not m.value}
            return LabelSet(None, frozenset(name for name in empty if _is_emptied(tree, name)))
        case promql_parser.MatrixSelector():
            return labels_of(tree.vector_selector)
        case promql_parser.SubqueryExpr() | promql_parser.UnaryExpr():
            return labels_of(tree.expr)
        case promql_parser.AggregateExpr():
            return _of_aggregation(tree)
        case promql_parser.BinaryExpr():
            return _of_operator(tree)
        case promql_parser.Call():
            return _of_call(tree)
    return NONE


def _is_emptied(tree: Any, name: str) -> bool:
    return all(
        str(m.op).rsplit(".", 1)[-1] == "Equal" and not m.value for m in matchers_of(tree) if m.name == name
    )


def _of_aggregation(tree: Any) -> LabelSet:
    inner, operator = labels_of(tree.expr), str(tree.op)
    if operator in _PICKING:
        return inner
    names = (
        frozenset(str(label) for label in tree.modifier.labels) if tree.modifier is not None else frozenset()
    )
    if tree.modifier is not None and not str(tree.modifier.type).endswith("By"):
        found = inner.without(names)
    else:
        found = inner.kept(names)
    if operator == "count_values" and isinstance(unwrapped(tree.param), promql_parser.StringLiteral):
        found = found.with_(frozenset({str(unwrapped(tree.param).val)}))
    return found


def _of_operator(tree: Any) -> LabelSet:
    left, right = labels_of(tree.lhs), labels_of(tree.rhs)
    if is_scalar(tree.lhs):
        return right
    operator = str(tree.op)
    if is_scalar(tree.rhs) or operator in ("and", "unless"):
        return left
    if operator == "or":
        return left.or_(right)
    on, names, card, include = matching_of(tree)
    if card == "ManyToOne":
        return left.with_(include)
    if card == "OneToMany":
        return right.with_(include)
    return left.kept(names) if on else left.without(names)


def matching_of(tree: Any) -> tuple[bool, frozenset[str], str, frozenset[str]]:
    """Whether labels are matched on (else ignored), which, the cardinality and what is taken over."""
    modifier = tree.modifier
    if modifier is None:
        return False, frozenset(), "OneToOne", frozenset()
    names: frozenset[str] = frozenset()
    on = False
    if modifier.matching is not None:
        on = str(modifier.matching.type).endswith("Include")
        names = frozenset(str(label) for label in modifier.matching.labels)
    return on, names, str(modifier.card).rsplit(".", 1)[-1], frozenset(map(str, modifier.group_labels or ()))


def _of_call(tree: Any) -> LabelSet:
    name, arguments = str(tree.func.name), list(tree.args)
    if name in _WITHOUT_LABELS or not arguments:
        return NONE
    if name in ("absent", "absent_over_time"):
        selector = unwrapped(arguments[0])
        selector = (
            selector.vector_selector if isinstance(selector, promql_parser.MatrixSelector) else selector
        )
        if not isinstance(selector, promql_parser.VectorSelector):
            return NONE
        fixed = [m for m in matchers_of(selector) if str(m.op).rsplit(".", 1)[-1] == "Equal"]
        return LabelSet(frozenset(str(m.name) for m in fixed))
    if name == "info":
        return LabelSet()
    series = [argument for argument in arguments if not _is_parameter(argument)]
    inner = labels_of(series[0]) if series else NONE
    if name in ("label_replace", "label_join") and isinstance(
        unwrapped(arguments[1]), promql_parser.StringLiteral
    ):
        return inner.with_(frozenset({str(unwrapped(arguments[1]).val)}))
    if name in ("histogram_quantile", "histogram_fraction"):
        return inner.without(frozenset({"le"}))
    return inner


def _is_parameter(tree: Any) -> bool:
    return isinstance(unwrapped(tree), promql_parser.StringLiteral) or is_scalar(tree)
