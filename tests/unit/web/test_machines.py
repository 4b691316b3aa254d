from __future__ import annotations

import gzip

import httpx

from sentinel.model.problem import Problem
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
    assert rooms.exposition.asked == [("fleet", ('{job="a"}', '{job="b"}'))]
    assert (await client.get("/metrics", params={"match[]": "?"})).status_code == 400


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
