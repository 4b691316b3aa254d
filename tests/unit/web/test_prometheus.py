from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import sentinel
from sentinel.model.alert import AlertState
from sentinel.model.labels import Labels
from sentinel.promql.errors import AbandonedError, EvaluationError, QueryTimeoutError
from sentinel.promql.service import Question, Reply
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.web.answers import PiecewiseResponse
from sentinel.web.formats import MAX_INSTANT
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
            'invalid parameter "time": Invalid time value for \'time\': cannot parse "soon" to a valid timestamp',
        ),
        ({"query": "up", "limit": "-1"}, 'invalid parameter "limit": cannot parse "-1" to a valid limit'),
        (
            {"query": "up", "timeout": "ever"},
            'invalid parameter "timeout": cannot parse "ever" to a valid duration',
        ),
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
    (group,) = (await _data(client, "rules", **{"match[]": '{severity="critical"}'}))["groups"]
    assert [rule["name"] for rule in group["rules"]] == ["HostDown"]
    assert (await _data(client, "rules", **{"match[]": '{severity="none"}'}))["groups"] == []
    assert (await _error(client, "rules", **{"match[]": "{a="}))[1] == "bad_data"


async def test_rules_come_in_pages(
    client: httpx.AsyncClient, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    (status,) = rooms.alerts.groups
    names = ("a", "b", "c", "d", "e")
    many = [replace(status, group=replace(status.group, name=name)) for name in names]
    monkeypatch.setattr(type(rooms.alerts), "groups", many)
    token, pages = "", []
    while True:
        given = {"group_limit": "2"} | ({"group_next_token": token} if token else {})
        data = await _data(client, "rules", **given)
        pages.append([group["name"] for group in data["groups"]])
        token = data.get("groupNextToken", "")
        if not token:
            break
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert [group["name"] for group in (await _data(client, "rules", group_limit="5"))["groups"]] == [*names]


@pytest.mark.parametrize(
    "given",
    [
        {"group_limit": "0"},
        {"group_limit": "-1"},
        {"group_limit": "x"},
        {"group_limit": "99999999999"},
        {"group_next_token": "abc"},
        {"group_limit": "1", "group_next_token": "of another day"},
    ],
)
async def test_pages_that_are_not_there_are_refused(client: httpx.AsyncClient, given: dict[str, str]) -> None:
    assert (await _error(client, "rules", **given))[:2] == (400, "bad_data")


async def test_targets(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.fleet.polls = [poll("web1"), poll("sw1", "if_mib", up=False, detail="no answer within 10 s")]
    up, down = (await _data(client, "targets"))["activeTargets"]
    assert up["health"] == "up"
    assert up["labels"] == {"instance": "web1", "job": "linux"}
    assert up["scrapeInterval"] == "1m"
    assert (down["health"], down["lastError"]) == ("down", "no answer within 10 s")
    assert (await _data(client, "targets", state="dropped"))["activeTargets"] == []


async def test_buildinfo(client: httpx.AsyncClient) -> None:
    facts = await _data(client, "status/buildinfo")
    assert facts["version"] == "3.0.0"
    assert facts["sentinelVersion"] == sentinel.__version__
    assert "features" not in facts


async def test_the_rest_is_not_found_in_the_envelope(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    assert (await _error(client, "nonsense"))[:2] == (404, "not_found")
    answer = await client.post("/api/v1/alerts", headers=operator)
    assert (answer.status_code, answer.json()["status"]) == (405, "error")


async def test_what_is_said_beside_an_answer(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.expressions.answers |= {"1": 1.0, "up": vector(({"i": "1"}, 1.0), ({"i": "2"}, 1.0))}
    rooms.queries.warnings, rooms.queries.infos = ["PromQL warning: so"], ["PromQL info: and so"]
    for text in ("1", "up"):
        body = (await client.get("/api/v1/query", params={"query": text})).json()
        assert (body["warnings"], body["infos"]) == (["PromQL warning: so"], ["PromQL info: and so"])
    body = (await client.get("/api/v1/query", params={"query": "up", "limit": "1"})).json()
    assert body["warnings"] == ["PromQL warning: so", "results truncated due to limit"]


async def test_what_a_question_carries(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.expressions.answers["up"] = 1.0
    await _data(client, "query", query="up", time="5", timeout="10s", lookback_delta="1m", stats="all")
    await _data(client, "query", query="up", lookback_delta="0")
    first, second = rooms.queries.asked
    assert first == Question("up", 5.0, 5.0, timeout=10.0, lookback=60.0)
    assert second == Question("up", NOW, NOW)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (QueryTimeoutError("too long"), (503, "timeout", "too long")),
        (AbandonedError("query was canceled"), (499, "canceled", "query was canceled")),
    ],
)
async def test_ends_of_queries(
    client: httpx.AsyncClient, rooms: Rooms, error: EvaluationError, expected: tuple[int, str, str]
) -> None:
    rooms.expressions.answers["up"] = error
    assert await _error(client, "query", query="up") == expected


async def test_a_client_that_goes_away_is_noticed(app: FastAPI, rooms: Rooms) -> None:
    rooms.expressions.answers["up"] = 1.0
    is_gone = asyncio.Event()

    async def wait(question: Question, gone: threading.Event) -> Reply:
        is_gone.set()
        while not gone.is_set():
            await asyncio.sleep(0)
        raise AbandonedError("query was canceled")

    rooms.queries.ask = wait  # type: ignore[method-assign]
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        message = next(messages, None)
        if message is None:
            await is_gone.wait()
        return message or {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/query",
        "raw_path": b"/api/v1/query",
        "query_string": b"query=up",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 9788),
        "scheme": "http",
        "http_version": "1.1",
    }
    async with asyncio.timeout(5):
        await app(scope, receive, send)
    assert sent[0]["status"] == 499


async def test_a_large_answer_comes_in_pieces(client: httpx.AsyncClient, rooms: Rooms) -> None:
    samples = [({"__name__": "x", "number": str(n), "filler": "y" * 1000}, float(n)) for n in range(2000)]
    rooms.expressions.answers["x"] = vector(*samples)
    answer = await client.get("/api/v1/query", params={"query": "x", "limit": "1999"})
    assert "content-length" not in answer.headers
    body = answer.json()
    assert [one["metric"]["number"] for one in body["data"]["result"]] == [str(n) for n in range(1999)]
    assert body["warnings"] == ["results truncated due to limit"]


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentinel.web.answers.STALL", 0.01)
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x"

    async def work(function: Callable[[], bytes]) -> bytes:
        return function()

    async def send(message: Any) -> None:
        if len(made) == 3:
            await asyncio.Event().wait()

    await PiecewiseResponse(b"x", pieces(), work)({}, None, send)  # type: ignore[arg-type]
    assert len(made) == 3


async def test_series_and_labels(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.catalogue.found = [Labels(__name__="up", instance="b"), Labels(__name__="up", instance="a")]
    found = await _data(client, "series", **{"match[]": "up", "start": "1", "end": "2"})
    assert found == [{"__name__": "up", "instance": "a"}, {"__name__": "up", "instance": "b"}]
    up = Matcher("__name__", MatchOperator.EQUAL, "up")
    assert list(rooms.catalogue.asked[-1]) == [((up,),), 1.0, 2.0]
    assert await _data(client, "labels") == ["__name__", "instance"]
    assert list(rooms.catalogue.asked[-1]) == [(), -MAX_INSTANT, MAX_INSTANT]
    assert await _data(client, "label/instance/values", **{"match[]": "{x!=''}"}) == ["a", "b"]
    answer = await client.post("/api/v1/series", data={"match[]": "up", "limit": "1"})
    assert len(answer.json()["data"]) == 1
    assert answer.json()["warnings"] == ["results truncated due to limit"]
    largest = {"start": "-292273086-05-16T16:47:06Z", "end": "292277025-08-18T07:12:54.999999999Z"}
    assert await _data(client, "labels", **largest) == ["__name__", "instance"]


@pytest.mark.parametrize(
    ("path", "parameters", "text"),
    [
        ("series", {}, "no match[] parameter provided"),
        ("series", {"match[]": "{"}, 'invalid parameter "match[]": 1:1: parse error'),
        ("labels", {"match[]": "sum(x)"}, 'invalid parameter "match[]"'),
        (
            "labels",
            {"match[]": '{x=~".*"}'},
            'invalid parameter "match[]": match[] must contain at least one non-empty matcher',
        ),
        ("label/x/values", {"start": "soon"}, 'cannot parse "soon" to a valid timestamp'),
        ("label/x/values", {"limit": "x"}, 'invalid parameter "limit": cannot parse "x" to a valid limit'),
    ],
)
async def test_a_bad_search_is_bad_data(
    client: httpx.AsyncClient, path: str, parameters: dict[str, str], text: str
) -> None:
    status, kind, error = await _error(client, path, **parameters)
    assert (status, kind) == (400, "bad_data")
    assert text in error


async def test_metadata(client: httpx.AsyncClient) -> None:
    up = [{"type": "gauge", "help": "1 if the target could be read.", "unit": ""}]
    assert (await _data(client, "metadata"))["up"] == up
    assert await _data(client, "metadata", metric="up") == {"up": up}
    assert len(await _data(client, "metadata", limit="1")) == 1


async def test_status(client: httpx.AsyncClient) -> None:
    assert "yaml" in await _data(client, "status/config")
    assert await _data(client, "status/flags") == {}
    assert (await _data(client, "status/runtimeinfo"))["startTime"].endswith("Z")
    facts = await _data(client, "status/tsdb", limit="1")
    assert facts["headStats"]["numSeries"] == 7
    assert facts["seriesCountByMetricName"] == [{"name": "x_total", "value": 5}]
    assert await _data(client, "query_exemplars", query="up") == []
    assert await _data(client, "alertmanagers") == {"activeAlertmanagers": [], "droppedAlertmanagers": []}
