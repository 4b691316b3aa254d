"""Tokens → nodes. Everything that can be known without data is refused here, at its offset."""

from __future__ import annotations

import re
from collections.abc import Collection

from sentinel.model.problem import did_you_mean
from sentinel.rules.template.errors import TemplateSyntaxError
from sentinel.rules.template.lexer import Piece, Token, pieces
from sentinel.rules.template.nodes import (
    Action,
    Branch,
    Command,
    Constant,
    Dot,
    Function,
    Jump,
    Node,
    Operand,
    Parenthesis,
    Pipeline,
    Text,
    Variable,
)

MAX_DEPTH = 50
_UNSUPPORTED = {"define", "template", "block"}
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def parse(text: str, functions: Collection[str], variables: Collection[str]) -> tuple[Node, ...]:
    """The nodes of a template.

    Args:
        functions: names that may be called.
        variables: names, with their $, that stand from the start.
    Raises:
        TemplateSyntaxError: at the first thing that is wrong or not supported.
    """
    return _Blocks(text, functions, ["$", *variables]).whole()


class _Blocks:
    """Nesting of if, with, range, else and end."""

    def __init__(self, text: str, functions: Collection[str], variables: list[str]) -> None:
        self._pieces = list(pieces(text))
        self._at = 0
        self._length = len(text)
        self._functions = functions
        self._variables = variables
        self._loops = 0
        self._depth = 0

    def whole(self) -> tuple[Node, ...]:
        body, ending = self._body()
        if ending is not None:
            raise TemplateSyntaxError(_first(ending).offset, f"unexpected {{{{{_first(ending).text}}}}}")
        return body

    def _body(self) -> tuple[tuple[Node, ...], Piece | None]:
        """Nodes up to {{else}} or {{end}} of this level, or to the end of the text."""
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if piece.tokens is None:
                nodes.append(Text(piece.text))
                continue
            if not piece.tokens:
                raise TemplateSyntaxError(piece.offset, "missing value for command")
            word = _first(piece)
            if word.kind == "word" and word.text in ("else", "end"):
                return tuple(nodes), piece
            nodes.append(self._node(piece, word))
        return tuple(nodes), None

    def _node(self, piece: Piece, word: Token) -> Node:
        if word.kind == "word":
            if word.text in ("if", "with", "range"):
                return self._branch(piece, word, start=1)
            if word.text in ("break", "continue"):
                self._check_alone(piece, 1)
                if not self._loops:
                    raise TemplateSyntaxError(word.offset, f"{{{{{word.text}}}}} outside {{{{range}}}}")
                return Jump(word.text)
            if word.text in _UNSUPPORTED:
                raise TemplateSyntaxError(word.offset, f"{word.text} is not supported here")
        return Action(self._pipeline(piece, 0))

    def _branch(self, piece: Piece, word: Token, start: int) -> Branch:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateSyntaxError(word.offset, "nested too deep")
        scope = len(self._variables)
        pipeline = self._pipeline(piece, start, in_range=word.text == "range")
        self._loops += word.text == "range"
        body, ending = self._body()
        self._loops -= word.text == "range"
        if ending is None:
            raise TemplateSyntaxError(word.offset, f"{{{{{word.text}}}}} has no {{{{end}}}}")
        otherwise: tuple[Node, ...] = ()
        if _first(ending).text == "else":
            otherwise = self._otherwise(ending, word)
        else:
            self._check_alone(ending, 1)
        del self._variables[scope:]
        self._depth -= 1
        return Branch(word.text, pipeline, body, otherwise)

    def _otherwise(self, piece: Piece, word: Token) -> tuple[Node, ...]:
        tokens = piece.tokens or ()
        if len(tokens) > 1 and tokens[1].text == "if" and word.text == "if":
            return (self._branch(piece, tokens[1], start=2),)
        self._check_alone(piece, 1)
        body, ending = self._body()
        if ending is None:
            raise TemplateSyntaxError(word.offset, f"{{{{{word.text}}}}} has no {{{{end}}}}")
        if _first(ending).text == "else":
            raise TemplateSyntaxError(_first(ending).offset, "expected {{end}}, found {{else}}")
        self._check_alone(ending, 1)
        return body

    def _check_alone(self, piece: Piece, words: int) -> None:
        tokens = piece.tokens or ()
        if len(tokens) > words:
            raise TemplateSyntaxError(tokens[words].offset, f"unexpected {tokens[words].text!r}")

    def _pipeline(self, piece: Piece, start: int, *, in_range: bool = False) -> Pipeline:
        reader = _Commands(piece, start, self._functions, self._variables)
        pipeline = reader.pipeline(in_range=in_range)
        reader.check_end()
        if pipeline.declares:
            self._variables.extend(pipeline.names)
        return pipeline


