"""`sentinel db`: the database's care by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.config import ConfigPath, fail, problems_told
from sentinel.cli.database import history_of, place_of, with_database
from sentinel.cli.output import Output, OutputOption, show

if TYPE_CHECKING:
    from sentinel.db.care import Finding
    from sentinel.db.database import Database

app = typer.Typer(help="Migrate, back up, restore and check the database.", no_args_is_help=True)


@app.command()
def migrate(config: ConfigPath) -> None:
    """Bring the database to this version's schema; `sentinel run` does it by itself. The daemon must not run."""

    async def work(db: Database) -> Path:
        return db.path

    typer.echo(f"{with_database(config, work, beside=False)}: up to date")


@app.command()
def backup(
    config: ConfigPath,
    file: Annotated[Path, typer.Argument(help="Where the copy goes; what is there is replaced.")],
) -> None:
    """Copy the database while the daemon runs, and verify the copy."""
    from sentinel.db.backup import Backup, BackupError, back_up

    async def work(db: Database) -> Backup:
        return await back_up(db, file)

    try:
        made = with_database(config, work)
    except BackupError as error:
        fail(str(error))
    typer.echo(f"{made.path}: {made.size:,} bytes, verified")


@app.command()
def restore(
    config: ConfigPath,
    file: Annotated[Path, typer.Argument(help="A backup.")],
) -> None:
    """Put a backup in the database's place; the former database is kept beside it. The daemon must not run."""
    from sentinel.db.backup import restore as put_back

    with problems_told():
        url, folder = place_of(config)
        former = put_back(url, file, now=time.time(), data_dir=folder)
    typer.echo(f"restored from {file}" + (f"; the former database is {former}" if former else ""))


@app.command()
def check(config: ConfigPath, output: OutputOption = Output.TABLE) -> None:
    """Look the whole database over, and the history on disk. Exit status 1 if anything is wrong."""

    async def work(db: Database) -> list[Finding]:
        from sentinel.db.care import check as look_over

        return await look_over(db)

    from sentinel.series.history.inspect import look_over as look_history_over

    rows = [{"what": one.what, "text": one.text} for one in with_database(config, work)]
    with problems_told():
        folder = history_of(config)
    if folder is not None:
        rows += [{"what": "history", "text": text} for text in look_history_over(folder)]
    columns = (("What", lambda row: row["what"]), ("Finding", lambda row: row["text"]))
    show(rows, columns, output, empty="the database is whole")
    if rows:
        raise typer.Exit(1)
