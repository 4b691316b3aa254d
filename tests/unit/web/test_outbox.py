from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from prometheus_client import CollectorRegistry

from sentinel.web.app import create_app
from tests.unit.web.fakes import Rooms
from tests.unit.web.messages import FakeOutbox, message

API = "/api/sentinel/v1/outbox"


@pytest.fixture
def outbox() -> FakeOutbox:
    return FakeOutbox()


@pytest.fixture
async def client(rooms: Rooms, outbox: FakeOutbox) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(replace(rooms.faces(), outbox=outbox), CollectorRegistry())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9788") as client:
        yield client


async def test_messages_are_listed_by_state_and_receiver(
    client: httpx.AsyncClient, outbox: FakeOutbox
) -> None:
    outbox.messages = {
        1: message(1),
        2: message(2, "mail", "delivered"),
        3: message(3, "mail", "pending"),
    }
    assert [one["id"] for one in (await client.get(API)).json()] == [3, 1]
    assert [one["id"] for one in (await client.get(f"{API}?state=delivered&receiver=mail")).json()] == [2]
    (dead,) = (await client.get(f"{API}?state=dead")).json()
    assert (dead["incident"], dead["key"], dead["last_error"]) == (7, "key1", "404 Not Found")
    assert (await client.get(f"{API}?state=lost")).status_code == 422


async def test_messages_are_tried_again_and_dropped_by_operators_only(
    client: httpx.AsyncClient, outbox: FakeOutbox, operator: dict[str, str]
) -> None:
    outbox.messages = {1: message(1), 2: message(2, state="delivered"), 3: message(3)}
    assert (await client.post(f"{API}/retry", json={"messages": [1]})).status_code == 401
    tried = await client.post(f"{API}/retry", headers=operator, json={"messages": [1]})
    assert [(one["id"], one["state"]) for one in tried.json()] == [(1, "pending")]
    refused = await client.post(f"{API}/retry", headers=operator, json={"messages": [2]})
    assert (refused.status_code, refused.json()) == (409, {"error": "message 2 was delivered"})
    dropped = await client.post(f"{API}/drop", headers=operator, json={"messages": [3], "reason": "a drill"})
    assert [(one["state"], one["last_error"]) for one in dropped.json()] == [("dropped", "a drill")]
    gone = await client.post(f"{API}/drop", headers=operator, json={"messages": [9], "reason": "x"})
    assert (gone.status_code, gone.json()) == (404, {"error": "there is no message 9"})
    for body in (
        {"messages": [3]},
        {"messages": [], "reason": "x"},
        {"messages": [3], "reason": "x", "y": 1},
    ):
        assert (await client.post(f"{API}/drop", headers=operator, json=body)).status_code == 422


async def test_openapi_names_what_can_be_done_with_messages(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/api/openapi.json")).json()["paths"]
    operations = [
        one["operationId"] for path, each in paths.items() if path.startswith(API) for one in each.values()
    ]
    assert sorted(operations) == ["dropMessages", "listMessages", "retryMessages"]
