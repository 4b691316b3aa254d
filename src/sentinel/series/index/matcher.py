"""Label matchers: =, !=, =~ and !~."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sentinel.model.pattern import Pattern
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import Codes


class MatchOperator(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    MATCH = "=~"
    NOT_MATCH = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; regular expressions match the whole value, as in Prometheus."""

    name: str
    operator: MatchOperator
    value: str

    def accepts(self, text: str) -> bool:
        """Whether a label value (empty: no such label) satisfies the matcher.

        Raises:
            ValueError: the regular expression cannot be used.
        """
        match self.operator:
            case MatchOperator.EQUAL:
                return text == self.value
            case MatchOperator.NOT_EQUAL:
                return text != self.value
            case MatchOperator.MATCH:
                return Pattern.of(self.value).matches(text)
            case MatchOperator.NOT_MATCH:
                return not Pattern.of(self.value).matches(text)

    def choose(self, codes: Codes, symbols: Symbols) -> NDArray[np.bool_]:
        """Which of the coded values satisfy the matcher."""
        if self.operator in (MatchOperator.EQUAL, MatchOperator.NOT_EQUAL):
            code = symbols.find(self.value)
            equal: NDArray[np.bool_] = codes == (-1 if code is None else code)
            return equal if self.operator is MatchOperator.EQUAL else ~equal
        distinct, inverse = np.unique(codes, return_inverse=True)
        accepted = np.array([self.accepts(symbols.text(code)) for code in distinct.tolist()], np.bool_)
        chosen: NDArray[np.bool_] = accepted[inverse]
        return chosen


def is_plain(pattern: str) -> bool:
    """A pattern without special characters matches only itself."""
    return re.escape(pattern) == pattern
