"""`sentinel outbox`: messages that wait or could not be delivered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from sentinel.cli.client import DEFAULT_URL, OWN, Daemon, TokenFileOption, UrlOption
from sentinel.cli.config import fail
from sentinel.cli.output import Output, OutputOption, age, plain, show, show_json

app = typer.Typer(help="List messages, try dead ones again, drop some.", no_args_is_help=True)

Numbers = Annotated[list[int], typer.Argument(min=1, metavar="ID…", help="Numbers of messages.")]
MaybeNumbers = Annotated[
    list[int] | None, typer.Argument(min=1, metavar="[ID…]", help="Numbers of messages.")
]


class State(StrEnum):
    PENDING = "pending"
    MERGED = "merged"
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"


@app.callback()
def _group() -> None:
    """List messages, try dead ones again, drop some."""


@app.command("list")
def list_(
    state: Annotated[
        list[State] | None,
        typer.Option(help="Only these; may be repeated. Else those that are not delivered."),
    ] = None,
    receiver: Annotated[str, typer.Option(help="Only those for this receiver.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 200,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """List messages, newest first."""
    parameters: dict[str, Any] = {"limit": limit} | ({"state": state} if state else {})
    if receiver:
        parameters["receiver"] = receiver
    found = Daemon(url).get(f"{OWN}/outbox", parameters)
    show(found, _COLUMNS, output, empty="no such messages")


@app.command()
def retry(
    numbers: MaybeNumbers = None,
    receiver: Annotated[str, typer.Option(help="Its dead messages, the newest 500.")] = "",
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Try dead or dropped messages again, at once; a recovery that was dropped with its alert goes along."""
    if bool(numbers) == bool(receiver):
        fail("name messages, or --receiver for its dead ones", 2)
    body = {"messages": numbers or [], "receiver": receiver}
    _told(Daemon(url, token_file).post(f"{OWN}/outbox/retry", body), output, "tried again")


@app.command()
def drop(
    numbers: Numbers,
    reason: Annotated[str, typer.Option(help="Why nobody needs them; stands in the timeline.")],
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Give up messages that wait or are dead."""
    body = {"messages": numbers, "reason": reason}
    _told(Daemon(url, token_file).post(f"{OWN}/outbox/drop", body), output, "dropped")


def _told(changed: Any, output: Output, what: str) -> None:
    if output is Output.JSON:
        show_json(changed)
        return
    for one in changed:
        where = f"incident {one['incident']}, {one['event']}, to {one['receiver']}"
        typer.echo(plain(f"message {one['id']} {what} ({where})"))


_COLUMNS = (
    ("#", lambda row: str(row["id"])),
    ("State", lambda row: row["state"]),
    ("Receiver", lambda row: row["receiver"]),
    ("Event", lambda row: row["event"]),
    ("Incident #", lambda row: str(row["incident"])),
    ("Age", lambda row: age(row["created_at"])),
    ("Attempts #", lambda row: str(row["attempts"])),
    ("In place of #", lambda row: str(row["origin"] or "–")),
    ("Last error", lambda row: row["last_error"] or "–"),
)
