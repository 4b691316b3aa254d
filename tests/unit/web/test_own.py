from __future__ import annotations

import math
import sqlite3
from dataclasses import replace

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from sentinel.model.incident import Grade, IncidentState
from tests.unit.web.fakes import Rooms, alert, incident, poll

API = "/api/sentinel/v1"


async def test_targets_carry_their_polls(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.fleet.polls = [
        poll("web1", labels={"site": "a"}),
        poll("web1", "probe", up=False, detail="refused"),
        poll("b", up=None),
    ]
    web1, b = (await client.get(f"{API}/targets")).json()
    assert web1["labels"] == {"site": "a"}
    assert [one["state"] for one in web1["polls"]] == ["up", "down"]
    assert web1["polls"][1]["detail"] == "refused"
    assert b["polls"][0]["state"] == "waiting"


async def test_alerts_with_a_value_that_json_has_not(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.alerts.alerts = [replace(alert("A", "x"), value=math.nan), replace(alert("B", "x"), value=math.inf)]
    found = (await client.get(f"{API}/alerts")).json()
    assert [one["value"] for one in found] == ["NaN", "+Inf"]
    assert (await client.get(f"{API}/alerts?state=pending")).json() == []
    assert (await client.get(f"{API}/alerts?state=nonsense")).status_code == 422


async def test_incidents_are_listed_shown_and_moved(
    client: httpx.AsyncClient, rooms: Rooms, operator: dict[str, str]
) -> None:
    rooms.incidents.stories = {
        1: incident(1, Grade.II, alerts=(alert("HostDown", "web1"),)),
        2: incident(2, state=IncidentState.RESOLVED),
    }
    assert [one["id"] for one in (await client.get(f"{API}/incidents")).json()] == [1]
    assert [one["id"] for one in (await client.get(f"{API}/incidents?state=resolved")).json()] == [2]
    story = (await client.get(f"{API}/incidents/1")).json()
    assert story["incident"]["grade"] == "II"
    assert story["alerts"][0]["name"] == "HostDown"
    assert story["timeline"][0]["kind"] == "opened"

    taken = await client.post(f"{API}/incidents/1/acknowledge", headers=operator, json={"text": "on my way"})
    assert taken.json()["acknowledged_by"] == "li.wei"
    await client.post(f"{API}/incidents/1/note", headers=operator, json={"text": "cable replaced"})
    await client.post(f"{API}/incidents/1/resolve", headers=operator)
    timeline = (await client.get(f"{API}/incidents/1")).json()["timeline"]
    assert [entry["text"] for entry in timeline[-3:]] == ["on my way", "cable replaced", ""]


async def test_refusals_say_why(client: httpx.AsyncClient, rooms: Rooms, operator: dict[str, str]) -> None:
    rooms.incidents.stories[2] = incident(2, state=IncidentState.RESOLVED)
    gone = await client.get(f"{API}/incidents/99")
    assert (gone.status_code, gone.json()) == (404, {"error": "there is no incident 99"})
    late = await client.post(f"{API}/incidents/2/acknowledge", headers=operator)
    assert (late.status_code, late.json()) == (409, {"error": "incident 2 is already resolved"})
    empty = await client.post(f"{API}/incidents/2/note", headers=operator, json={"text": ""})
    assert empty.status_code == 422
    assert "text" in empty.json()["error"]
    stray = await client.post(
        f"{API}/incidents/2/note", headers=operator, json={"text": "a", "actor": "boss"}
    )
    assert stray.status_code == 422
    assert (await client.get(f"{API}/nothing")).json() == {"error": "Not Found"}


async def test_openapi_names_every_operation_and_no_documentation_page_is_served(
    client: httpx.AsyncClient,
) -> None:
    schema = (await client.get("/api/openapi.json")).json()
    operations = [one["operationId"] for path in schema["paths"].values() for one in path.values()]
    assert sorted(operations) == [
        "acknowledgeIncident",
        "listAlerts",
        "listIncidents",
        "listTargets",
        "noteIncident",
        "resolveIncident",
        "showIncident",
        "showTopology",
    ]
    assert (await client.get("/docs")).status_code == 404


async def test_long_lists_are_read_in_pages(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.incidents.stories = {number: incident(number) for number in range(1, 6)}
    first = (await client.get(f"{API}/incidents?limit=3")).json()
    rest = (await client.get(f"{API}/incidents?limit=3&after={first[-1]['id']}")).json()
    assert [one["id"] for one in first + rest] == [5, 4, 3, 2, 1]


async def test_a_database_that_is_busy_is_said_and_passes(
    client: httpx.AsyncClient, rooms: Rooms, operator: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        cause = sqlite3.OperationalError("database is locked")
        cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError("UPDATE", {}, cause)

    monkeypatch.setattr(rooms.incidents, "acknowledge", busy)
    answer = await client.post(f"{API}/incidents/1/acknowledge", headers=operator)
    assert answer.status_code == 503
    assert "try again" in answer.json()["error"]
    assert answer.headers["retry-after"] == "5"
