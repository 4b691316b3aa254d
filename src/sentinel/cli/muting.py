"""What the commands for silences and for maintenance windows have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from sentinel.cli.client import Daemon
from sentinel.cli.config import fail
from sentinel.cli.output import Column, Output, labels_text, moment, plain, show, show_json

DEFAULT_DURATION = "1h"
MAX_NAMED = 20
"""Alerts that a preview names one by one."""


class State(StrEnum):
    ACTIVE = "active"
    PENDING = "pending"
    EXPIRED = "expired"


MatchersArgument = Annotated[
    list[str], typer.Argument(min=1, metavar="MATCHER…", help="What the alerts' labels must be, all of it.")
]
CommentOption = Annotated[str, typer.Option("--comment", "-c", help="Why.")]
StartOption = Annotated[
    str, typer.Option(help="2026-11-29T02:00, with or without an offset, or 02:00; else now.")
]
EndOption = Annotated[str, typer.Option(help="The end, as the start.")]
DurationOption = Annotated[str, typer.Option("--duration", "-d", help="In place of the end; else 1h.")]
RecurringOption = Annotated[
    str, typer.Option(help="daily, sunday, workdays, monthly, … or an RRULE: FREQ=MONTHLY;BYDAY=1SU.")
]
ZoneOption = Annotated[
    str, typer.Option(help="By whose clocks, as an IANA name; else those of [daemon] timezone.")
]
AuthorOption = Annotated[str, typer.Option("--author", "-a", help="Who; else the token's name.")]
ChangedCommentOption = Annotated[str, typer.Option("--comment", "-c", help="Why, in place of what it says.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what it would match now.")]
StateOption = Annotated[
    list[State] | None, typer.Option(help="Only these; may be repeated. Else active and pending ones.")
]
MatcherOption = Annotated[
    list[str] | None, typer.Option(help="Only those with this matcher among theirs; may be repeated.")
]
Ids = Annotated[list[str], typer.Argument(min=1, metavar="ID…", help="Which ones.")]


def body_of(
    matchers: Sequence[str],
    *,
    comment: str,
    start: str,
    end: str,
    duration: str,
    recurring: str,
    zone: str,
    author: str,
) -> dict[str, Any]:
    """The request that writes one; what was not given is left to the daemon."""
    if end and duration:
        fail("give either --end or --duration", 2)
    given = {
        "starts_at": start,
        "ends_at": end,
        "duration": "" if end else duration or DEFAULT_DURATION,
        "recurring": recurring,
        "zone": zone,
        "created_by": author,
    }
    return {"matchers": list(matchers), "comment": comment} | {
        name: value for name, value in given.items() if value
    }


def changed(daemon: Daemon, path: str, id_: str, output: Output, **given: str) -> None:
    """Another end, or other words."""
    if given["end"] and given["duration"]:
        fail("give either --end or --duration", 2)
    body = {"ends_at" if name == "end" else name: value for name, value in given.items() if value}
    if not body:
        fail("say what changes", 2)
    told_written(daemon.patch(f"{path}/{quote(id_, safe='')}", body), output)


def told_written(written: Mapping[str, Any], output: Output) -> None:
    if output is Output.JSON:
        show_json(written)
    else:
        what = "maintenance" if written["kind"] == "maintenance" else "silence"
        typer.echo(plain(f"{what} {written['id']} is {written['state']}, {_when(written)}"))
        if written["dependants"]:
            typer.echo(plain(f"with {', '.join(written['dependants'])}, which lie behind"))
    _warn(written["warning"])


def previewed(found: Mapping[str, Any], output: Output) -> None:
    if output is Output.JSON:
        show_json(found)
        return
    typer.echo(f"would match {found['matched']} of {found['open']} open alerts now")
    for alert in found["alerts"][:MAX_NAMED]:
        labels = labels_text(alert["labels"], ["alertname"])
        typer.echo(plain(f"  {alert['name']} {{{labels}}}"))
    if found["matched"] > MAX_NAMED:
        typer.echo(f"  and {found['matched'] - MAX_NAMED} more")
    if found["targets"]:
        typer.echo(plain(f"targets: {', '.join(found['targets'])}"))
    for start, end in found["windows"]:
        typer.echo(f"window: {moment(start)} to {moment(end)}")
    _warn(found["warning"])


def listed(
    daemon: Daemon,
    path: str,
    *,
    states: Sequence[State] | None,
    matchers: Sequence[str] | None,
    author: str,
    output: Output,
    empty: str,
) -> None:
    parameters: dict[str, Any] = {"state": states or [State.ACTIVE, State.PENDING], "limit": 10_000}
    if matchers:
        parameters["matcher"] = list(matchers)
    if author:
        parameters["created_by"] = author
    found = daemon.get(path, parameters)
    columns = [column for column in _COLUMNS if column[0] != "Change" or any(one["change"] for one in found)]
    show(found, columns, output, empty=empty)


def one_shown(daemon: Daemon, path: str, id_: str, output: Output) -> None:
    one = daemon.get(f"{path}/{quote(id_, safe='')}")
    if output is Output.JSON:
        show_json(one)
        return
    over = "never" if one["over_at"] is None else moment(one["over_at"])
    recurrence = one["recurrence"]
    lines = (
        ("ID", one["id"]),
        ("State", one["state"]),
        ("Targets", ", ".join(one["targets"])),
        ("Behind them", ", ".join(one["dependants"])),
        ("Matchers", one["text"]),
        ("Window", f"{moment(one['starts_at'])} to {moment(one['ends_at'])}"),
        ("Recurs", f"{recurrence['rule']} in {recurrence['zone']}, over {over}" if recurrence else ""),
        ("Change", one["change"]),
        ("Comment", one["comment"]),
        ("Author", one["created_by"]),
        ("Written", moment(one["created_at"])),
        ("Changed", moment(one["updated_at"]) if one["updated_at"] != one["created_at"] else ""),
    )
    for name, value in lines:
        if value:
            typer.echo(plain(f"{name + ':':<13}{value}"))


def told_ended(daemon: Daemon, path: str, ids: Sequence[str], output: Output) -> None:
    ended = []
    for id_ in ids:
        one = daemon.delete(f"{path}/{quote(id_, safe='')}")
        ended.append(one)
        if output is Output.TABLE:
            what = "maintenance" if one["kind"] == "maintenance" else "silence"
            typer.echo(plain(f"{what} {one['id']} is over since {moment(one['over_at'])}"))
    if output is Output.JSON:
        show_json(ended)


def _when(one: Mapping[str, Any]) -> str:
    window = f"{moment(one['starts_at'])} to {moment(one['ends_at'])}"
    recurrence = one["recurrence"]
    return f"{window}, {recurrence['rule']} in {recurrence['zone']}" if recurrence else window


def _warn(warning: str) -> None:
    if warning:
        typer.echo(f"warning: {warning}", err=True)


_COLUMNS: tuple[Column, ...] = (
    ("ID", lambda row: row["id"]),
    ("State", lambda row: row["state"]),
    ("From", lambda row: moment(row["starts_at"])),
    ("To", lambda row: moment(row["ends_at"])),
    ("Recurs", lambda row: row["recurrence"]["rule"] if row["recurrence"] else "–"),
    ("Concerns", lambda row: ", ".join(filter(None, (*row["targets"], row["text"])))),
    ("Change", lambda row: row["change"] or "–"),
    ("Author", lambda row: row["created_by"]),
    ("Comment", lambda row: row["comment"]),
)
