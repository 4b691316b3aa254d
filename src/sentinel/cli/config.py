"""What the commands that read the configuration share: where it is, and how its problems are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sentinel.model.problem import UnusableError

EX_CONFIG = 78
"""Exit status for an unusable configuration or database. Source: sysexits.h."""

SYSTEM_WIDE = Path("/etc/sentinel/config.toml")


def _usual() -> Path:
    here = Path("config.toml")
    return here if here.exists() or not SYSTEM_WIDE.exists() else SYSTEM_WIDE


ConfigPath = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        default_factory=_usual,
        envvar="SENTINEL_CONFIG",
        show_default="config.toml here, else /etc/sentinel/config.toml",
        help="The configuration file.",
    ),
]


@contextmanager
def problems_told(code: int = EX_CONFIG) -> Iterator[None]:
    """Problems in what people wrote, or in the database, end the command: a line each on standard error."""
    try:
        yield
    except UnusableError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        # Only here, as it brings the whole database library along.
        from sentinel.db.errors import UnusableDatabaseError

        raise typer.Exit(EX_CONFIG if isinstance(error, UnusableDatabaseError) else code) from None


def fail(text: str, code: int = 1) -> NoReturn:
    """One clear line, and the exit status."""
    typer.echo(f"sentinel: {text}", err=True)
    raise typer.Exit(code)
