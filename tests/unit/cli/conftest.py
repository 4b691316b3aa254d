from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from sentinel.cli.main import app as commands
from sentinel.web.app import create_app
from sentinel.web.server import listen, serve
from tests.unit.web.fakes import Rooms

Sentinel = Callable[..., Awaitable[Result]]


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def url(rooms: Rooms) -> AsyncIterator[str]:
    """Where a daemon over fakes answers."""
    with listen("127.0.0.1", 0) as bound:
        task = asyncio.create_task(serve(create_app(rooms.faces(), CollectorRegistry()), bound))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch) -> Sentinel:
    """Runs a command line beside the event loop that serves the daemon."""
    for name in ("SENTINEL_TOKEN", "SENTINEL_URL", "SENTINEL_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    async def run(*arguments: str, **environment: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, commands, list(arguments), env=environment)

    return run
