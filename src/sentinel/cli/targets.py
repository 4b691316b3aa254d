"""`sentinel targets`: what is watched, and whether it can be read."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli.client import DEFAULT_URL, OWN, Daemon, UrlOption
from sentinel.cli.output import Output, OutputOption, Row, age, labels_text, show


def targets(
    down: Annotated[bool, typer.Option("--down", help="Only those with a module that cannot read.")] = False,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """List the targets and their last polls."""
    found = Daemon(url).get(f"{OWN}/targets")
    if down:
        found = [target for target in found if any(poll["state"] == "down" for poll in target["polls"])]
    if output is Output.JSON:
        show(found, (), output, empty="")
        return
    rows = [target | {"poll": poll} for target in found for poll in target["polls"]]
    show(rows, _COLUMNS, output, empty="no target is down" if down else "no targets are configured")


def _why(row: Row) -> str:
    poll = row["poll"]
    parts = (poll["reason"], poll["detail"])
    return ": ".join(part for part in parts if part)


_COLUMNS = (
    ("Target", lambda row: row["name"]),
    ("Module", lambda row: row["poll"]["module"]),
    ("State", lambda row: row["poll"]["state"]),
    ("Since", lambda row: age(row["poll"]["since"])),
    ("Polled", lambda row: age(row["poll"]["at"])),
    ("Samples #", lambda row: str(row["poll"]["samples"])),
    ("Took #", lambda row: f"{row['poll']['duration']:.3f} s"),
    ("Labels", lambda row: labels_text(row["labels"])),
    ("Why", _why),
)
