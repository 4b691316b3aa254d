"""`sentinel explain`: why something is as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentinel.cli.config import ConfigPath, fail, problems_told
from sentinel.cli.output import Output, OutputOption, plain, show_json
from sentinel.model.problem import UnusableError

if TYPE_CHECKING:
    from sentinel.config.document import Document, Path
    from sentinel.notify.tree import Step

app = typer.Typer(help="Explain a decision.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Explain a decision."""


@app.command()
def route(
    labels: Annotated[
        str, typer.Argument(metavar="LABELS", help='Labels of an alert: severity="critical",instance="a".')
    ],
    config: ConfigPath,
    output: OutputOption = Output.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
) -> None:
    """Show the way that an alert with these labels takes through the routes, and who is told.

    Needs no daemon. A label that is not given is empty.
    """
    from sentinel.config.notify import routing_problems
    from sentinel.config.settings import load_document
    from sentinel.notify.tree import Route

    wanted = _labels(labels)
    with problems_told():
        settings, document = load_document(config)
        problems = routing_problems(document, settings.route, settings.receiver, settings.time_interval)
        if problems:
            raise UnusableError(problems)
    if settings.route is None:
        fail("there is no [route]: incidents are opened and nobody is told")
    step = Route.of(settings.route).walk(wanted)
    if as_json or output is Output.JSON:
        answer = {"labels": wanted, "receivers": list(step.receivers)}
        show_json(answer | {"route": _shown(step, ("route",), document, wanted)})
        return
    for line in _lines(step, ("route",), document, wanted):
        typer.echo(plain(line))
    typer.echo(plain(f"receivers: {', '.join(step.receivers)}"))


def _labels(text: str) -> dict[str, str]:
    from sentinel.config.matchers import parse_matchers

    found: dict[str, str] = {}
    if not text.strip():
        return found
    try:
        matchers = parse_matchers(text)
    except ValueError as error:
        fail(str(error), 2)
    for matcher in matchers:
        if matcher.operator != "=":
            fail(f'{matcher} is not a label: write {matcher.name}="value"', 2)
        if found.setdefault(matcher.name, matcher.value) != matcher.value:
            fail(f"the label '{matcher.name}' is given twice", 2)
    return found


def _lines(step: Step, path: Path, document: Document, labels: Mapping[str, str]) -> Iterator[str]:
    """A line for each route, indented as deep as it is."""
    place = document.place(path)
    matchers = ", ".join(str(matcher) for matcher in step.route.matchers)
    name = (matchers or "everything") + (" (continue)" if step.route.continues else "")
    told = {
        "takes": f"takes it: {step.route.receiver}",
        "passes": "matches; see below",
        "refuses": f"no: {_why(step, labels)}",
        "skipped": "not looked at",
    }[step.turn.value]
    indent = "  " * (len(path) // 2)
    yield f"{document.file}:{place.line}:  {indent}{name}  – {told}"
    for index, below in enumerate(step.below):
        yield from _lines(below, (*path, "routes", index), document, labels)


def _why(step: Step, labels: Mapping[str, str]) -> str:
    return ", ".join(
        f'{matcher.name} is "{labels[matcher.name]}"'
        if matcher.name in labels
        else f"{matcher.name} is missing"
        for matcher in step.missed
    )


def _shown(step: Step, path: Path, document: Document, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "line": document.place(path).line,
        "receiver": step.route.receiver,
        "matchers": [str(matcher) for matcher in step.route.matchers],
        "continue": step.route.continues,
        "turn": step.turn.value,
        "missed": [
            {"matcher": str(matcher), "value": labels.get(matcher.name, "")} for matcher in step.missed
        ],
        "routes": [
            _shown(below, (*path, "routes", index), document, labels)
            for index, below in enumerate(step.below)
        ],
    }
