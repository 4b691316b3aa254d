from __future__ import annotations

import gzip

import httpx
import pytest

from sentinel.model.problem import Problem
from sentinel.series.text.exposition import Style
from tests.unit.web.fakes import Rooms


async def test_metrics_are_the_daemons_own_and_the_fleets(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.text == 'sentinel_up 1\nup{instance="a"} 1\n'
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (await client.get("/metrics?scope=self")).text == "sentinel_up 1\n"
    assert (await client.get("/metrics?scope=fleet")).text == 'up{instance="a"} 1\n'
    assert (await client.get("/metrics?scope=all")).status_code == 400


async def test_metrics_are_compressed_for_those_who_ask(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert gzip.decompress(raw).startswith(b"sentinel_up 1\n")
    plain = await client.get("/metrics", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers


async def test_matchers_reach_the_head_and_bad_ones_are_refused(
    client: httpx.AsyncClient, rooms: Rooms
) -> None:
    await client.get("/metrics", params={"scope": "fleet", "match[]": ['{job="a"}', '{job="b"}']})
    assert rooms.exposition.asked == [(("fleet",), ('{job="a"}', '{job="b"}'), Style())]
    assert (await client.get("/metrics", params={"match[]": "?"})).status_code == 400


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,*/*;q=0.8", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            True,
        ),
        ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
        ("text/plain, application/openmetrics-text;q=0.9", False),
        ("text/plain;q=0.1, application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nonsense", False),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7,text/plain;q=0.3",
            False,
        ),
    ],
)
async def test_openmetrics_for_those_who_prefer_it(
    client: httpx.AsyncClient, rooms: Rooms, accept: str, is_openmetrics: bool
) -> None:
    answer = await client.get("/metrics", headers={"Accept": accept})
    assert rooms.exposition.asked[-1][2].is_openmetrics is is_openmetrics
    kind = answer.headers["content-type"]
    assert kind.startswith(
        "application/openmetrics-text; version=1.0.0" if is_openmetrics else "text/plain; version"
    )
    assert "Accept" in answer.headers["vary"]


async def test_timestamps_for_those_who_ask(client: httpx.AsyncClient, rooms: Rooms) -> None:
    await client.get("/metrics?timestamps=true")
    assert rooms.exposition.asked[-1][2].has_timestamps


async def test_federation_answers_as_prometheus_does(client: httpx.AsyncClient, rooms: Rooms) -> None:
    answer = await client.get("/federate", params={"match[]": '{job="a"}'})
    assert answer.status_code == 200
    assert rooms.exposition.asked[-1] == (("self", "fleet"), ('{job="a"}',), Style(has_timestamps=True))
    assert (await client.get("/federate")).content == b""
    assert (await client.get("/federate", params={"match[]": "?"})).status_code == 400


async def test_health(client: httpx.AsyncClient, rooms: Rooms) -> None:
    assert (await client.get("/-/healthy")).status_code == 200
    assert (await client.head("/-/ready")).status_code == 200
    rooms.health.sick_because = ["the rule loop stands still since 40 s"]
    rooms.health.unready_because = ["the database is full"]
    sick, unready = await client.get("/-/healthy"), await client.get("/-/ready")
    assert (sick.status_code, sick.text) == (503, "the rule loop stands still since 40 s\n")
    assert (unready.status_code, unready.text) == (503, "the database is full\n")


async def test_reload_swaps_or_says_where_it_is_wrong(
    client: httpx.AsyncClient, rooms: Rooms, operator: dict[str, str]
) -> None:
    assert (await client.post("/-/reload", headers=operator)).status_code == 200
    rooms.reload.problems = [Problem("rules/net.yml", 5, 5, "unknown key 'exp' (did you mean 'expr'?)")]
    answer = await client.post("/-/reload", headers=operator)
    assert answer.status_code == 400
    assert answer.text == "rules/net.yml:5:5: unknown key 'exp' (did you mean 'expr'?)\n"
    assert (await client.get("/-/reload")).status_code == 405
