"""`sentinel test`: unit tests of rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run unit tests.", no_args_is_help=True)


@app.callback()
def _tests() -> None:
    """Run unit tests."""


@app.command()
def rules(
    files: Annotated[list[Path], typer.Argument(help="Unit-test files in promtool's format.")],
) -> None:
    """Run unit tests of rule files, in promtool's format. Exit status 1 if any fails."""
    from sentinel.rules.unittest import run_unit_tests

    results = run_unit_tests(files)
    for result in results:
        title = f"{result.file}: {result.name}" if result.name else result.file
        typer.echo(f"{title}: {'passed' if result.passed else 'FAILED'}")
        for difference in result.differences:
            typer.echo("  " + difference.replace("\n", "\n  "))
    failed = sum(not result.passed for result in results)
    typer.echo(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)
