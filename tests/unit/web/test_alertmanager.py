"""/api/v2: who may, what is too much, and what becomes of texts that mean harm."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson
import pytest
import yaml
from prometheus_client import CollectorRegistry

from sentinel.config.settings import Settings
from sentinel.incidents.received.posted import Posted
from sentinel.incidents.received.received import NotCommittedError, Verdict
from sentinel.model.alert import AlertState, Sent
from sentinel.model.labels import Labels
from sentinel.model.signature import signature
from sentinel.notify.decision import Circumstances, Obstacle, Why
from sentinel.notify.tree import Route
from sentinel.web.alertmanager.order import by_labels
from sentinel.web.alertmanager.reading import read_alerts
from sentinel.web.alertmanager.status import written
from sentinel.web.app import create_app
from sentinel.web.guard import MAX_BODY
from sentinel.web.seams.telling import Arrangement
from tests.unit.web.fakes import NOW, SENDER_TOKEN, TOKEN, Rooms, alert

SETTINGS = {
    "route": {
        "receiver": "hook",
        "resolve_timeout": "7m",
        "routes": [
            {"receiver": "nobody", "matchers": ['team="none"']},
            {
                "receiver": "mail",
                "matchers": ['severity=~"w.*"'],
                "group_by": ["severity"],
                "group_wait": "9s",
                "mute_time_intervals": ["always"],
                "continue": True,
            },
        ],
    },
    "receiver": [
        {
            "name": "hook",
            "kind": "webhook",
            "url": "http://canary-url/",
            "headers": {"Authorization": "canary"},
        },
        {
            "name": "mail",
            "kind": "email",
            "to": ["a@example.org"],
            "from": "b@example.org",
            "smarthost": "canary:25",
        },
    ],
    "inhibit": [{"source_matchers": ['a="b"'], "target_matchers": ['c="d"'], "equal": ["e"]}],
    "time_interval": [
        {
            "name": "always",
            "time_intervals": [
                {
                    "times": [{"start_time": "00:00", "end_time": "24:00"}],
                    "weekdays": ["sunday:saturday"],
                    "days_of_month": ["1:-1"],
                    "months": ["january:december"],
                    "years": ["2000:2100"],
                    "location": "Asia/Shanghai",
                }
            ],
        }
    ],
}


@dataclass
class Intake:
    verdict: Verdict = field(default_factory=Verdict)
    taken: list[tuple[Sequence[Posted], str]] = field(default_factory=list)
    is_stuck: bool = False

    async def take(self, posted: Sequence[Posted], sender: str) -> Verdict:
        self.taken.append((posted, sender))
        if self.is_stuck:
            raise NotCommittedError
        return self.verdict


@dataclass
class Place:
    rooms: Rooms
    intake: Intake
    client: httpx.AsyncClient

    async def post(self, body: Any, token: str = SENDER_TOKEN, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"} | headers
        return await self.client.post("/api/v2/alerts", content=content, headers=headers)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    rooms, intake, parsed = Rooms(), Intake(), Settings.model_validate(SETTINGS)
    assert parsed.route is not None
    circumstances = Circumstances(
        mutes=lambda labels, at: (
            [Obstacle(Why.SILENCE, "s", source="id-2"), Obstacle(Why.SILENCE, "s", source="id-1")]
            if labels.get("instance") == "muted"
            else []
        ),
        inhibitions=lambda one: (
            [Obstacle(Why.INHIBITION, "s", source=alert("Up", "web1").fingerprint)]
            if one.name == "Below"
            else []
        ),
    )
    arrangement = Arrangement(parsed, circumstances, Route.of(parsed.route))
    faces = replace(rooms.faces(), alert_intake=intake, arranged=lambda: arrangement)
    transport = httpx.ASGITransport(app=create_app(faces, CollectorRegistry()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9788") as client:
        yield Place(rooms, intake, client)


async def test_a_senders_token_sends_alerts_and_nothing_else(place: Place) -> None:
    assert (await place.post([{"labels": {"a": "b"}}])).status_code == 200
    assert (await place.post([], TOKEN)).status_code == 200
    assert [sender for _, sender in place.intake.taken] == ["prometheus", "li.wei"]
    for path in ("/api/v2/silences", "/api/v2/alerts/groups", "/api/v2/silence/x"):
        headers = {"Authorization": f"Bearer {SENDER_TOKEN}"}
        assert (await place.client.post(path, json={}, headers=headers)).status_code == 401
        assert (await place.client.delete(path, headers=headers)).status_code == 401
    for token in ("", "stl_wrong"):
        assert (await place.post([], token)).status_code == 401
    assert len(place.intake.taken) == 2


async def test_machines_send_under_any_host_name_and_pages_of_others_do_not(place: Place) -> None:
    assert (await place.post([], Host="sentinel.branch.example.org")).status_code == 200
    assert (await place.post([], Origin="https://evil.example.org")).status_code == 403
    read = await place.client.get("/api/v2/alerts", headers={"Host": "evil.example.org"})
    assert read.status_code == 403


async def test_larger_bodies_than_alerts_need_are_refused(place: Place) -> None:
    assert (await place.post(b"[" + b" " * MAX_BODY + b"]")).status_code == 413
    assert (await place.post(b"[" + b" " * (MAX_BODY - 2) + b"]")).status_code == 200
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b'[{"labels":' + b"[" * 5000):
        assert (await place.post(body)).status_code == 400
    assert len(place.intake.taken) == 1


async def test_verdicts_become_answers(place: Place) -> None:
    place.intake.verdict = Verdict(firing=3, invalid=2, faults=["one", "two"])
    answer = await place.post([])
    assert (answer.status_code, answer.json()) == (400, "one; two")
    place.intake.verdict = Verdict(invalid=1000, faults=["one"])
    assert (await place.post([])).json() == "one; 999 more"
    place.intake.verdict = Verdict(left_out=7)
    answer = await place.post([])
    assert (answer.status_code, answer.json()) == (429, "too many alerts: 7 of these are left out")
    place.intake.is_stuck = True
    answer = await place.post([])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


HARM = '"><img src=x onerror=alert(1)>\n{{7*7}}\x00'


async def test_harmful_texts_stay_texts(place: Place) -> None:
    bad = alert("Up", "web1", note=HARM)
    bad = replace(bad, sent=Sent(NOW + 60, generator_url="javascript:alert(1)"))
    place.rooms.alerts.alerts = [bad]
    answer = await place.client.get("/api/v2/alerts")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    (shown,) = answer.json()
    assert shown["annotations"]["note"] == HARM
    assert shown["generatorURL"] == "javascript:alert(1)"
    for query in ("'; DROP TABLE alert; --", "a=b\x00", "🙂", "x" * 9000, "a=~(((((", "a=~" + "(a*)*" * 50):
        answer = await place.client.get("/api/v2/alerts", params={"filter": query})
        assert answer.status_code in (200, 400)
    pages = await place.client.get("/")
    assert "javascript:" not in pages.text


async def test_only_what_fires_is_shown_once_with_its_state(place: Place) -> None:
    pending = alert("Wait", "web1", state=AlertState.PENDING)
    unknown = alert("Lost", "web1", state=AlertState.UNKNOWN)
    ours = alert("Up", "web1")
    received = replace(ours, fingerprint="other", sent=Sent(NOW + 60))
    place.rooms.alerts.alerts = [pending, unknown, ours, received, alert("Below", "muted")]
    shown = {one["labels"]["alertname"]: one for one in (await place.client.get("/api/v2/alerts")).json()}
    assert shown.keys() == {"Lost", "Up", "Below"}
    assert shown["Below"]["status"] == {
        "state": "suppressed",
        "silencedBy": ["id-1", "id-2"],
        "inhibitedBy": [shown["Up"]["fingerprint"]],
        "mutedBy": [],
    }
    assert shown["Up"]["status"]["state"] == "active"
    assert shown["Up"]["startsAt"] == "2023-11-14T22:09:20.000Z", "when it fired, not when it was first seen"
    assert [one["name"] for one in shown["Up"]["receivers"]] == ["mail"]


async def test_groups_of_a_route_that_is_muted_say_so(place: Place) -> None:
    place.rooms.alerts.alerts = [alert("Up", "web1"), alert("Down", "web2", severity="critical")]
    groups = (await place.client.get("/api/v2/alerts/groups")).json()
    assert [(group["receiver"]["name"], group["labels"]) for group in groups] == [
        ("mail", {"severity": "warning"}),
        ("hook", {"alertname": "Down", "instance": "web2"}),
    ]
    muted = groups[0]["alerts"][0]["status"]
    assert (muted["state"], muted["mutedBy"]) == ("suppressed", ["always"])
    told = (await place.client.get("/api/v2/alerts/groups", params={"muted": "false"})).json()
    assert [group["receiver"]["name"] for group in told] == ["hook"]


async def test_status_shows_the_routing_and_no_secret(place: Place) -> None:
    status = (await place.client.get("/api/v2/status")).json()
    assert "canary" not in status["config"]["original"]
    told = yaml.safe_load(status["config"]["original"])
    assert told["global"] == {"resolve_timeout": "7m"}
    assert [one["name"] for one in told["receivers"]] == ["hook", "mail", "nobody"]
    top = told["route"]
    assert (top["receiver"], top["group_by"], top["group_wait"]) == ("hook", ["alertname", "instance"], "0s")
    assert top["routes"][1] == {
        "receiver": "mail",
        "matchers": ['severity=~"w.*"'],
        "group_by": ["severity"],
        "group_wait": "9s",
        "group_interval": "5m",
        "repeat_interval": "4h",
        "mute_time_intervals": ["always"],
        "continue": True,
    }
    assert told["time_intervals"][0]["time_intervals"][0] == {
        "times": [{"start_time": "00:00", "end_time": "24:00"}],
        "weekdays": ["sunday:saturday"],
        "days_of_month": ["1:-1"],
        "months": ["january:december"],
        "years": ["2000:2100"],
        "location": "Asia/Shanghai",
    }
    receivers = (await place.client.get("/api/v2/receivers")).json()
    assert receivers == [{"name": "hook"}, {"name": "mail"}, {"name": "nobody"}]
    assert yaml.safe_load(written(Settings())) == {"global": {"resolve_timeout": "5m"}, "receivers": []}


async def test_what_is_not_there_is_said_in_the_api_s_own_form(place: Place) -> None:
    answer = await place.client.get("/api/v2/nothing")
    assert (answer.status_code, answer.json()) == (
        404,
        {"code": 404, "message": "path /api/v2/nothing was not found"},
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = await place.client.put("/api/v2/status", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (405, 405)


def test_a_body_full_of_alerts_is_read_quickly() -> None:
    labels = {f"label{number}": "value" for number in range(10)}
    body = orjson.dumps([{"labels": labels | {"n": str(number)}} for number in range(5_000)])
    assert MAX_BODY / 2 < len(body) < MAX_BODY
    began = time.thread_time()
    assert len(read_alerts(body)) == 5_000
    assert time.thread_time() - began < 4.0


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        # As a real Alertmanager 0.25 shows them.
        ({"a": "b"}, "d2b371819297f98a"),
        ({"ok": "1"}, "8d4653b8b9db0024"),
        ({"a": "\ufffd"}, "dd22faed59597613"),
        ({"a": "c", "alertname": "A", "instance": "x"}, "00c00e2be1c02e8e"),
        ({}, "cbf29ce484222325"),
    ],
)
def test_fingerprints_are_alertmanagers(labels: dict[str, str], known: str) -> None:
    assert signature(Labels(labels)) == known


def test_label_sets_are_in_alertmanagers_order() -> None:
    order = [
        Labels(),
        Labels(b="1"),
        Labels(a="1"),
        Labels(a="2"),
        Labels(b="1", c="1"),
        Labels(a="1", c="1"),
        Labels(a="1", b="9"),
    ]
    assert sorted(sorted(order), key=by_labels) == order