class _Commands:
    """What stands inside one action."""

    def __init__(
        self, piece: Piece, start: int, functions: Collection[str], variables: Collection[str]
    ) -> None:
        self._tokens = piece.tokens or ()
        self._end = piece.end
        self._at = start
        self._depth = 0
        self._functions = functions
        self._variables = variables

    def pipeline(self, *, in_range: bool = False) -> Pipeline:
        names, declares = self._declaration(in_range=in_range)
        commands = [self._command(is_later=False)]
        while self._kind() == "pipe":
            self._at += 1
            commands.append(self._command(is_later=True))
        return Pipeline(tuple(commands), names, declares)

    def check_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._unexpected()

    def _declaration(self, *, in_range: bool) -> tuple[tuple[str, ...], bool]:
        kinds = [token.kind for token in self._tokens[self._at : self._at + 4]]
        if kinds[:2] in (["variable", "declare"], ["variable", "assign"]):
            count, mark = 1, self._at + 1
        elif kinds[:3] == ["variable", "comma", "variable"] and kinds[3:] in (["declare"], ["assign"]):
            count, mark = 2, self._at + 3
            if not in_range:
                raise TemplateSyntaxError(self._tokens[self._at + 1].offset, "too many declarations")
        else:
            return (), False
        names = tuple(self._tokens[self._at + 2 * index].text for index in range(count))
        declares = self._tokens[mark].kind == "declare"
        if not declares:
            for index in range(count):
                self._check_variable(self._tokens[self._at + 2 * index])
        self._at = mark + 1
        return names, declares

    def _command(self, *, is_later: bool) -> Command:
        offset = self._offset()
        operands: list[Operand] = []
        while self._kind() not in (None, "pipe", "close"):
            if operands and not self._tokens[self._at].is_spaced:
                raise self._unexpected()
            operands.append(self._operand())
        if not operands:
            raise TemplateSyntaxError(offset, "missing value for command")
        first = operands[0]
        if is_later and not isinstance(first, Function):
            raise TemplateSyntaxError(offset, "only a function can follow '|'")
        if len(operands) > 1 and not isinstance(first, Function):
            raise TemplateSyntaxError(offset, "can't give argument to non-function")
        return Command(first, tuple(operands[1:]))

    def _operand(self) -> Operand:
        token = self._tokens[self._at]
        self._at += 1
        match token.kind:
            case "field":
                return Dot((token.text[1:], *self._fields()))
            case "dot":
                return Dot(())
            case "variable":
                self._check_variable(token)
                return Variable(token.text, self._fields())
            case "open":
                return self._parenthesis(token)
            case "word":
                return self._word(token)
            case "string" | "raw" | "char" | "number":
                return Constant(_constant(token))
        self._at -= 1
        raise self._unexpected()

    def _parenthesis(self, token: Token) -> Parenthesis:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateSyntaxError(token.offset, "nested too deep")
        inner = self.pipeline()
        if inner.names:
            raise TemplateSyntaxError(token.offset, "no declarations inside parentheses here")
        if self._kind() != "close":
            raise TemplateSyntaxError(token.offset, "unclosed left parenthesis")
        self._at += 1
        self._depth -= 1
        return Parenthesis(inner, self._fields())

    def _word(self, token: Token) -> Operand:
        if token.text in ("true", "false"):
            return Constant(token.text == "true")
        if token.text == "nil":
            raise TemplateSyntaxError(token.offset, "nil is not supported here")
        if token.text not in self._functions:
            hint = did_you_mean(token.text, self._functions)
            raise TemplateSyntaxError(token.offset, f"function '{token.text}' is not known here{hint}")
        return Function(token.text, token.offset)

    def _fields(self) -> tuple[str, ...]:
        names = []
        while self._kind() == "field" and not self._tokens[self._at].is_spaced:
            names.append(self._tokens[self._at].text[1:])
            self._at += 1
        return tuple(names)

    def _check_variable(self, token: Token) -> None:
        if token.text not in self._variables:
            hint = did_you_mean(token.text, self._variables)
            raise TemplateSyntaxError(token.offset, f"undefined variable '{token.text}'{hint}")

    def _kind(self) -> str | None:
        return self._tokens[self._at].kind if self._at < len(self._tokens) else None

    def _offset(self) -> int:
        return self._tokens[self._at].offset if self._at < len(self._tokens) else self._end

    def _unexpected(self) -> TemplateSyntaxError:
        token = self._tokens[self._at]
        return TemplateSyntaxError(token.offset, f"unexpected {token.text!r}")


def _first(piece: Piece) -> Token:
    assert piece.tokens
    return piece.tokens[0]


def _constant(token: Token) -> object:
    if token.kind == "raw":
        return token.text[1:-1].replace("\r", "")
    if token.kind == "string":
        return _unquote(token)
    if token.kind == "char":
        text = _unquote(token)
        if len(text) != 1:
            raise TemplateSyntaxError(token.offset, f"malformed character constant: {token.text}")
        return ord(text)
    return _number(token)


def _unquote(token: Token) -> str:
    def replaced(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] in "xuU":
            return chr(min(int(code[1:], 16), 0x10FFFF))
        if code[0] in "01234567" and len(code) == 3:
            return chr(int(code, 8))
        if code not in _ESCAPES:
            raise TemplateSyntaxError(token.offset + match.start() + 1, f"unknown escape '\\{code}'")
        return _ESCAPES[code]

    return _ESCAPE.sub(replaced, token.text[1:-1])


def _number(token: Token) -> int | float:
    text = token.text.replace("_", "")
    try:
        if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]+", text):
            return int(text, 16)
        if re.fullmatch(r"[+-]?\d+", text):
            return int(text, 8 if re.fullmatch(r"[+-]?0\d+", text) else 10)
        return float(text)
    except ValueError:
        raise TemplateSyntaxError(token.offset, f"bad number: {token.text}") from None
