"""`sentinel token`: who may write. Works on the database itself, beside a running daemon or without one."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from sentinel.cli.config import ConfigPath, fail
from sentinel.cli.database import with_database
from sentinel.cli.output import Output, OutputOption, age, moment, show, show_json

if TYPE_CHECKING:
    from sentinel.db.database import Database

T = TypeVar("T")

app = typer.Typer(help="Make, list and revoke the tokens that writing needs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose it is: stands beside everything done with it.")]


@app.command("create")
def create(
    name: Name,
    config: ConfigPath,
    role: Annotated[
        Literal["viewer", "sender", "operator", "admin"], typer.Option(help="What it may do.")
    ] = "operator",
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a token and print it, once: only its digest is kept."""

    async def work(db: Database) -> str:
        from sentinel.db.tokens import create_token

        return await create_token(db, name, role, actor=_actor())

    plain = _with_database(config, work)
    if output is Output.JSON:
        show_json({"name": name, "role": role, "token": plain})
        return
    typer.echo(plain)
    typer.echo(f"token '{name}' ({role}); it cannot be shown again", err=True)


@app.command("list")
def list_(config: ConfigPath, output: OutputOption = Output.TABLE) -> None:
    """List all tokens, revoked ones too."""

    async def work(db: Database) -> list[dict[str, object]]:
        from sentinel.db.tokens import list_tokens

        return [asdict(token) for token in await list_tokens(db)]

    show(_with_database(config, work), _COLUMNS, output, empty="no tokens")


@app.command("revoke")
def revoke(name: Name, config: ConfigPath) -> None:
    """End a token at once."""

    async def work(db: Database) -> None:
        from sentinel.db.tokens import revoke_token

        await revoke_token(db, name, actor=_actor())

    _with_database(config, work)
    typer.echo(f"token '{name}' is revoked")


def _with_database(config: Path, work: Callable[[Database], Awaitable[T]]) -> T:
    from sentinel.db.tokens import TokenError

    try:
        return with_database(config, work)
    except TokenError as error:
        fail(str(error))


def _actor() -> str:
    """Who runs the command, for the audit trail."""
    try:
        return f"{getpass.getuser()} (shell)"
    except (OSError, KeyError):  # a user id without a name, as in containers
        return "shell"


_COLUMNS = (
    ("Name", lambda row: row["name"]),
    ("Role", lambda row: row["role"]),
    ("Made", lambda row: moment(row["created_at"])),
    ("By", lambda row: row["created_by"]),
    ("Used", lambda row: age(row["last_used_at"])),
    ("Revoked", lambda row: moment(row["revoked_at"])),
)
