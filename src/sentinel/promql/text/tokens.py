"""The words and signs of an expression, with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sentinel.promql.errors import ExpressionError

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


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    offset: int


def tokens_of(text: str) -> list[Token]:
    """
    Raises:
        ExpressionError: a character or string that is not of the language.
    """
    tokens: list[Token] = []
    position = brackets = 0
    while position < len(text):
        # Between brackets stand durations, where a colon is no part of a name.
        is_colon = brackets > 0 and text[position] == ":"
        match = None if is_colon else _TOKEN.match(text, position)
        if is_colon:
            tokens.append(Token("sign", ":", position))
            position += 1
            continue
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
        brackets += (match[0] == "[") - (match[0] == "]")
        position = match.end()
    return tokens
