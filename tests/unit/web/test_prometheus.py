from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from sentinel.model.alert import AlertState
from sentinel.promql.errors import EvaluationError
from tests.unit.web.fakes import NOW, Rooms, alert, poll, vector


async def _data(client: httpx.AsyncClient, path: str, **parameters: str) -> Any:
    answer = await client.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "success"
    return body["data"]


async def _error(client: httpx.AsyncClient, path: str, **parameters: str) -> tuple[int, str, str]:
    answer = await client.get(f"/api/v1/{path}", params=parameters)
    body = answer.json()
    assert body["status"] == "error"
    return answer.status_code, body["errorType"], body["error"]


async def test_a_vector(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.expressions.answers["up"] = vector(
        ({"__name__": "up", "instance": "a"}, 1.0), ({"x": "y"}, math.nan)
    )
    assert await _data(client, "query", query="up", time="1700000000.5") == {
        "resultType": "vector",
        "result": [
            {"metric": {"__name__": "up", "instance": "a"}, "value": [1700000000.5, "1"]},
            {"metric": {"x": "y"}, "value": [1700000000.5, "NaN"]},
        ],
    }


async def test_a_scalar_and_a_string_at_the_present(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.expressions.answers |= {"1+1": 2.0, '"a"': "a"}
    assert await _data(client, "query", query="1+1") == {"resultType": "scalar", "result": [NOW, "2"]}
    assert await _data(client, "query", query='"a"') == {"resultType": "string", "result": [NOW, "a"]}


async def test_a_query_may_be_posted_as_a_form(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.expressions.answers["1+1"] = 2.0
    answer = await client.post("/api/v1/query", data={"query": "1+1", "time": "5"})
    assert answer.json()["data"]["result"] == [5, "2"]


async def test_a_limit_truncates_with_a_warning(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.expressions.answers["up"] = vector(({"i": "1"}, 1.0), ({"i": "2"}, 1.0))
    answer = (await client.get("/api/v1/query", params={"query": "up", "limit": "1"})).json()
    assert len(answer["data"]["result"]) == 1
    assert answer["warnings"] == ["results truncated due to limit"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"query": "up ++"}, 'invalid parameter "query": 1:6: parse error: not in this fake'),
        ({"query": "a\nbc"}, 'invalid parameter "query": 2:3: parse error: not in this fake'),
        ({}, 'invalid parameter "query": 1:1: parse error: not in this fake'),
        (
            {"query": "up", "time": "soon"},
            'invalid parameter "time": cannot parse "soon" to a valid timestamp',
        ),
        ({"query": "up", "limit": "-1"}, 'invalid parameter "limit": cannot parse "-1" to a valid limit'),
        ({"query": "up", "lookback_delta": "1m"}, 'parameter "lookback_delta" is not supported'),
    ],
)
async def test_a_bad_query_is_bad_data(
    client: httpx.AsyncClient, parameters: dict[str, str], text: str
) -> None:
    assert await _error(client, "query", **parameters) == (400, "bad_data", text)


async def test_a_query_that_cannot_be_evaluated(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.expressions.answers["a*b"] = EvaluationError("many-to-many matching not allowed")
    expected = (422, "execution", "many-to-many matching not allowed")
    assert await _error(client, "query", query="a*b") == expected
    assert await _error(client, "query_range", query="a*b", start="0", end="9", step="1") == expected


async def test_a_range_comes_in_one_piece_however_it_was_sliced(
    client: httpx.AsyncClient, rooms: Rooms
) -> None:
    rooms.expressions.answers["ramp"] = 0.0
    end = str(NOW + 990)
    data = await _data(client, "query_range", query="ramp", start=str(NOW), end=end, step="10s")
    assert data["resultType"] == "matrix"
    (line,) = data["result"]
    assert line["metric"] == {"__name__": "ramp"}
    assert line["values"] == [[NOW + step * 10, str(step * 10)] for step in range(100)]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"start": "9", "end": "1", "step": "1"}, "end timestamp must not be before start time"),
        ({"start": "0", "end": "9", "step": "0"}, "zero or negative query resolution step widths"),
        ({"start": "0", "end": "9"}, 'invalid parameter "step"'),
        ({"end": "9", "step": "1"}, 'invalid parameter "start"'),
        ({"start": "0", "end": "20000", "step": "1"}, "exceeded maximum resolution of 11,000 points"),
    ],
)
async def test_a_bad_range_is_bad_data(
    client: httpx.AsyncClient, parameters: dict[str, str], text: str
) -> None:
    status, kind, error = await _error(client, "query_range", query="up", **parameters)
    assert (status, kind) == (400, "bad_data")
    assert text in error


async def test_alerts(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.alerts.alerts = [alert("HostDown", "a"), alert("HostDown", "b", state=AlertState.UNKNOWN)]
    firing, unknown = (await _data(client, "alerts"))["alerts"]
    assert firing["labels"]["alertname"] == "HostDown"
    assert firing["state"] == "firing"
    assert firing["value"] == "1e+00"
    assert firing["activeAt"].endswith("Z")
    assert "sentinelState" not in firing
    assert (unknown["state"], unknown["sentinelState"]) == ("firing", "unknown")


async def test_rules(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.alerts.alerts = [alert("HostDown", "a")]
    (group,) = (await _data(client, "rules"))["groups"]
    assert (group["name"], group["file"], group["interval"]) == ("hosts", "rules/host.yml", 15.0)
    alerting, recording = group["rules"]
    assert alerting["type"] == "alerting"
    assert alerting["state"] == "firing"
    assert alerting["duration"] == 60.0
    assert alerting["annotations"] == {"summary": "{{ $labels.instance }} is down"}
    assert len(alerting["alerts"]) == 1
    assert recording["type"] == "recording"
    assert recording["lastError"] == "too many series"
    assert "state" not in recording


async def test_rules_are_filtered(client: httpx.AsyncClient) -> None:
    (group,) = (await _data(client, "rules", type="record"))["groups"]
    assert [rule["name"] for rule in group["rules"]] == ["job:up:sum"]
    assert (await _data(client, "rules", **{"rule_name[]": "nothing"}))["groups"] == []
    assert (await _error(client, "rules", type="x"))[1] == "bad_data"
    assert (await _error(client, "rules", **{"match[]": "{a='b'}"}))[1] == "bad_data"


async def test_targets(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.fleet.polls = [poll("web1"), poll("sw1", "if_mib", up=False, detail="no answer within 10 s")]
    up, down = (await _data(client, "targets"))["activeTargets"]
    assert up["health"] == "up"
    assert up["labels"] == {"instance": "web1", "job": "linux"}
    assert up["scrapeInterval"] == "1m"
    assert (down["health"], down["lastError"]) == ("down", "no answer within 10 s")
    assert (await _data(client, "targets", state="dropped"))["activeTargets"] == []


async def test_buildinfo(client: httpx.AsyncClient) -> None:
    assert (await _data(client, "status/buildinfo"))["version"]


async def test_the_rest_is_not_found_in_the_envelope(client: httpx.AsyncClient) -> None:
    assert (await _error(client, "labels"))[:2] == (404, "not_found")
