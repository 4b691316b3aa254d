"""The text that the parser gets: forms that it does not know, or reads wrongly, are put into forms that it does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from sentinel.promql.errors import ExpressionError
from sentinel.promql.text.durations import Query, follows_query, is_plain, milliseconds_of, seconds_of
from sentinel.promql.text.tokens import Token

FIRST_ANCHOR: Final = 250_000_000_000
"""Instants written after @ are replaced by this plus a number: the parser reads negative ones as 0."""

STYLE: Final = "\ue000style"
"""Label of a matcher by which the parser's tree tells that a word stood behind a selector: x[5m] anchored."""

LAST_INSTANT: Final = 1e11

_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2", "bool"})
RENAMED: Final = {"holt_winters": "double_exponential_smoothing"}
"""Functions that Prometheus 3 calls by another name than Prometheus 2, for whose rules both are read."""

PLAIN: Final = "plain"
"""That no word stands there."""

_STYLES: Final = frozenset({"anchored", "smoothed"})


@dataclass(slots=True)
class Rewriter:
    """Reads the tokens once, left to right."""

    tokens: tuple[Token, ...]
    query: Query
    parts: list[str] = field(default_factory=list)
    anchors: list[float] = field(default_factory=list)
    """Instants after @, in the order of the text."""
    follows_query: bool = False
    """A duration depends on the query's step or range."""
    _position: int = 0

    def text(self) -> str:
        """
        Raises:
            ExpressionError: a duration, an instant or a word in a place where it cannot be.
        """
        while self._position < len(self.tokens):
            token = self.tokens[self._position]
            self._position += 1
            if token.kind == "string" and token.text.startswith("`"):
                inner = token.text[1:-1].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                self.parts.append(f'"{inner}"')
            elif token.kind == "sign" and token.text == "@":
                self._anchor(token)
            elif token.kind == "sign" and token.text == "[":
                self._brackets(token)
            elif token.text == "{" and self.parts and self.parts[-1] == ",":
                # Matchers of info() may all be ones that the parser does not take for a selector.
                self.parts += ["{", f'"{STYLE}" = "{PLAIN}"', *([] if self._peek().text == "}" else [","])]
            elif token.kind == "word" and token.text.lower() == "offset" and self._has_operand_before():
                self._offset()
            elif token.kind == "word" and token.text.lower() in _STYLES and self._has_selector_before():
                self._mark(token, len(self.parts))
            elif token.kind == "word" and token.text in RENAMED and self._peek().text == "(":
                self.parts.append(RENAMED[token.text])
            else:
                self.parts.append(token.text.replace("_", "") if token.kind == "number" else token.text)
        # A space between tokens is what no form of the language minds.
        return " ".join(self.parts)

    def _peek(self, ahead: int = 0) -> Token:
        place = self._position + ahead
        return self.tokens[place] if place < len(self.tokens) else Token("end", "", self.tokens[-1].offset)

    def _has_operand_before(self) -> bool:
        """Otherwise the word is a metric's or a label's name."""
        before = self.tokens[self._position - 2] if self._position > 1 else Token("end", "", 0)
        if before.kind == "word":
            return before.text.lower() not in _OPERATORS
        return before.kind == "number" or before.text in ("}", "]", ")")

    def _has_selector_before(self) -> bool:
        before = self.tokens[self._position - 2] if self._position > 1 else Token("end", "", 0)
        return before.text == "}" or (before.kind == "word" and self._has_operand_before())

    def _anchor(self, sign: Token) -> None:
        factor, ahead = 1.0, 0
        while self._peek(ahead).text in ("-", "+"):
            factor = -factor if self._peek(ahead).text == "-" else factor
            ahead += 1
        given = self._peek(ahead)
        if given.kind == "number":
            self.parts.append(f"@ {FIRST_ANCHOR + len(self.anchors)}")
            self.anchors.append(factor * _instant(given))
            self._position += ahead + 1
        elif given.text in ("start", "end") and not ahead:
            self.parts.append("@")
        else:
            raise ExpressionError(sign.offset, "'@' needs an instant in Unix seconds, start() or end()")

    def _brackets(self, opening: Token) -> None:
        inner = self._until_bracket()
        colons = [place for place, token in enumerate(inner) if token.text == ":"]
        if not inner:
            raise ExpressionError(opening.offset, "expected a duration, such as [5m]")
        if len(colons) > 1:
            raise ExpressionError(inner[colons[1]].offset, "unexpected ':'")
        range_ = inner[: colons[0]] if colons else inner
        if not range_:
            raise ExpressionError(inner[0].offset, "expected a duration, such as [30m:1m]")
        end = len(self.parts)
        self.parts += ["[", _written(self._positive(range_))]
        if colons:
            step = inner[colons[0] + 1 :]
            self.parts.append(":")
            if step:
                self.parts.append(_written(self._positive(step)))
        self.parts.append("]")
        word = self._peek()
        if word.kind == "word" and word.text.lower() in _STYLES:
            self._position += 1
            if colons:
                raise ExpressionError(
                    word.offset, f"'{word.text}' stands behind x[5m], not behind a subquery"
                )
            self._mark(word, end)

    def _mark(self, word: Token, end: int) -> None:
        """Put a matcher into the selector that ends there."""
        before = self.parts[end - 1] if end else ""
        matcher = f'"{STYLE}" = "{word.text.lower()}"'
        if before == "}":
            separator = [] if self.parts[end - 2] in ("{", ",") else [","]
            self.parts[end - 1 : end - 1] = [*separator, matcher]
        elif re.fullmatch(r"[A-Za-z_:][A-Za-z0-9_:]*", before):
            self.parts[end:end] = ["{", matcher, "}"]
        else:
            raise ExpressionError(word.offset, f"'{word.text}' stands behind a selector: x[5m] {word.text}")

    def _until_bracket(self) -> tuple[Token, ...]:
        first = self._position
        while self._peek().text != "]":
            if self._peek().kind == "end":
                raise ExpressionError(self.tokens[first - 1].offset, "'[' is never closed")
            self._position += 1
        inner = self.tokens[first : self._position]
        self._position += 1
        return inner

    def _positive(self, tokens: tuple[Token, ...]) -> int:
        milliseconds = self._milliseconds(tokens)
        if milliseconds <= 0:
            raise ExpressionError(tokens[0].offset, "duration must be greater than 0")
        return milliseconds

    def _milliseconds(self, tokens: tuple[Token, ...]) -> int:
        self.follows_query |= follows_query(tokens)
        return milliseconds_of(tokens, self.query)

    def _offset(self) -> None:
        """After `offset`, only what is in parentheses is arithmetic: `x offset 5m * 2` multiplies x."""
        first = self._position
        while self._peek().text in ("-", "+"):
            self._position += 1
        given = self._peek()
        if given.text == "(":
            self._skip_parentheses()
        elif given.kind == "word" and self._peek(1).text == "(":
            self._position += 1
            self._skip_parentheses()
        elif given.kind == "number":
            self._position += 1
        else:
            # A metric of that name, or a mistake that the parser will find.
            self.parts.append(self.tokens[first - 1].text)
            self._position = first
            return
        written = self.tokens[first : self._position]
        if is_plain(written) and not re.search(r"[.eE_]|^0[xX]", written[0].text):
            self.parts += ["offset", written[0].text]
            self._milliseconds(written)
            return
        milliseconds = self._milliseconds(written)
        self.parts += ["offset", f"{'-' if milliseconds < 0 else ''}{_written(abs(milliseconds))}"]

    def _skip_parentheses(self) -> None:
        depth = 0
        while True:
            depth += (self._peek().text == "(") - (self._peek().text == ")")
            self._position += 1
            if depth == 0:
                return


def _instant(token: Token) -> float:
    instant = seconds_of(token)
    if instant >= LAST_INSTANT:
        raise ExpressionError(token.offset, f"not an instant in Unix seconds: {token.text}")
    return instant


def _written(milliseconds: int) -> str:
    """In two units: the parser takes no more than 32 bits of either."""
    seconds, rest = divmod(milliseconds, 1000)
    return "".join([f"{seconds}s" if seconds else "", f"{rest}ms" if rest or not seconds else ""])
