"""Silences and maintenance windows in the own API, over the real service."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from sentinel.db.audit import read_audit
from sentinel.db.database import Database
from sentinel.model.alert import AlertState
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silences import Silences
from sentinel.web.app import create_app
from sentinel.web.seams.faces import Site
from tests.unit.incidents.alerts import alert
from tests.unit.web.fakes import NOW, Rooms

API = "/api/sentinel/v1"
SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass
class Place:
    client: httpx.AsyncClient
    app: FastAPI
    db: Database
    silences: Silences
    operator: dict[str, str]

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"{API}{path}", headers=self.operator, json=body)

    async def get(self, path: str) -> Any:
        answer = await self.client.get(f"{API}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def place(tmp_path: Path, rooms: Rooms, operator: dict[str, str]) -> AsyncIterator[Place]:
    faces = rooms.faces()
    async with Database.open("sqlite:///s.db", clock=faces.clock, data_dir=tmp_path) as db:
        behind = {"sw1": {"host1", "host2"}}
        silences = Silences(
            db,
            faces.clock,
            Mutes(lambda names: set().union(*(behind.get(name, set()) for name in names))),
            lambda: None,
            alerts=lambda: [
                replace(alert(instance=f"sw{number}"), state=AlertState.FIRING) for number in range(8)
            ],
            targets=lambda: ["sw1", "sw2", "host1", "host2"],
        )
        site = Site(timezone=SHANGHAI)
        app = create_app(replace(faces, silences=silences, site=site), CollectorRegistry())
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9788") as client:
            yield Place(client, app, db, silences, operator)


async def test_a_silence_from_writing_to_expiring(place: Place) -> None:
    answer = await place.post(
        "/silences",
        matchers=['instance="sw1"', {"name": "job", "value": "if.*", "isRegex": True}],
        duration="2h",
        comment="new power supply",
        created_by="wang",
    )
    assert answer.status_code == 200, answer.text
    written = answer.json()
    assert (written["state"], written["starts_at"], written["ends_at"]) == ("active", NOW, NOW + 7200)
    assert (written["created_by"], written["warning"]) == ("wang", "")
    assert written["text"] == 'instance="sw1", job=~"if.*"'
    assert written["matchers"][1] == {"name": "job", "value": "if.*", "isRegex": True, "isEqual": True}
    (listed,) = await place.get("/silences")
    assert listed == await place.get(f"/silences/{written['id']}")
    assert listed["id"] == written["id"]
    assert await place.get("/maintenance") == []
    assert await place.get("/silences?state=pending&state=expired") == []
    assert len(await place.get('/silences?matcher=instance="sw1"&created_by=wang')) == 1
    assert await place.get("/silences?matcher=instance=sw2") == []
    changed = await place.post(
        "/silences",
        id=written["id"],
        matchers=[written["text"]],
        starts_at=NOW,
        ends_at=NOW + 9000,
        comment="more",
    )
    assert (changed.json()["id"], changed.json()["ends_at"]) == (written["id"], NOW + 9000)
    gone = await place.client.delete(f"{API}/silences/{written['id']}", headers=place.operator)
    assert gone.json()["state"] == "expired"
    assert [entry.action for entry in await read_audit(place.db)] == [
        "silence.expire",
        "silence.edit",
        "silence.create",
    ]
    assert {entry.actor for entry in await read_audit(place.db)} == {"li.wei"}


async def test_a_window_with_dependants_recurs_by_the_daemons_zone(place: Place) -> None:
    answer = await place.post(
        "/maintenance",
        targets=["sw1"],
        starts_at="02:00",
        ends_at="04:00",
        recurring="sunday",
        comment="updates",
        change="CHG-12",
    )
    assert answer.status_code == 200, answer.text
    written = answer.json()
    begin = datetime.fromtimestamp(written["starts_at"], SHANGHAI)
    assert (begin.strftime("%A %H:%M"), written["ends_at"] - written["starts_at"]) == ("Sunday 02:00", 7200)
    assert written["recurrence"] == {"rule": "sunday", "zone": "Asia/Shanghai"}
    assert (written["state"], written["over_at"], written["change"]) == ("pending", None, "CHG-12")
    assert (written["targets"], written["dependants"]) == (["sw1"], ["host1", "host2"])
    assert (await place.get("/maintenance"))[0]["id"] == written["id"]
    assert (await place.client.get(f"{API}/silences/{written['id']}")).status_code == 404
    ended = await place.client.delete(f"{API}/maintenance/{written['id']}", headers=place.operator)
    assert (ended.status_code, ended.json()["state"]) == (200, "expired")


async def test_a_change_leaves_the_rest_as_it_is(place: Place) -> None:
    made = (await place.post("/silences", matchers=["a=x"], duration="1h", comment="x")).json()
    where = f"{API}/silences/{made['id']}"

    async def changed(url: str, **body: Any) -> httpx.Response:
        return await place.client.patch(url, headers=place.operator, json=body)

    longer = (await changed(where, duration="3h")).json()
    assert (longer["id"], longer["ends_at"], longer["comment"]) == (made["id"], NOW + 10800, "x")
    worded = (await changed(where, comment="new words", ends_at=NOW + 60)).json()
    assert worded == longer | {"comment": "new words", "ends_at": NOW + 60, "over_at": NOW + 60}
    assert (await changed(where, ends_at=NOW - 60)).status_code == 422
    assert (await changed(where, matchers=["a=y"])).status_code == 422
    assert (await changed(f"{API}/maintenance/{made['id']}", comment="x")).status_code == 404
    window = (
        await place.post("/maintenance", targets=["sw1"], duration="1h", recurring="daily", comment="x")
    ).json()
    there = f"{API}/maintenance/{window['id']}"
    assert (await changed(there, change="CHG-2", comment="y")).json() == window | {
        "change": "CHG-2",
        "comment": "y",
    }
    refused = await changed(there, duration="2h")
    assert (refused.status_code, refused.json()["error"][:11]) == (422, "what recurs")


async def test_a_preview_writes_nothing_and_warns(place: Place) -> None:
    body = {
        "matchers": ['instance=~"sw[0-3]"'],
        "starts_at": "2024-03-31T02:30",
        "duration": "1h",
        "comment": "x",
    }
    answer = await place.post("/silences/preview", **body, recurring="daily", zone="Europe/Berlin")
    shown = answer.json()
    assert (shown["matched"], shown["open"], len(shown["alerts"]), len(shown["windows"])) == (4, 8, 4, 5)
    assert shown["warning"] == "it matches 4 of 8 open alerts (50%; more than 25%): is that meant?"
    assert await place.get("/silences") == []
    assert await read_audit(place.db) == []
    window = await place.post("/maintenance/preview", targets=["sw1"], duration="1h", comment="x")
    assert (window.json()["targets"], window.json()["matched"]) == (["host1", "host2", "sw1"], 1)
    written = await place.post("/silences", **body | {"starts_at": None})
    assert written.json()["warning"] == shown["warning"]


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/silences", {}, "Field required"),
        ("/silences", {"comment": "x", "duration": "1h"}, "at least one matcher"),
        ("/silences", {"matchers": ["a=x"], "comment": "", "duration": "1h"}, "at least 1 character"),
        ("/silences", {"matchers": ["a=x"], "comment": "x"}, "either an end or a duration"),
        ("/silences", {"matchers": ["a=x"], "comment": "x", "duration": "1h", "ends_at": 5}, "either an end"),
        ("/silences", {"matchers": ["a=x"], "comment": "x", "duration": "1 hour"}, "not a duration"),
        ("/silences", {"matchers": ["a=x"], "comment": "x", "duration": "0"}, "start must be before the end"),
        ("/silences", {"matchers": ["a=x"], "comment": "x", "ends_at": "tomorrow"}, "not a time"),
        ("/silences", {"matchers": ["a=x"], "comment": "x", "ends_at": 1e300}, "not an instant"),
        ("/silences", {"matchers": ["a=x"], "comment": "x", "duration": "9000y"}, "not an instant"),
        (
            "/silences",
            {"matchers": ["a=x"], "comment": "x", "ends_at": NOW - 1, "starts_at": 5},
            "in the future",
        ),
        ("/silences", {"matchers": ["a"], "comment": "x", "duration": "1h"}, "not a matcher"),
        ("/silences", {"matchers": ["a=~["], "comment": "x", "duration": "1h"}, "regular expression"),
        ("/silences", {"matchers": [{"name": "a"}], "comment": "x", "duration": "1h"}, "Field required"),
        ("/silences", {"matchers": ["a=x"] * 51, "comment": "x", "duration": "1h"}, "at most 50 items"),
        (
            "/silences",
            {"matchers": [",".join(["a=x"] * 60)], "comment": "x", "duration": "1h"},
            "more than 50",
        ),
        ("/silences", {"matchers": ["a=x"], "comment": "x", "duration": "1h", "zone": "../x"}, "time zone"),
        (
            "/silences",
            {"matchers": ["a=x"], "comment": "x", "duration": "1h", "targets": ["sw1"]},
            "Extra inputs",
        ),
        (
            "/silences",
            {
                "matchers": ["a=x"],
                "comment": "x",
                "starts_at": "2:00",
                "duration": "1h",
                "recurring": "sundy",
            },
            "did you mean",
        ),
        (
            "/silences",
            {
                "matchers": ["a=x"],
                "comment": "x",
                "duration": "1h",
                "recurring": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
            },
            "does not give",
        ),
        ("/maintenance", {"comment": "x", "duration": "1h"}, "needs a matcher or a target"),
        (
            "/maintenance",
            {"targets": ["sw3"], "comment": "x", "duration": "1h"},
            "no target 'sw3' .did you mean",
        ),
    ],
)
async def test_what_cannot_be_written_is_refused(
    place: Place, path: str, body: dict[str, Any], why: str
) -> None:
    for where in (path, f"{path}/preview"):
        answer = await place.post(where, **body)
        assert answer.status_code == 422, answer.text
        assert list(answer.json()) == ["error"]
        assert re.search(why, answer.json()["error"])
    assert len(place.silences.mutes) == 0


async def test_only_operators_write_and_everybody_reads(place: Place) -> None:
    made = (await place.post("/silences", matchers=["a=x"], duration="1h", comment="x")).json()["id"]
    schema = place.app.openapi()["paths"]
    ours = [
        (path, method.upper())
        for path, methods in schema.items()
        if path.startswith((f"{API}/silences", f"{API}/maintenance"))
        for method in methods
    ]
    assert len(ours) == 12
    for path, method in ours:
        answer = await place.client.request(method, path.replace("{id}", made))
        if method == "GET":
            assert answer.status_code == (404 if "maintenance/{id}" in path else 200), path
        else:
            assert answer.status_code == 401, path
    assert place.silences.get(made).over_at == NOW + 3600


async def test_what_is_not_there_is_not_found(place: Place) -> None:
    for path in ("/silences/nothing", "/maintenance/'; DROP TABLE silence"):
        assert (await place.client.get(f"{API}{path}")).status_code == 404
        gone = await place.client.delete(f"{API}{path}", headers=place.operator)
        assert gone.status_code == 404
        assert gone.json()["error"].startswith("there is no ")
    answer = await place.post("/silences", id="nothing", matchers=["a=x"], duration="1h", comment="x")
    assert answer.status_code == 404
