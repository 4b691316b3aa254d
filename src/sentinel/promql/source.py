"""The text of an expression: what has to be seen to before the parser may have it.

The parser (promql-parser) can crash on deep input, reads some forms wrongly and gives no positions, so the text is
split into tokens here first. Its limits: https://docs.rs/promql-parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import promql_parser

from sentinel.promql.errors import ExpressionError

MAX_LENGTH: Final = 4096
MAX_NESTING: Final = 100
MAX_OPERATORS: Final = 400
_FIRST_ANCHOR: Final = 250_000_000_000
"""Instants written after @ are replaced by this plus a number: the parser reads negative ones as 0."""

_LAST_INSTANT: Final = 1e11

_LONGEST_DURATION: Final = 1 << 53
"""Milliseconds."""

_TOKEN: Final = re.compile(
    r"""(?P<space>[\s]+|\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<number>0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|(?:\d+(?:ms|[smhdwy]))+
        |(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<sign>=~|!~|==|!=|<=|>=|[-+*/%^<>=@(){}\[\],:])""",
    re.VERBOSE,
)
_BYTE_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?:x[89a-fA-F]|[23][0-7]{2})")
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_OPERATORS: Final = frozenset(
    ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "and", "or", "unless", "atan2"]
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Parsed:
    text: str
    """As people wrote it."""
    tokens: tuple[Token, ...]
    tree: Any
    anchors: tuple[float, ...]
    """Instants after @, in the order of the text."""

    def anchor(self, instant: float) -> float:
        """The instant that was written where the parser read this one."""
        return self.anchors[round(instant) - _FIRST_ANCHOR]

    def offset_of(self, word: str, following: str = "") -> int:
        """Where a word first stands, followed by that sign if one is given; 0 if nowhere."""
        for token, after in zip(self.tokens, (*self.tokens[1:], Token("end", "", 0)), strict=True):
            if token.text == word and after.text.startswith(following):
                return token.offset
        return 0


def parse(text: str) -> Parsed:
    """
    Raises:
        ExpressionError: not an expression, or beyond what the parser can take.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH, f"expression longer than {MAX_LENGTH} characters")
    tokens = tuple(_tokens(text))
    if not tokens:
        raise ExpressionError(0, "no expression found")
    _check_nesting(tokens)
    rewritten, anchors = _rewritten(tokens)
    try:
        tree = promql_parser.parse(rewritten)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - the parser's panics are no Exception
        raise ExpressionError(_offset_of(tokens, str(error)), _described(error)) from None
    return Parsed(text, tokens, tree, anchors)


def _tokens(text: str) -> list[Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            character = text[position]
            what = "unterminated string" if character in "\"'`" else f"unexpected character {character!r}"
            raise ExpressionError(position, what)
        if match.lastgroup == "string" and match[0][0] != "`" and _BYTE_ESCAPE.search(match[0]):
            raise ExpressionError(
                position, "a string may not name single bytes beyond ASCII; write the character"
            )
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match[0], position))
        position = match.end()
    return tokens


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


def _rewritten(tokens: tuple[Token, ...]) -> tuple[str, tuple[float, ...]]:
    """The text for the parser: backticks quoted, instants after @ numbered, numbers in forms that it knows."""
    parts: list[str] = []
    anchors: list[float] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.kind == "string" and token.text.startswith("`"):
            inner = token.text[1:-1].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            parts.append(f'"{inner}"')
        elif token.text == "@" and token.kind == "sign":
            sign = 1.0
            following = position
            while following < len(tokens) and tokens[following].text in ("-", "+"):
                sign = -sign if tokens[following].text == "-" else sign
                following += 1
            if following < len(tokens) and tokens[following].kind == "number":
                parts.append(f"@ {_FIRST_ANCHOR + len(anchors)}")
                anchors.append(sign * _instant(tokens[following]))
                position = following + 1
            elif (
                following < len(tokens)
                and tokens[following].text in ("start", "end")
                and following == position
            ):
                parts.append("@")
            else:
                raise ExpressionError(token.offset, "'@' needs an instant in Unix seconds, start() or end()")
        elif token.kind == "number":
            parts.append(_number(tokens, position - 1))
        else:
            parts.append(token.text)
    return _spaced(parts), tuple(anchors)


def _spaced(parts: list[str]) -> str:
    """With a space between tokens, which no form of the language minds."""
    return " ".join(parts)


def _instant(token: Token) -> float:
    try:
        text = token.text.replace("_", "")
        instant = float(int(text, 16)) if text[:2] in ("0x", "0X") else float(text)
    except ValueError:
        instant = _LAST_INSTANT
    if instant >= _LAST_INSTANT:
        raise ExpressionError(token.offset, f"not an instant in Unix seconds: {token.text}")
    return instant


def _number(tokens: tuple[Token, ...], position: int) -> str:
    """As the parser reads it: without underscores, and durations whose fractions it would cut off in milliseconds.

    Raises:
        ExpressionError: a duration too short or too long.
    """
    token = tokens[position]
    text = token.text.replace("_", "")
    before = tokens[position - 1].text if position else ""
    if before not in ("[", ":", "offset") or not re.search(r"[.eE]", text) or text[:2] in ("0x", "0X"):
        return text
    milliseconds = round(float(text) * 1000)
    if not 0 <= milliseconds < _LONGEST_DURATION:
        raise ExpressionError(token.offset, f"not a duration: {token.text}")
    return f"{milliseconds}ms"


def _described(error: BaseException) -> str:
    text = str(error)
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
