"""`sentinel silence`: what nobody wants to be told for a while."""

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
    MatchersArgument,
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

app = typer.Typer(help="Silence alerts, list silences, end them.", no_args_is_help=True)
PATH = f"{OWN}/silences"


@app.callback()
def _group() -> None:
    """Silence alerts, list silences, end them."""


@app.command()
def add(
    matchers: MatchersArgument,
    *,
    comment: CommentOption,
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
    """Silence alerts that match, such as instance="sw1", for a while."""
    body = body_of(
        matchers,
        comment=comment,
        start=start,
        end=end,
        duration=duration,
        recurring=recurring,
        zone=zone,
        author=author,
    )
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
    """List silences that are active or pending: those that end next first."""
    listed(
        Daemon(url),
        PATH,
        states=state,
        matchers=matcher,
        author=author,
        output=output,
        empty="no such silences",
    )


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The silence's ID.")],
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """Show a silence."""
    one_shown(Daemon(url), PATH, id, output)


@app.command()
def edit(
    id: Annotated[str, typer.Argument(metavar="ID", help="The silence's ID.")],
    *,
    end: EndOption = "",
    duration: DurationOption = "",
    comment: ChangedCommentOption = "",
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """Give a silence another end, counted from now, or other words."""
    daemon = Daemon(url, token_file)
    changed(daemon, PATH, id, output, end=end, duration=duration, comment=comment)


@app.command()
def expire(
    ids: Ids,
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
) -> None:
    """End silences now."""
    told_ended(Daemon(url, token_file), PATH, ids, output)
