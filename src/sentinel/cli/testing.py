"""`sentinel test`: unit tests of rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.config import fail

app = typer.Typer(help="Run unit tests.", no_args_is_help=True)


@app.callback()
def _tests() -> None:
    """Run unit tests."""


@app.command()
def rules(
    files: Annotated[list[Path], typer.Argument(help="Unit-test files in promtool's format.")],
    *,
    run: Annotated[
        str, typer.Option(metavar="REGEX", help="Run only tests whose name the expression is found in.")
    ] = "",
    diff: Annotated[
        bool, typer.Option("--diff", help="Show differences line by line, with - and +.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the results as JUnit XML too.")
    ] = None,
) -> None:
    """Run unit tests of rule files, in promtool's format. Exit status 1 if any fails."""
    from sentinel.rules.junit import junit as junit_of
    from sentinel.rules.unittest import run_unit_tests

    try:
        pattern = re.compile(run) if run else None
    except re.error as error:
        fail(f"--run: not a regular expression: {error}", 2)
    results = run_unit_tests(files, run=pattern, as_diff=diff)
    for note in dict.fromkeys(note for result in results for note in result.notes):
        typer.echo(f"warning: {note}", err=True)
    for result in results:
        title = f"{result.file}: {result.name}" if result.name else result.file
        typer.echo(f"{title}: {'passed' if result.passed else 'FAILED'}")
        for difference in result.differences:
            typer.echo("  " + difference.replace("\n", "\n  "))
    failed = sum(not result.passed for result in results)
    typer.echo(f"{len(results) - failed} passed, {failed} failed")
    if junit is not None:
        try:
            junit.write_bytes(junit_of(results))
        except OSError as error:
            fail(f"cannot write {junit}: {error.strerror}")
    if failed:
        raise typer.Exit(1)
