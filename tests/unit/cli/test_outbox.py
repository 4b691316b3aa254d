from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from sentinel.web.app import create_app
from sentinel.web.server import listen, serve
from tests.unit.cli.conftest import Sentinel
from tests.unit.web.fakes import TOKEN, Rooms
from tests.unit.web.messages import FakeOutbox, message


@pytest.fixture
def outbox() -> FakeOutbox:
    return FakeOutbox()


@pytest.fixture
async def url(rooms: Rooms, outbox: FakeOutbox) -> AsyncIterator[str]:
    """Where a daemon over fakes answers."""
    app = create_app(replace(rooms.faces(), outbox=outbox), CollectorRegistry())
    with listen("127.0.0.1", 0) as bound:
        task = asyncio.create_task(serve(app, bound))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        task.cancel()
        await asyncio.wait([task])


async def test_messages_from_list_to_drop(sentinel: Sentinel, url: str, outbox: FakeOutbox) -> None:
    outbox.messages = {1: message(1), 2: message(2, "mail", "delivered"), 3: message(3, "mail")}
    listed = await sentinel("outbox", "list", "--url", url)
    assert listed.exit_code == 0
    assert "404 Not Found" in listed.stdout
    found = await sentinel(
        "outbox", "list", "--state", "dead", "--receiver", "mail", "-o", "json", "--url", url
    )
    assert [one["id"] for one in json.loads(found.stdout)] == [3]
    tried = await sentinel("outbox", "retry", "--receiver", "ops", "--url", url, SENTINEL_TOKEN=TOKEN)
    assert tried.stdout == "message 1 tried again (incident 7, firing, to ops)\n"
    dropped = await sentinel("outbox", "drop", "3", "--reason", "a drill", "--url", url, SENTINEL_TOKEN=TOKEN)
    assert dropped.stdout == "message 3 dropped (incident 7, firing, to mail)\n"
    refused = await sentinel("outbox", "retry", "2", "--url", url, SENTINEL_TOKEN=TOKEN)
    assert (refused.exit_code, refused.stderr) == (1, "sentinel: message 2 was delivered\n")


async def test_retry_needs_messages_or_a_receiver(sentinel: Sentinel, url: str) -> None:
    for words in ((), ("1", "--receiver", "ops")):
        assert (await sentinel("outbox", "retry", *words, "--url", url)).exit_code == 2
    assert (await sentinel("outbox", "drop", "1", "--url", url)).exit_code == 2
    assert "needs an operator token" in (await sentinel("outbox", "retry", "1", "--url", url)).stderr
