"""`sentinel maintenance`: targets that people work on."""

from __future__ import annotations

from typing import Annotated

import typer

from sentinel.cli.client import DEFAULT_URL, OWN, Daemon, TokenFileOption, UrlOption
from sentinel.cli.muting import (
    AuthorOption,
    ChangedCommentOption,
    CommentOption,
    DryRunOption,
    DurationOption,
    EndOption,
    Ids,
    MatcherOption,
    RecurringOption,
    StartOption,
    StateOption,
    ZoneOption,
    body_of,
    changed,
    listed,
    one_shown,
    previewed,
    told_ended,
    told_written,
)
from sentinel.cli.output import Output, OutputOption

app = typer.Typer(help="Plan maintenance windows, list them, end them.", no_args_is_help=True)
PATH = f"{OWN}/maintenance"


@app.callback()
def _group() -> None:
    """Plan maintenance windows, list them, end them."""


@app.command()
def add(
    *,
    comment: CommentOption,
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="[TARGET…]", help="Names of targets that are worked on.")
    ] = None,
    matcher: Annotated[
        list[str] | None,
        typer.Option(help="Only alerts that match; without targets: whatever matches. May be repeated."),
    ] = None,
    dependants: Annotated[
        bool, typer.Option(help="With the targets that can only be reached through these.")
    ] = True,
    change: Annotated[str, typer.Option(help="Reference of the change.")] = "",
    start: StartOption = "",
    end: EndOption = "",
    duration: DurationOption = "",
    recurring: RecurringOption = "",
    zone: ZoneOption = "",
    author: AuthorOption = "",
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Plan a window in which targets, and what lies behind them, are not told of."""
    body = body_of(
        matcher or [],
        comment=comment,
        start=start,
        end=end,
        duration=duration,
        recurring=recurring,
        zone=zone,
        author=author,
    )
    body |= {"targets": targets or [], "dependants": dependants, "change": change}
    daemon = Daemon(url, token_file)
    if dry_run:
        previewed(daemon.post(f"{PATH}/preview", body), output)
    else:
        told_written(daemon.post(PATH, body), output)


@app.command("list")
def list_(
    state: StateOption = None,
    matcher: MatcherOption = None,
    author: AuthorOption = "",
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """List windows that are active or to come: those that end next first."""
    listed(
        Daemon(url),
        PATH,
        states=state,
        matchers=matcher,
        author=author,
        output=output,
        empty="no such maintenance windows",
    )


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The window's ID.")],
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """Show a maintenance window."""
    one_shown(Daemon(url), PATH, id, output)


@app.command()
def edit(
    id: Annotated[str, typer.Argument(metavar="ID", help="The window's ID.")],
    *,
    end: EndOption = "",
    duration: DurationOption = "",
    comment: ChangedCommentOption = "",
    change: Annotated[str, typer.Option(help="Reference of the change.")] = "",
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Give a window another end, counted from now, or other words."""
    daemon = Daemon(url, token_file)
    changed(daemon, PATH, id, output, end=end, duration=duration, comment=comment, change=change)


@app.command()
def end(
    ids: Ids,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """End windows now, those that recur for good."""
    told_ended(Daemon(url, token_file), PATH, ids, output)
