"""`sentinel incidents`: what somebody has to deal with."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sentinel.cli.client import DEFAULT_URL, OWN, Daemon, TokenFileOption, UrlOption
from sentinel.cli.output import Output, OutputOption, age, labels_text, moment, plain, show, show_json
from sentinel.model.incident import IncidentState

app = typer.Typer(
    help="List incidents, show one, acknowledge, resolve, add a note.", invoke_without_command=True
)

Number = Annotated[int, typer.Argument(min=1, metavar="NUMBER", help="The incident's number.")]
Words = Annotated[str, typer.Option("--note", "-n", help="What to write into the timeline.")]
States = Annotated[
    list[IncidentState] | None,
    typer.Option(help="Only these; may be repeated. Else those that are not resolved."),
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]


@app.callback()
def _default(
    context: typer.Context,
    state: States = None,
    limit: Limit = 200,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """List incidents, show one, acknowledge, resolve, add a note. Without a command: list."""
    if context.invoked_subcommand is None:
        _list(Daemon(url), state, limit, output)


@app.command("list")
def list_(
    state: States = None,
    limit: Limit = 200,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """List incidents, newest first."""
    _list(Daemon(url), state, limit, output)


@app.command("show")
def show_(number: Number, output: OutputOption = Output.TABLE, url: UrlOption = DEFAULT_URL) -> None:
    """Show an incident with its alerts and timeline."""
    story = Daemon(url).get(f"{OWN}/incidents/{number}")
    if output is Output.JSON:
        show_json(story)
    else:
        _tell(story)


@app.command("ack")
def acknowledge(
    number: Number,
    note: Words = "",
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Take an incident on."""
    changed = Daemon(url, token_file).post(f"{OWN}/incidents/{number}/acknowledge", {"text": note})
    _changed(changed, output, f"acknowledged by {changed['acknowledged_by']}")


@app.command("resolve")
def resolve(
    number: Number,
    note: Words = "",
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Close an incident by hand."""
    changed = Daemon(url, token_file).post(f"{OWN}/incidents/{number}/resolve", {"text": note})
    _changed(changed, output, f"resolved by {changed['resolved_by']}")


@app.command("note")
def note(
    number: Number,
    text: Annotated[str, typer.Argument(help="What to write into the timeline.")],
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Write something into an incident's timeline."""
    changed = Daemon(url, token_file).post(f"{OWN}/incidents/{number}/note", {"text": text})
    _changed(changed, output, "noted")


def _list(daemon: Daemon, states: Any, limit: int, output: Output) -> None:
    parameters: dict[str, Any] = {"limit": limit} | ({"state": states} if states else {})
    empty = "no such incidents" if states else "no open incidents"
    show(daemon.get(f"{OWN}/incidents", parameters), _COLUMNS, output, empty=empty)


def _changed(incident: Any, output: Output, what: str) -> None:
    if output is Output.JSON:
        show_json(incident)
    else:
        typer.echo(plain(f"incident {incident['id']} {what}"))


def _tell(story: Any) -> None:
    incident = story["incident"]
    lines = [f"incident {incident['id']}  grade {incident['grade']}  {incident['state']}", incident["title"]]
    if incident["target"]:
        lines.append(f"target {incident['target']}")
    lines.append(f"opened {moment(incident['opened_at'])} ({age(incident['opened_at'])} ago)")
    if incident["acknowledged_by"]:
        lines.append(f"acknowledged {moment(incident['acknowledged_at'])} by {incident['acknowledged_by']}")
    if incident["resolved_at"]:
        by = incident["resolved_by"] or "itself: its alerts cleared"
        lines.append(f"resolved {moment(incident['resolved_at'])} by {by}")
    lines.append("")
    for alert in story["alerts"]:
        told = labels_text(alert["labels"], without=("alertname",))
        lines.append(f"{alert['state']:9} {alert['name']}  {told}")
    lines.append("")
    lines += [
        f"{moment(entry['at'])}  {entry['kind']:15} {entry['actor']}  {entry['text']}".rstrip()
        for entry in story["timeline"]
    ]
    for line in lines:
        typer.echo(plain(line))


_COLUMNS = (
    ("#", lambda row: str(row["id"])),
    ("Grade", lambda row: row["grade"]),
    ("State", lambda row: row["state"]),
    ("Opened", lambda row: age(row["opened_at"])),
    ("Target", lambda row: row["target"]),
    ("Title", lambda row: row["title"]),
    ("Owner", lambda row: row["resolved_by"] or row["acknowledged_by"] or "–"),
)
