"""The text of an expression: what has to be seen to before the parser may have it.

The parser (promql-parser) can crash on deep input, reads some forms wrongly and gives no positions, so the text is
split into tokens here first. Its limits: https://docs.rs/promql-parser.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import promql_parser

from sentinel.promql.errors import ExpressionError
from sentinel.promql.text.durations import Query
from sentinel.promql.text.names import FUNCTIONS
from sentinel.promql.text.rewrite import FIRST_ANCHOR, Rewriter
from sentinel.promql.text.tokens import Token, tokens_of

MAX_LENGTH: Final = 4096
MAX_NESTING: Final = 100
MAX_OPERATORS: Final = 400

_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_OPERATORS: Final = frozenset(
    ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "and", "or", "unless", "atan2"]
)


@dataclass(frozen=True, slots=True)
class Parsed:
    text: str
    """As people wrote it."""
    tokens: tuple[Token, ...]
    tree: Any
    anchors: tuple[float, ...]
    """Instants after @, in the order of the text."""
    follows_query: bool = False
    """A duration in it depends on the query's step or range: x[step()]."""

    def anchor(self, instant: float) -> float:
        """The instant that was written where the parser read this one."""
        return self.anchors[round(instant) - FIRST_ANCHOR]

    def offset_of(self, word: str, following: str = "") -> int:
        """Where a word first stands, followed by that sign if one is given; 0 if nowhere."""
        for token, after in zip(self.tokens, (*self.tokens[1:], Token("end", "", 0)), strict=True):
            if token.text == word and after.text.startswith(following):
                return token.offset
        return 0


def parse(text: str, query: Query | None = None) -> Parsed:
    """
    Args:
        query: what step() and range() mean in durations.
    Raises:
        ExpressionError: not an expression, or beyond what the parser can take.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH, f"expression longer than {MAX_LENGTH} characters")
    tokens = tuple(tokens_of(text))
    if not tokens:
        raise ExpressionError(0, "no expression found")
    _check_nesting(tokens)
    rewriter = Rewriter(tokens, query or Query())
    rewritten = rewriter.text()
    try:
        tree = promql_parser.parse(rewritten)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - the parser's panics are no Exception
        raise ExpressionError(_offset_of(tokens, str(error)), _described(error)) from None
    return Parsed(text, tokens, tree, tuple(rewriter.anchors), rewriter.follows_query)


def _check_nesting(tokens: tuple[Token, ...]) -> None:
    open_ones: list[Token] = []
    operators = 0
    for token in tokens:
        if token.kind == "sign" and token.text in "([{":
            open_ones.append(token)
            if len(open_ones) > MAX_NESTING:
                raise ExpressionError(token.offset, f"nested deeper than {MAX_NESTING} levels")
        elif token.kind == "sign" and token.text in _PAIRS:
            if not open_ones or open_ones[-1].text != _PAIRS[token.text]:
                raise ExpressionError(token.offset, f"'{token.text}' closes nothing")
            open_ones.pop()
        elif token.text in _OPERATORS and token.kind != "string":
            operators += 1
            if operators > MAX_OPERATORS:
                raise ExpressionError(token.offset, f"more than {MAX_OPERATORS} operators")
    if open_ones:
        raise ExpressionError(open_ones[-1].offset, f"'{open_ones[-1].text}' is never closed")


def _described(error: BaseException) -> str:
    text = str(error)
    unknown = re.fullmatch(r"unknown function with name '(\w+)'", text)
    if unknown:
        close = difflib.get_close_matches(unknown[1], sorted(FUNCTIONS), n=1, cutoff=0.75)
        return f"unknown function '{unknown[1]}'" + (f" (did you mean '{close[0]}'?)" if close else "")
    return "not a PromQL expression" if text == "invalid promql query" or not text else text


def _offset_of(tokens: tuple[Token, ...], message: str) -> int:
    """The token that an error message of the parser is about, as far as can be told."""
    named = re.findall(r"'([^']+)'", message)
    if "instant vector types" in message:
        named.append("[")
    for name in reversed(named):
        for token in tokens:
            if token.text == name:
                return token.offset
    for before, token in pairwise(tokens):
        both = before.text in _OPERATORS and before.kind != "string"
        if both and token.kind == "sign" and token.text not in "+-({":
            return token.offset
    if tokens[-1].text in _OPERATORS and tokens[-1].kind != "string":
        return tokens[-1].offset
    return tokens[0].offset
