"""`sentinel query`: PromQL against the running daemon."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sentinel.cli.client import DEFAULT_URL, Daemon, UrlOption
from sentinel.cli.output import Output, OutputOption, labels_text, moment, show, show_json


def query(  # noqa: PLR0917  typer reads the options off the signature
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="A PromQL expression.")],
    time: Annotated[str, typer.Option(help="When: Unix seconds or RFC 3339; else now.")] = "",
    range: Annotated[str, typer.Option(help="How far back from then, such as 1h: a range query.")] = "",
    step: Annotated[str, typer.Option(help="Between two points of a range query.")] = "1m",
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """Evaluate an expression. Exit status 1: it yields nothing."""
    daemon = Daemon(url)
    if range:
        data = _ask_range(daemon, expression, time, range, step)
    else:
        form = {"query": expression} | ({"time": time} if time else {})
        data = daemon.ask_prometheus("/api/v1/query", form)
    if output is Output.JSON:
        show_json(data)
    else:
        _tell(data)
    if not data["result"]:
        raise typer.Exit(1)


def _ask_range(daemon: Daemon, expression: str, time: str, back: str, step: str) -> Any:
    import time as clock

    from sentinel.cli.config import fail
    from sentinel.model.durations import parse_duration
    from sentinel.web.formats import parse_instant

    try:
        end = parse_instant(time) if time else clock.time()
        start = end - parse_duration(back)
    except ValueError as error:
        fail(str(error), 2)
    form = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": step}
    return daemon.ask_prometheus("/api/v1/query_range", form)


def _tell(data: Any) -> None:
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        typer.echo(result[1])
        return
    if kind == "vector":
        rows = [item | {"shown": item["value"][1]} for item in result]
    else:
        rows = [item | {"at": at, "shown": value} for item in result for at, value in item["values"]]
    columns = [("Series", lambda row: series_text(row["metric"])), ("Value #", lambda row: row["shown"])]
    if kind == "matrix":
        columns.insert(1, ("At", lambda row: moment(row["at"])))
    show(rows, columns, Output.TABLE, empty="nothing")


def series_text(metric: dict[str, str]) -> str:
    """name{label="value", …}"""
    inner = labels_text(metric, without=("__name__",))
    return f"{metric.get('__name__', '')}{{{inner}}}"
