"""Tokens of a template. Source of the grammar: Go's text/template documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sentinel.rules.template.errors import TemplateSyntaxError

MAX_LENGTH = 16 * 1024
_SPACE = " \t\r\n"

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\[^\n])+')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))
    | (?P<field>\.[^\W\d]\w*)
    | (?P<variable>\$\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<declare>:=)
    | (?P<assign>=)
    | (?P<dot>\.)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<pipe>\|)
    | (?P<comma>,)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    offset: int
    is_spaced: bool = False
    """White space stands before it: `.a.b` is one field, `.a .b` are two."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of plain text, or one action's tokens."""

    text: str
    tokens: tuple[Token, ...] | None
    offset: int
    end: int = 0
    """Of an action: the offset of its closing braces."""


def pieces(text: str) -> Iterator[Piece]:
    """The template's texts and actions in order, with trim markers and comments already applied.

    Raises:
        TemplateSyntaxError: an unclosed action or comment, or a character that no token starts with.
    """
    if len(text) > MAX_LENGTH:
        raise TemplateSyntaxError(MAX_LENGTH, f"template is longer than {MAX_LENGTH} characters")
    position, trims_next = 0, False
    while True:
        start = text.find("{{", position)
        plain = text[position : start if start >= 0 else len(text)]
        if trims_next:
            plain = plain.lstrip(_SPACE)
        trims = (
            start >= 0 and text[start + 2 : start + 3] == "-" and text[start + 3 : start + 4] in tuple(_SPACE)
        )
        if trims:
            plain = plain.rstrip(_SPACE)
        if plain:
            yield Piece(plain, None, position)
        if start < 0:
            return
        inside = start + (4 if trims else 2)
        if text.startswith("/*", inside):
            position, trims_next = _after_comment(text, inside, start)
            continue
        tokens, closing, position, trims_next = _action(text, inside, start)
        yield Piece("", tokens, start, closing)


def _after_comment(text: str, inside: int, start: int) -> tuple[int, bool]:
    end = text.find("*/", inside + 2)
    if end < 0:
        raise TemplateSyntaxError(start, "unclosed comment")
    end += 2
    if text.startswith("}}", end):
        return end + 2, False
    if re.match(r"[ \t\r\n]-}}", text[end : end + 4]):
        return end + 4, True
    raise TemplateSyntaxError(end, "comment ends before closing delimiter")


def _action(text: str, inside: int, start: int) -> tuple[tuple[Token, ...], int, int, bool]:
    """Tokens up to the closing braces, where those are, where the text goes on, and whether it is trimmed."""
    tokens: list[Token] = []
    position, is_spaced = inside, False
    while position < len(text):
        if text.startswith("}}", position):
            return tuple(tokens), position, position + 2, False
        if is_spaced and text.startswith("-}}", position):
            return tuple(tokens), position, position + 3, True
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            quote = text[position] in "\"'`"
            what = "unterminated quoted string" if quote else f"unexpected {text[position]!r} in action"
            raise TemplateSyntaxError(position, what)
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup, match.group(), position, is_spaced))
        is_spaced = match.lastgroup == "space"
        position = match.end()
    raise TemplateSyntaxError(start, "unclosed action")
