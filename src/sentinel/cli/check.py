"""`sentinel check`: every problem in what people wrote, before it matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.config import ConfigPath, problems_told
from sentinel.model.problem import UnusableError

app = typer.Typer(
    invoke_without_command=True, help="Check the configuration and every file it names, or single files."
)


@app.callback()
def check(context: typer.Context, config: ConfigPath) -> None:
    """Check the configuration and every file it names."""
    if context.invoked_subcommand is not None:
        return
    from sentinel.reload import build

    with problems_told(1):
        found = build(config)
    rules = sum(len(group.rules) for group in found.groups)
    modules = len(found.modules.kinds)
    typer.echo(f"{config}: in order (targets: {len(found.targets)}, modules: {modules}, rules: {rules})")


@app.command()
def rules(
    files: Annotated[list[Path], typer.Argument(help="Rule files in Prometheus' format.")],
    config: ConfigPath,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
    lint: Annotated[bool, typer.Option(help="Warn of what is allowed and bites later.")] = True,
) -> None:
    """Check rule files: mistakes, and what bites later.

    A comment inside a rule or above it switches a warning off: # sentinel: ignore missing-for
    """
    from sentinel.cli.known import history_of
    from sentinel.reload import bare_engine
    from sentinel.rules.files import load_rules

    with problems_told(1):
        groups = load_rules(files, bare_engine(history_of(config)), default_interval=15.0)
    findings = _told(files, config, "error" if strict else "warning") if lint else 0
    count = sum(len(group.rules) for group in groups)
    if findings and strict:
        raise typer.Exit(1)
    warned = f", warnings: {findings}" if findings else ""
    typer.echo(f"in order (files: {len(files)}, groups: {len(groups)}, rules: {count}{warned})")


def _told(files: list[Path], config: Path, grade: str) -> int:
    """Tell what bites later; returns how much that is."""
    from sentinel.cli.known import known_from
    from sentinel.rules.lint import Known, lint_rules

    try:
        known = known_from(config)
    except UnusableError as error:
        typer.echo(f"metrics are not checked, as it is not known which there are: {error}", err=True)
        known = Known()
    with problems_told(1):
        findings = lint_rules(files, known)
    for finding in findings:
        problem = finding.problem
        told = replace(problem, text=f"{grade}: {problem.text} [{finding.check}]")
        typer.echo(str(told), err=True)
    return len(findings)


@app.command()
def collectors(files: Annotated[list[Path], typer.Argument(help="Module files.")]) -> None:
    """Check module files."""
    from sentinel.collect.modules import load_modules

    with problems_told(1):
        found = load_modules(files)
    typer.echo(f"in order: {', '.join(sorted([*found.snmp, *found.ssh, *found.probes])) or 'no modules'}")
