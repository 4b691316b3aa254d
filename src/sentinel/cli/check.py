"""`sentinel check`: every problem in what people wrote, before it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.config import ConfigPath, problems_told

app = typer.Typer(
    invoke_without_command=True, help="Check the configuration and every file it names, or single files."
)


@app.callback()
def check(context: typer.Context, config: ConfigPath) -> None:
    """Check the configuration and every file it names."""
    if context.invoked_subcommand is not None:
        return
    from sentinel.promql import Engine
    from sentinel.reload import build
    from sentinel.series.head import Head

    with problems_told(1):
        found = build(config, Engine(Head()))
    rules = sum(len(group.rules) for group in found.groups)
    modules = len(found.modules.kinds)
    typer.echo(f"{config}: in order (targets: {len(found.targets)}, modules: {modules}, rules: {rules})")


@app.command()
def rules(files: Annotated[list[Path], typer.Argument(help="Rule files in Prometheus' format.")]) -> None:
    """Check rule files."""
    from sentinel.promql import Engine
    from sentinel.rules.files import load_rules
    from sentinel.series.head import Head

    with problems_told(1):
        groups = load_rules(files, Engine(Head()), default_interval=15.0)
    count = sum(len(group.rules) for group in groups)
    typer.echo(f"in order (files: {len(files)}, groups: {len(groups)}, rules: {count})")


@app.command()
def collectors(files: Annotated[list[Path], typer.Argument(help="Module files.")]) -> None:
    """Check module files."""
    from sentinel.collect.modules import load_modules

    with problems_told(1):
        found = load_modules(files)
    typer.echo(f"in order: {', '.join(sorted([*found.snmp, *found.ssh, *found.probes])) or 'no modules'}")
