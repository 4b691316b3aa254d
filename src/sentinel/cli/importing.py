"""`sentinel import`: what other programs are told, in Sentinel's words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.config import problems_told

app = typer.Typer(help="Turn another program's configuration into Sentinel's.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Turn another program's configuration into Sentinel's."""


@app.command()
def alertmanager(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An Alertmanager's configuration (YAML).")],
) -> None:
    """Print an Alertmanager's configuration as [route], [[time_interval]], [[inhibit]] and [[receiver]].

    What has no counterpart stands in comments and on standard error, with its line. Secrets in files stay there;
    those that stand in FILE are taken over and pointed out.
    """
    from sentinel.config.alertmanager import convert
    from sentinel.config.files import read_text

    with problems_told(1):
        converted = convert(read_text(file), str(file))
    for finding in converted.findings:
        typer.echo(f"warning: {finding}", err=True)
    typer.echo(converted.text, nl=False)
