"""From the parser's tree to nodes that can be evaluated; what is not supported is refused here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import promql_parser

from sentinel.model.durations import format_duration
from sentinel.model.labels import METRIC_NAME
from sentinel.model.pattern import Pattern
from sentinel.promql import notes
from sentinel.promql.errors import BeyondHeadError, ExpressionError
from sentinel.promql.frame import Limits, Node
from sentinel.promql.functions import (
    banded,
    edges,
    elementwise,
    histogram,
    information,
    labelling,
    over_time,
    rates,
)
from sentinel.promql.selectors import Moment, RangeSelector, Selector, Subquery
from sentinel.promql.text.places import Places
from sentinel.promql.text.rewrite import STYLE
from sentinel.promql.text.source import Parsed
from sentinel.promql.text.trees import is_range, is_scalar, seconds_of, style_of, unwrapped
from sentinel.promql.vectors import aggregate, binary, filling
from sentinel.promql.vectors.matching import Matching
from sentinel.promql.vectors.operators import ARITHMETIC, SETS
from sentinel.series.index.matcher import Matcher, MatchOperator

_OPERATORS: Final = {
    str(promql_parser.MatchOp.Equal): MatchOperator.EQUAL,
    str(promql_parser.MatchOp.NotEqual): MatchOperator.NOT_EQUAL,
    str(promql_parser.MatchOp.Re): MatchOperator.MATCH,
    str(promql_parser.MatchOp.NotRe): MatchOperator.NOT_MATCH,
}
_CARDINALITIES: Final = {
    "VectorMatchCardinality.ManyToOne": "many-to-one",
    "VectorMatchCardinality.OneToMany": "one-to-many",
}


class Builder:
    """Builds one expression. `selectors` collects what it reads."""

    def __init__(self, parsed: Parsed, limits: Limits, horizon: float | None) -> None:
        self.parsed = parsed
        self.limits = limits
        self.horizon = horizon
        """Seconds that samples are kept: a window that reaches further back would be judged on a part."""
        self.selectors: list[Selector] = []
        self._places = Places(parsed)
        self._calls: dict[str, Callable[[Any], Node]] = {
            "pi": lambda _: labelling.Constant(3.141592653589793),
            "scalar": lambda args: labelling.ToScalar(self.vector(args[0])),
            "vector": lambda args: labelling.ToVector(self.node(args[0])),
            "timestamp": lambda args: labelling.Timestamp(self.vector(unwrapped(args[0]))),
            "absent": self._absent,
            "absent_over_time": self._absent_over_time,
            "sort": lambda args: self._sort(args, descending=False),
            "sort_desc": lambda args: self._sort(args, descending=True),
            "sort_by_label": lambda args: self._sort_by_label(args, descending=False),
            "sort_by_label_desc": lambda args: self._sort_by_label(args, descending=True),
            "label_replace": self._label_replace,
            "label_join": self._label_join,
            "histogram_quantile": self._histogram_quantile,
            "histogram_fraction": lambda args: histogram.HistogramFraction(
                self.node(args[0]), self.node(args[1]), self.vector(args[2])
            ),
            "histogram_quantiles": self._histogram_quantiles,
            "info": self._info,
            "min_of": lambda args: self._extreme(args, greatest=False),
            "max_of": lambda args: self._extreme(args, greatest=True),
            "irate": lambda args: rates.Newest(is_rate=True, source=self.range(args[0])),
            "idelta": lambda args: rates.Newest(is_rate=False, source=self.range(args[0])),
            "clamp": lambda args: elementwise.Clamp(
                self.vector(args[0]), self.node(args[1]), self.node(args[2])
            ),
        }

    def refuse(self, text: str, word: str = "", following: str = "") -> ExpressionError:
        return ExpressionError(self.parsed.offset_of(word, following) if word else 0, text)

    def build(self, *, allow_range: bool = False) -> Node | RangeSelector | Subquery:
        """
        Raises:
            ExpressionError: not supported.
        """
        if allow_range and is_range(self.parsed.tree) and not style_of(unwrapped(self.parsed.tree)):
            return self.range(self.parsed.tree)
        return self.node(self.parsed.tree)

    # Expressions

    def node(self, tree: Any) -> Node:
        match tree:
            case promql_parser.ParenExpr():
                return self.node(tree.expr)
            case promql_parser.NumberLiteral():
                return labelling.Constant(float(tree.val))
            case promql_parser.StringLiteral():
                return labelling.Constant(str(tree.val))
            case promql_parser.VectorSelector():
                return self._instant(tree)
            case promql_parser.UnaryExpr():
                return binary.Negated(self.node(tree.expr))
            case promql_parser.BinaryExpr():
                return self._binary(tree)
            case promql_parser.AggregateExpr():
                return self._aggregation(tree)
            case promql_parser.Call():
                return self._call(tree)
            case promql_parser.MatrixSelector() | promql_parser.SubqueryExpr():
                raise self.refuse(
                    "a range of samples can only be the argument of a function such as rate()", "["
                )
        raise self.refuse(f"not supported: {type(tree).__name__}")

    def vector(self, tree: Any) -> Node:
        return self.node(tree)

    def matchers(self, tree: Any) -> tuple[Matcher, ...]:
        if tree.matchers.or_matchers:
            raise self.refuse("'or' between matchers is not part of PromQL", "or")
        matchers = []
        if tree.name:
            matchers.append(Matcher(METRIC_NAME, MatchOperator.EQUAL, str(tree.name)))
        for matcher in tree.matchers.matchers:
            if matcher.name == STYLE:
                continue
            made = Matcher(str(matcher.name), _OPERATORS[str(matcher.op)], str(matcher.value))
            if made.operator in (MatchOperator.MATCH, MatchOperator.NOT_MATCH):
                self._pattern(made.value)
            matchers.append(made)
        return tuple(matchers)

    def selector(self, tree: Any) -> Selector:
        matchers = self.matchers(tree)
        if all(matcher.accepts("") for matcher in matchers):
            raise self.refuse("vector selector must contain at least one non-empty matcher", "{")
        selector = Selector(matchers, self.moment(tree, tree.name or "{"))
        self._check_reach(selector.moment, 0.0, str(tree.name or "{"))
        self.selectors.append(selector)
        return selector

    def _instant(self, tree: Any) -> Node:
        style = style_of(tree)
        if style == "anchored":
            raise self.refuse("'anchored' stands behind a range: x[5m] anchored", style)
        selector = self.selector(tree)
        return edges.Interpolated(selector) if style else selector

    def range(self, tree: Any) -> RangeSelector | Subquery:
        match tree:
            case promql_parser.ParenExpr():
                return self.range(tree.expr)
            case promql_parser.MatrixSelector():
                selector = self.selector(tree.vector_selector)
                seconds = seconds_of(tree.range)
                self._check_reach(selector.moment, seconds, "[")
                if seconds <= 0:
                    raise self.refuse("duration must be greater than 0", "[")
                return RangeSelector(selector, seconds)
            case promql_parser.SubqueryExpr():
                seconds = seconds_of(tree.range)
                if seconds <= 0:
                    raise self.refuse("duration must be greater than 0", "[")
                step = tree.step.total_seconds() if tree.step is not None else None
                if step is not None and step <= 0:
                    raise self.refuse("duration must be greater than 0", ":")
                moment = self.moment(tree, "[")
                self._check_reach(moment, seconds, "[")
                return Subquery(self.node(tree.expr), seconds, step, moment)
        raise self.refuse("expected a range of samples, such as x[5m]")

    def moment(self, tree: Any, word: str) -> Moment:
        offset = tree.offset.total_seconds() if isinstance(tree.offset, timedelta) else 0.0
        if tree.at is None:
            return Moment(offset)
        kind = str(tree.at.type).rsplit(".", 1)[-1]
        if kind in ("Start", "End"):
            return Moment(offset, "start" if kind == "Start" else "end")
        return Moment(offset, self.parsed.anchor(tree.at.at.timestamp()))

    def _check_reach(self, moment: Moment, seconds: float, word: str) -> None:
        reach = moment.offset + seconds
        if self.horizon is not None and moment.anchor is None and reach > self.horizon:
            kept = format_duration(self.horizon)
            text = f"reaches {format_duration(reach)} back, and samples are kept for {kept}"
            raise BeyondHeadError(self.parsed.offset_of(word) if word else 0, text, reach)

    def _pattern(self, text: str) -> Pattern:
        try:
            return Pattern.of(text)
        except ValueError as error:
            offset = next((t.offset for t in self.parsed.tokens if t.kind == "string" and text in t.text), 0)
            raise ExpressionError(offset, str(error)) from None

    # Operators

    def _binary(self, tree: Any) -> Node:
        operator = str(tree.op)
        left, right = self.node(tree.lhs), self.node(tree.rhs)
        left_scalar, right_scalar = is_scalar(tree.lhs), is_scalar(tree.rhs)
        modifier = tree.modifier
        returns_bool = bool(modifier is not None and modifier.return_bool)
        if left_scalar and right_scalar:
            return binary.OfScalars(operator, left, right)
        if left_scalar or right_scalar:
            return binary.WithScalar(
                operator, left, right, returns_bool=returns_bool, vector_left=right_scalar
            )
        matching = self._matching(modifier)
        if operator in SETS:
            return binary.OfSets(operator, left, right, matching)
        made = binary.OfVectors(
            operator, left, right, matching, returns_bool=returns_bool, limit=self.limits.pairs
        )
        fill = modifier.fill_values if modifier is not None else None
        if fill is None or (fill.lhs is None and fill.rhs is None):
            return made
        drops_name = operator in ARITHMETIC or returns_bool
        return filling.Filling(made, fill.lhs, fill.rhs, drops_name=drops_name)

    def _matching(self, modifier: Any) -> Matching:
        if modifier is None:
            return Matching(on=False, labels=())
        on = False
        labels: tuple[str, ...] = ()
        if modifier.matching is not None:
            on = str(modifier.matching.type).endswith("Include")
            labels = tuple(str(label) for label in modifier.matching.labels)
        cardinality: Any = _CARDINALITIES.get(str(modifier.card), "one-to-one")
        return Matching(on, labels, cardinality, tuple(modifier.group_labels or ()))

    def _aggregation(self, tree: Any) -> Node:
        operator = str(tree.op)
        grouping = aggregate.Grouping(by=True, labels=())
        if tree.modifier is not None:
            by = str(tree.modifier.type).endswith("By")
            grouping = aggregate.Grouping(by, tuple(str(label) for label in tree.modifier.labels))
        place = self._places.first(operator)
        argument = self.vector(tree.expr)
        if operator in aggregate.REDUCTIONS:
            return aggregate.Aggregation(operator, grouping, argument)
        parameter = self.node(tree.param)
        match operator:
            case "topk" | "bottomk":
                return aggregate.Ranking(grouping, parameter, argument, greatest=operator == "topk")
            case "quantile":
                return aggregate.Quantile(grouping, notes.Share(parameter, place), argument)
            case "count_values":
                return aggregate.CountValues(grouping, parameter, argument)
            case "limitk":
                return aggregate.Limit(grouping, parameter, argument)
            case "limit_ratio":
                return aggregate.LimitRatio(notes.Ratio(parameter, place), argument)
        raise self.refuse(f"aggregation {operator}() is not supported", operator)

    # Functions

    def _call(self, tree: Any) -> Node:
        name, args = str(tree.func.name), list(tree.args)
        style = next((style_of(unwrapped(arg)) for arg in args if is_range(arg)), "")
        if style:
            return self._extended(name, args, style)
        if name in self._calls:
            return self._calls[name](args)
        if name in labelling.FACTS:
            return labelling.OfQuery(labelling.FACTS[name])
        if name in rates.KINDS:
            place = self._places.first(name)
            rate = rates.Rate(rates.KINDS[name], self.range(args[0]))
            return notes.Counting(rate, rate.source, place) if rates.KINDS[name].is_counter else rate
        if name in over_time.REDUCTIONS:
            return self._over_time(name, args)
        if name in elementwise.DATES and not args:
            now = labelling.ToVector(labelling.OfQuery(labelling.FACTS["time"]))
            return elementwise.Elementwise(elementwise.DATES[name], now, ())
        if name in elementwise.FUNCTIONS:
            parameters = [self.node(arg) for arg in args[1:]]
            return elementwise.Elementwise(elementwise.FUNCTIONS[name], self.vector(args[0]), parameters)
        raise self.refuse(f"function {name}() is not supported", name, "(")

    def _extended(self, name: str, args: list[Any], style: str) -> Node:
        able = edges.ANCHORED if style == "anchored" else edges.SMOOTHED
        if name not in able:
            text = f"{style} modifier can only be used with: {', '.join(able)} - not with {name}"
            raise self.refuse(text, style)
        source = self.range(args[0])
        assert isinstance(source, RangeSelector)
        return edges.Extended(name, source, smoothed=style == "smoothed")

    def _over_time(self, name: str, args: list[Any]) -> Node:
        reduction, least, keeps_name = over_time.REDUCTIONS[name]
        place = self._places.first(name)
        position = next(i for i, arg in enumerate(args) if is_range(arg))
        parameters = [self.node(arg) for i, arg in enumerate(args) if i != position]
        if name == "quantile_over_time":
            parameters = [notes.Share(parameters[0], place)]
        if name == "predict_linear":
            parameters.append(labelling.OfQuery(labelling.FACTS["time"]))
        return over_time.OverTime(
            reduction,
            self.range(args[position]),
            parameters,
            least=least,
            keeps_name=keeps_name,
            banded=banded.BANDED.get(name),
        )

    def _absent(self, args: list[Any]) -> Node:
        inner = unwrapped(args[0])
        node = self.vector(inner)
        return labelling.Absent(node, node.matchers if isinstance(node, Selector) else ())

    def _absent_over_time(self, args: list[Any]) -> Node:
        source = self.range(args[0])
        matchers = source.selector.matchers if isinstance(source, RangeSelector) else ()
        return labelling.Absent(source, matchers)

    def _sort(self, args: list[Any], *, descending: bool) -> Node:
        place = self._places.call("sort_desc" if descending else "sort")
        return notes.Ordered(labelling.Sorted(self.vector(args[0]), descending=descending), place)

    def _sort_by_label(self, args: list[Any], *, descending: bool) -> Node:
        place = self._places.call("sort_by_label_desc" if descending else "sort_by_label")
        labels = [self._text(arg) for arg in args[1:]]
        node = labelling.SortedByLabel(self.vector(args[0]), labels, descending=descending)
        return notes.Ordered(node, place)

    def _label_replace(self, args: list[Any]) -> Node:
        target, replacement, source, regex = (self._text(arg) for arg in args[1:5])
        self._label_name(target, "label_replace")
        return labelling.Relabelled(
            self.vector(args[0]), labelling.label_replace(target, replacement, source, self._pattern(regex))
        )

    def _label_join(self, args: list[Any]) -> Node:
        target, separator, *sources = (self._text(arg) for arg in args[1:])
        self._label_name(target, "label_join")
        for source in sources:
            self._label_name(source, "label_join")
        return labelling.Relabelled(self.vector(args[0]), labelling.label_join(target, separator, sources))

    def _histogram_quantile(self, args: list[Any]) -> Node:
        place, second = self._places.first("histogram_quantile"), self._places.second()
        parameter = notes.Share(self.node(args[0]), place)
        node = histogram.HistogramQuantile(parameter, notes.Bounded(self.vector(args[1]), second))
        return notes.Levelled(node, second)

    def _histogram_quantiles(self, args: list[Any]) -> Node:
        label = self._text(args[1])
        self._label_name(label, "histogram_quantiles")
        return histogram.HistogramQuantiles(self.vector(args[0]), label, [self.node(arg) for arg in args[2:]])

    def _info(self, args: list[Any]) -> Node:
        matchers: tuple[Matcher, ...] = ()
        if len(args) > 1:
            chosen = unwrapped(args[1])
            if not isinstance(chosen, promql_parser.VectorSelector) or chosen.name:
                raise self.refuse('expected label matchers, such as {data=~".+"}', "info", "(")
            matchers = self.matchers(chosen)
        made = information.Info(self.vector(args[0]), matchers)
        self.selectors.append(made.selector)
        return made

    def _extreme(self, args: list[Any], *, greatest: bool) -> Node:
        return labelling.Extreme(self.node(args[0]), self.node(args[1]), greatest=greatest)

    def _label_name(self, name: str, function: str) -> None:
        if not name or "\x00" in name:
            raise self.refuse(f"invalid label name {name!r} in {function}()", function, "(")

    def _text(self, tree: Any) -> str:
        tree = unwrapped(tree)
        if not isinstance(tree, promql_parser.StringLiteral):
            raise self.refuse("expected a string in quotes")
        return str(tree.val)
