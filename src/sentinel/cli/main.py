"""The command `sentinel`. Commands import what they need when they run, so that --help answers at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sentinel import __version__
from sentinel.cli import (
    alerts,
    check,
    collectors,
    daemon,
    db,
    discover,
    explain,
    importing,
    incidents,
    init,
    maintenance,
    notify,
    outbox,
    probe,
    query,
    silence,
    targets,
    testing,
    token,
    topology,
)

app = typer.Typer(
    name="sentinel",
    help="Agentless monitoring: polls over SSH and SNMP, judges with rules, opens incidents, tells people once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain lines: a frame would break messages in the middle.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(init.init)
app.command("run")(daemon.run)
app.add_typer(check.app, name="check")
app.add_typer(collectors.app, name="collectors")
app.command("probe")(probe.probe)
app.command("query")(query.query)
app.command("targets")(targets.targets)
app.command("discover")(discover.discover)
app.command("topology")(topology.topology)
app.command("alerts")(alerts.alerts)
app.add_typer(incidents.app, name="incidents")
app.add_typer(notify.app, name="notify")
app.add_typer(outbox.app, name="outbox")
app.add_typer(silence.app, name="silence")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(explain.app, name="explain")
app.add_typer(importing.app, name="import")
app.add_typer(token.app, name="token")
app.add_typer(db.app, name="db")
app.add_typer(testing.app, name="test")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"sentinel {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command and exit with its status."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe, such as head, has gone: nothing is wrong.
        sys.stderr.close()
        sys.exit(0)
