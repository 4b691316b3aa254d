"""`sentinel topology`: targets, their neighbours, and what hangs on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from sentinel.cli.client import DEFAULT_URL, OWN, Daemon, UrlOption
from sentinel.cli.output import Output, Row, plain, show, show_json

_DASHED = "style=dashed"


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    DOT = "dot"


def topology(
    output: Annotated[
        Form, typer.Option("--output", "-o", help="A table, JSON, or a graph for Graphviz.")
    ] = Form.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """Show the links between targets and their neighbours, as declared and as devices see them."""
    found = Daemon(url).get(f"{OWN}/topology")
    if output is Form.JSON:
        show_json(found)
    elif output is Form.DOT:
        typer.echo(dot(found["nodes"], found["links"]))
    else:
        names = {node["key"]: node["name"] for node in found["nodes"]}
        rows = [link | {"a": names[link["a"]], "b": names[link["b"]]} for link in found["links"]]
        show(
            rows,
            _COLUMNS,
            Output.TABLE,
            empty="no links are known: poll switches with the module lldp or cdp",
        )


def dot(nodes: Sequence[Mapping[str, Any]], links: Sequence[Mapping[str, Any]]) -> str:
    """The graph in Graphviz's language. Whatever devices say is quoted text in it."""
    lines = ["graph topology {", "  node [shape=box];"]
    for node in nodes:
        more = "" if node["is_target"] else f", {_DASHED}"
        colour = ", color=red" if node["state"] == "down" else ""
        lines.append(f"  {_quoted(node['key'])} [label={_quoted(node['name'])}{more}{colour}];")
    for link in links:
        ends = f"{_quoted(link['a'])} -- {_quoted(link['b'])}"
        labels = f"taillabel={_quoted(link['a_port'])}, headlabel={_quoted(link['b_port'])}"
        direction = ", dir=forward" if link["parent"] else ""
        seen = "" if link["is_current"] else f", {_DASHED}"
        lines.append(f"  {ends} [{labels}{direction}{seen}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = plain(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _known_by(row: Row) -> str:
    return ", ".join(row["known_by"])


def _seen(row: Row) -> str:
    if not row["is_current"]:
        return "no longer"
    if row["is_mutual"]:
        return "both ends"
    return "one end" if {"lldp", "cdp"} & set(row["known_by"]) else "–"


_COLUMNS = (
    ("From", lambda row: row["a"]),
    ("Port", lambda row: row["a_port"] or "–"),
    ("To", lambda row: row["b"]),
    ("Port ", lambda row: row["b_port"] or "–"),
    ("Known by", _known_by),
    ("Seen from", _seen),
)
