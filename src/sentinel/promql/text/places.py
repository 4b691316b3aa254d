"""Where the arguments of calls stand in the text: the parser's tree does not say."""

from __future__ import annotations

from typing import Final

from sentinel.promql.text.rewrite import RENAMED
from sentinel.promql.text.source import Parsed

_OLD: Final = {new: old for old, new in RENAMED.items()}


class Places:
    """Looked up in the order in which calls stand in the text, outer before inner."""

    def __init__(self, parsed: Parsed) -> None:
        self._parsed = parsed
        self._called = -1
        """Token of the call that was looked up last."""

    def call(self, function: str) -> str:
        """Line:column of the next call of that function."""
        self.first(function)
        return self._of(self._called)

    def first(self, function: str) -> str:
        """The same of its first argument."""
        tokens = self._parsed.tokens
        names = (function, _OLD.get(function, function))
        for number in range(self._called + 1, len(tokens)):
            if tokens[number].kind == "word" and tokens[number].text in names:
                self._called = number
                break
        opening = self._called + 1
        if opening < len(tokens) and tokens[opening].text in ("by", "without"):
            closing = (n for n in range(opening, len(tokens)) if tokens[n].text == ")")
            opening = next(closing, opening) + 1
        return self._of(opening + 1)

    def second(self) -> str:
        """The same of the second argument of the call that was looked up last."""
        depth = 0
        for number in range(self._called + 1, len(self._parsed.tokens)):
            token = self._parsed.tokens[number]
            if token.kind != "sign":
                continue
            depth += token.text in "([{"
            depth -= token.text in ")]}"
            if token.text == "," and depth == 1:
                return self._of(number + 1)
        return self._of(self._called)

    def _of(self, number: int) -> str:
        tokens = self._parsed.tokens
        offset = tokens[min(number, len(tokens) - 1)].offset
        before = self._parsed.text[:offset]
        return f"{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"
