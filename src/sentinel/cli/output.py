"""How commands answer: a table for people, JSON with stable field names for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="A table for people or JSON for programs.")
]

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]
"""Heading, and the cell of a row."""


def show(rows: Sequence[Row], columns: Sequence[Column], output: Output, *, empty: str) -> None:
    """The listing on standard output; JSON carries the whole rows."""
    if output is Output.JSON:
        show_json(list(rows))
        return
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, _ in columns:
        table.add_column(heading, overflow="fold", justify="right" if heading.endswith("#") else "left")
    for row in rows:
        # Text, not markup: what devices say is data.
        table.add_row(*(Text(plain(cell(row))) for _, cell in columns))
    # Piped, a table is as wide as it needs to be, so that no program reads a folded line.
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    console = Console(width=10_000, highlight=False)
    with console.capture() as written:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in written.get().splitlines()))


def show_json(answer: Any) -> None:
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def plain(text: object) -> str:
    """Text for a terminal: control characters, which could move the cursor or recolour, become spaces."""
    return "".join(char if char.isprintable() else " " for char in str(text))


def age(at: float | None, *, now: float | None = None) -> str:
    """How long ago, such as 42s, 12m, 5h or 3d."""
    if at is None:
        return "–"
    seconds = max((time.time() if now is None else now) - at, 0.0)
    for size, unit in ((172_800, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // (86_400 if unit == 'd' else size))}{unit}"
    return f"{int(seconds)}s"


def moment(at: float | None) -> str:
    """An instant in the terminal's own time zone."""
    if at is None:
        return "–"
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def labels_text(labels: Mapping[str, str], without: Iterable[str] = ()) -> str:
    """Labels as name="value", …"""
    left_out = set(without)
    return ", ".join(f'{name}="{value}"' for name, value in labels.items() if name not in left_out)


def number(value: object) -> str:
    """A sample's value: at most ten digits."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
