"""`sentinel init`: a starting configuration with rules and modules."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.config import fail
from sentinel.shipped import shipped


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it; created if need be.")] = Path(),
) -> None:
    """Write config.toml, rules/ and collectors/ to start from. Nothing that is there is overwritten."""
    pieces = {"config.toml": "config.example.toml", "rules": "rules", "collectors": "collectors"}
    there = [name for name in pieces if (folder / name).exists()]
    if there:
        fail(f"{folder} already has {', '.join(there)}; choose an empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in pieces.items():
            _copy(shipped(source), folder / name)
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}")
    typer.echo(f"wrote {', '.join(pieces)} into {folder.resolve()}")
    typer.echo(f"next: sentinel run --config {folder / 'config.toml'}")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("cases", "__pycache__"))
    else:
        shutil.copyfile(source, target)
