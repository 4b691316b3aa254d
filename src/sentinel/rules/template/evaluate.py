"""Expands a parsed template, counting steps and output."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sentinel.rules.template.errors import ExpansionError, TemplateSyntaxError
from sentinel.rules.template.functions import LAZY, QUERIES, SETTINGS, Call, builtin_functions, setting
from sentinel.rules.template.nodes import (
    Action,
    Branch,
    Command,
    Constant,
    Dot,
    Function,
    Node,
    Operand,
    Parenthesis,
    Pipeline,
    Text,
    Variable,
)
from sentinel.rules.template.parser import parse
from sentinel.rules.template.values import Struct, field_of, is_true, show, type_name

__all__ = ["Struct", "Template", "parse_template"]

MAX_STEPS = 20_000
MAX_OUTPUT = 64 * 1024

_FUNCTIONS = builtin_functions()
_NAMES = frozenset(_FUNCTIONS) | QUERIES | SETTINGS

Query = Callable[[str], Sequence[Struct]]


@dataclass(frozen=True, slots=True)
class Template:
    """A template ready to expand."""

    text: str
    nodes: tuple[Node, ...]
    reads: frozenset[str]
    """Fields of the data and variables that it names, functions that ask for more: "Labels", "$value", "query"."""
    constant: str | None
    """The result where nothing has to be expanded."""

    def expand(self, data: Struct, variables: Mapping[str, object], query: Query) -> str:
        """The text with its actions replaced.

        Raises:
            ExpansionError: a wrong type, a failed query, or more work than the bounds allow.
        """
        if self.constant is not None:
            return self.constant
        return _Expansion({"$": data, **variables}, query).text(self.nodes, data)


def parse_template(text: str, variables: Iterable[str] = ()) -> Template:
    """A template that may use these variables (written with their $).

    Raises:
        TemplateSyntaxError: wrong, or not supported.
    """
    if "{{" not in text:
        return Template(text, (Text(text),), frozenset(), text)
    nodes = parse(text, _NAMES, tuple(variables))
    for command in _commands(nodes):
        _check_arity(command)
    return Template(text, nodes, frozenset(_reads(nodes)), None)


def _pipelines(nodes: Iterable[Node]) -> Iterator[Pipeline]:
    for node in nodes:
        if isinstance(node, Action):
            yield node.pipeline
        elif isinstance(node, Branch):
            yield node.pipeline
            yield from _pipelines(node.body)
            yield from _pipelines(node.otherwise)


def _within(pipeline: Pipeline) -> Iterator[tuple[Command, bool]]:
    """Its commands and those in parentheses, each with whether a value is piped in."""
    for position, command in enumerate(pipeline.commands):
        yield command, position > 0
        for operand in (command.first, *command.arguments):
            if isinstance(operand, Parenthesis):
                yield from _within(operand.pipeline)


def _commands(nodes: Iterable[Node]) -> Iterator[tuple[Command, bool]]:
    for pipeline in _pipelines(nodes):
        yield from _within(pipeline)


def _check_arity(item: tuple[Command, bool]) -> None:
    """Refuses calls with too few or too many arguments: they would fail at every expansion."""
    command, is_piped = item
    for operand in command.arguments:
        if isinstance(operand, Function):
            _check_call(operand, 0)
    if isinstance(command.first, Function):
        _check_call(command.first, len(command.arguments) + is_piped)


def _check_call(function: Function, count: int) -> None:
    least, most = _bounds(function.name)
    if function.name in LAZY:
        least = 1
    if count < least or (most is not None and count > most):
        wanted = (
            str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        )
        raise TemplateSyntaxError(
            function.offset, f"wrong number of arguments for {function.name}: want {wanted}, got {count}"
        )


def _bounds(name: str) -> tuple[int, int | None]:
    """Fewest and most arguments."""
    if name in QUERIES:
        return 1, 1
    return (0, 0) if name in SETTINGS else _arity(_FUNCTIONS[name])


def _arity(call: Call) -> tuple[int, int | None]:
    parameters = inspect.signature(call).parameters.values()
    fixed = sum(parameter.kind is not parameter.VAR_POSITIONAL for parameter in parameters)
    return fixed, None if fixed < len(parameters) else fixed


def _reads(nodes: Iterable[Node]) -> Iterator[str]:
    for command, _ in _commands(nodes):
        for operand in (command.first, *command.arguments):
            if isinstance(operand, Function) and operand.name in QUERIES:
                yield operand.name
            elif isinstance(operand, Dot):
                yield operand.fields[0] if operand.fields else "."
            elif isinstance(operand, Variable):
                root = operand.name == "$"
                yield (operand.fields[0] if operand.fields else ".") if root else operand.name


class _BreakError(Exception):
    pass


class _ContinueError(Exception):
    pass


class _Expansion:
    """One run. Variables are a stack, so that those of a block end with it."""

    def __init__(self, variables: Mapping[str, object], query: Query) -> None:
        self._variables: list[tuple[str, object]] = list(variables.items())
        self._query = query
        self._steps = 0
        self._length = 0
        self._parts: list[str] = []

    def text(self, nodes: Sequence[Node], dot: object) -> str:
        self._walk(nodes, dot)
        return "".join(self._parts)

    def _walk(self, nodes: Sequence[Node], dot: object) -> None:
        for node in nodes:
            self._step()
            if isinstance(node, Text):
                self._write(node.text)
            elif isinstance(node, Action):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.names:
                    self._write(show(value))
            elif isinstance(node, Branch):
                self._branch(node, dot)
            else:
                raise _BreakError if node.word == "break" else _ContinueError

    def _branch(self, node: Branch, dot: object) -> None:
        scope = len(self._variables)
        if node.word == "range":
            self._range(node, dot)
        else:
            value = self._pipeline(node.pipeline, dot)
            inner = value if node.word == "with" and is_true(value) else dot
            try:
                self._walk(node.body if is_true(value) else node.otherwise, inner)
            finally:
                del self._variables[scope:]
        del self._variables[scope:]

    def _range(self, node: Branch, dot: object) -> None:
        scope = len(self._variables)
        names = node.pipeline.names
        value = self._commands(node.pipeline, dot)
        items = _items(value)
        if not items:
            self._walk(node.otherwise, dot)
            return
        for key, item in items:
            self._step()
            given = (key, item) if len(names) == 2 else (item,)
            for name, one in zip(names, given, strict=False):
                self._set(name, one, declares=node.pipeline.declares)
            try:
                self._walk(node.body, item)
            except _ContinueError:
                continue
            except _BreakError:
                break
            finally:
                del self._variables[scope:]

    def _pipeline(self, pipeline: Pipeline, dot: object) -> object:
        value = self._commands(pipeline, dot)
        for name in pipeline.names:
            self._set(name, value, declares=pipeline.declares)
        return value

    def _commands(self, pipeline: Pipeline, dot: object) -> object:
        piped: tuple[object, ...] = ()
        for command in pipeline.commands:
            piped = (self._command(command, dot, piped),)
        return piped[0]

    def _set(self, name: str, value: object, *, declares: bool) -> None:
        if not declares:
            for position in range(len(self._variables) - 1, -1, -1):
                if self._variables[position][0] == name:
                    self._variables[position] = (name, value)
                    return
        self._variables.append((name, value))

    def _command(self, command: Command, dot: object, piped: tuple[object, ...]) -> object:
        self._step()
        if not isinstance(command.first, Function):
            return self._operand(command.first, dot)
        name = command.first.name
        if name in LAZY:
            return self._decide(name, command.arguments, dot, piped)
        values = [self._operand(argument, dot) for argument in command.arguments]
        return self._call(name, *values, *piped)

    def _decide(
        self, name: str, operands: tuple[Operand, ...], dot: object, piped: tuple[object, ...]
    ) -> object:
        value: object = None
        for operand in operands:
            value = self._operand(operand, dot)
            if is_true(value) == (name == "or"):
                return value
        return piped[0] if piped else value

    def _operand(self, operand: Operand, dot: object) -> object:
        match operand:
            case Constant(value):
                return value
            case Dot(fields):
                return self._fields(dot, fields)
            case Variable(name, fields):
                return self._fields(self._variable(name), fields)
            case Parenthesis(pipeline, fields):
                return self._fields(self._pipeline(pipeline, dot), fields)
            case Function(name):
                return self._call(name)

    def _call(self, name: str, *values: object) -> object:
        if name in SETTINGS:
            return setting(name, str(self._variable("$externalURL")))
        if name in QUERIES:
            if not isinstance(values[0], str):
                raise ExpansionError(f"wrong type for value; expected string; got {type_name(values[0])}")
            self._step(100)
            return tuple(self._query(values[0]))
        result = _FUNCTIONS[name](*values)
        if isinstance(result, str) and len(result) > MAX_OUTPUT:
            raise ExpansionError(f"more than {MAX_OUTPUT} characters")
        return result

    def _fields(self, value: object, names: tuple[str, ...]) -> object:
        for name in names:
            value = field_of(value, name)
        return value

    def _variable(self, name: str) -> object:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise ExpansionError(f"undefined variable {name}")

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > MAX_STEPS:
            raise ExpansionError(f"more than {MAX_STEPS} steps")

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_OUTPUT:
            raise ExpansionError(f"more than {MAX_OUTPUT} characters")
        self._parts.append(text)


def _items(value: object) -> list[tuple[object, object]]:
    """What range goes over, with keys: maps in the order of their keys."""
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(enumerate(value))
    if value is None:
        return []
    raise ExpansionError(f"range can't iterate over {type_name(value)}")
