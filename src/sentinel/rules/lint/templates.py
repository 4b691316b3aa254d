"""What a template reads of its alert."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sentinel.rules.rule import VARIABLES
from sentinel.rules.template import parse_template
from sentinel.rules.template.nodes import (
    Action,
    Branch,
    Constant,
    Dot,
    Function,
    Node,
    Parenthesis,
    Pipeline,
    Variable,
)
from sentinel.rules.texts import VOLATILE


def reads_value(template: str) -> bool:
    """Its text may differ although the labels are the same."""
    return bool(parse_template(template, VARIABLES).reads & VOLATILE)


def labels_in(template: str) -> Iterator[tuple[str, int]]:
    """Labels of the alert that it names, each once, with the character where."""
    for name in dict.fromkeys(_named(parse_template(template, VARIABLES).nodes, is_root=True)):
        found = re.search(rf"abels\.{re.escape(name)}\b|\"{re.escape(name)}\"", template)
        yield name, found.start() if found else 0


def _named(nodes: Sequence[Node], *, is_root: bool) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Action):
            yield from _in_pipeline(node.pipeline, is_root=is_root)
        elif isinstance(node, Branch):
            yield from _in_pipeline(node.pipeline, is_root=is_root)
            # The dot of with and range is another.
            yield from _named(node.body, is_root=is_root and node.word == "if")
            yield from _named(node.otherwise, is_root=is_root)


def _in_pipeline(pipeline: Pipeline, *, is_root: bool) -> Iterator[str]:
    for command in pipeline.commands:
        for operand in (command.first, *command.arguments):
            match operand:
                case Variable("$labels", (name, *_)) | Variable("$", ("Labels", name, *_)):
                    yield name
                case Dot(("Labels", name, *_)) if is_root:
                    yield name
                case Parenthesis(inner, _):
                    yield from _in_pipeline(inner, is_root=is_root)
        match (command.first, command.arguments):
            case (Function(name="index"), (Variable("$labels", ()), Constant(str(name)))):
                yield name
