"""`sentinel alerts`: what the rules say now."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sentinel.cli.client import DEFAULT_URL, OWN, Daemon, UrlOption
from sentinel.cli.output import Output, OutputOption, age, labels_text, number, show


class Told(StrEnum):
    """States that a listing can be narrowed to."""

    PENDING = "pending"
    FIRING = "firing"
    UNKNOWN = "unknown"


def alerts(
    state: Annotated[
        list[Told] | None,
        typer.Option(help="Only these; may be repeated."),
    ] = None,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """List the pending, firing and unknown alerts."""
    found = Daemon(url).get(f"{OWN}/alerts", {"state": state} if state else None)
    show(found, _COLUMNS, output, empty="no alerts")


_COLUMNS = (
    ("State", lambda row: row["state"]),
    ("Alert", lambda row: row["name"]),
    ("Since", lambda row: age(row["active_at"])),
    ("Value #", lambda row: number(row["value"])),
    ("Labels", lambda row: labels_text(row["labels"], without=("alertname",))),
    ("Summary", lambda row: row["annotations"].get("summary", "")),
)
