"""Series selectors on their own, as in match[] of /metrics and of the series API."""

from __future__ import annotations

from sentinel.promql.build import Builder
from sentinel.promql.errors import ExpressionError
from sentinel.promql.frame import Limits
from sentinel.promql.selectors import Moment, Selector
from sentinel.promql.text.source import parse
from sentinel.series.index.matcher import Matcher


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a selector such as up{job="linux"}.

    Raises:
        ExpressionError: not a selector, or one with an offset or @.
    """
    node = Builder(parse(text), Limits(), None).build()
    if not isinstance(node, Selector) or node.moment != Moment():
        raise ExpressionError(0, 'not a series selector: write up{job="linux"}')
    return node.matchers
