"""What the commands that work on the database itself share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sentinel.cli.config import problems_told

if TYPE_CHECKING:
    from sentinel.db.database import Database

T = TypeVar("T")


def place_of(config: Path) -> tuple[str, Path]:
    """The database's url and the data folder that the configuration names."""
    from sentinel.config.settings import load_settings

    settings = load_settings(config)
    return settings.store.url, config.parent / settings.daemon.data_dir


def history_of(config: Path) -> Path | None:
    """The history's folder that the configuration names; None: nothing is kept on disk."""
    from sentinel.config.settings import load_settings

    settings = load_settings(config)
    if not settings.history.disk:
        return None
    return config.parent / settings.daemon.data_dir / settings.history.folder


def with_database(config: Path, work: Callable[[Database], Awaitable[T]], *, beside: bool = True) -> T:
    """Run `work` on the database that the configuration names.

    Args:
        beside: a daemon may be running on it.
    """
    from sentinel.db.database import Database
    from sentinel.runtime.clock import SystemClock

    async def run() -> T:
        url, folder = place_of(config)
        async with Database.open(url, clock=SystemClock(), data_dir=folder, beside=beside) as db:
            return await work(db)

    with problems_told():
        return asyncio.run(run())
