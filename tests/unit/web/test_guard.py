from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from sentinel.model.incident import IncidentState
from sentinel.web.guard import MAX_BODY, READING_POSTS, Hosts, bearer
from sentinel.web.seams.faces import Site
from tests.unit.web.fakes import Rooms, incident

ACKNOWLEDGE = "/api/sentinel/v1/incidents/1/acknowledge"


def _paths(app: FastAPI) -> list[tuple[str, str]]:
    schema = app.openapi()["paths"]
    shown = [(path, method.upper()) for path, methods in schema.items() for method in methods]
    assert shown
    hidden = [("/-/reload", "POST"), ("/", "GET"), ("/metrics", "GET")]
    return shown + hidden


async def test_everything_that_writes_is_denied_without_a_token(
    app: FastAPI, client: httpx.AsyncClient, rooms: Rooms
) -> None:
    rooms.incidents.stories[1] = incident(1)
    for path, method in _paths(app):
        concrete = path.replace("{number}", "1")
        answer = await client.request(method, concrete)
        if method in ("GET", "HEAD"):
            assert answer.status_code == 200, (method, path)
        else:
            assert answer.status_code == 401, (method, path)
            wrong = await client.request(method, concrete, headers={"Authorization": "Bearer wrong"})
            assert wrong.status_code == 401, (method, path)
    assert rooms.incidents.stories[1].incident.state is IncidentState.OPEN
    assert rooms.reload.count == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_an_unknown_route_that_writes_is_denied_too(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/nothing/here")).status_code == 401


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
async def test_other_methods_do_not_exist(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/")).status_code == 405


def test_only_queries_may_post_without_a_token() -> None:
    names = ("query", "query_range", "query_exemplars", "series", "labels")
    assert {f"/api/v1/{name}" for name in names} == READING_POSTS


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("127.0.0.1:9788", True),
        ("localhost:9788", True),
        ("LOCALHOST.", True),
        ("[::1]:9788", True),
        ("127.8.8.8", True),
        ("sentinel.example.org", True),
        ("alias.example.org:443", True),
        ("10.1.2.3:9788", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_hosts(host: str, is_served: bool) -> None:
    site = Site(external_url="https://sentinel.example.org", allowed_hosts=("Alias.example.org",))
    assert Hosts(site).allows(host) is is_served


def test_listening_everywhere_any_address_of_ours_is_served_but_no_name() -> None:
    hosts = Hosts(Site(listen="0.0.0.0"))
    assert hosts.allows("10.1.2.3:9788")
    assert not hosts.allows("evil.example:9788")


@pytest.mark.parametrize("path", ["/", "/live", "/api/v1/alerts", "/api/sentinel/v1/incidents"])
async def test_a_name_that_was_rebound_to_us_reads_nothing(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Host": "evil.example:9788"})
    assert answer.status_code == 403
    assert "allowed_hosts" in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready"])
async def test_machines_may_use_any_name(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"Host": "mon-17.internal"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1234"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
async def test_a_foreign_page_neither_writes_nor_listens(
    client: httpx.AsyncClient, rooms: Rooms, operator: dict[str, str], headers: dict[str, str]
) -> None:
    rooms.incidents.stories[1] = incident(1)
    assert (await client.post(ACKNOWLEDGE, headers=operator | headers)).status_code == 403
    assert (await client.get("/live", headers=headers)).status_code == 403
    assert rooms.incidents.stories[1].incident.state is IncidentState.OPEN


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9788", "https://sentinel.example.org"])
async def test_our_own_pages_write(
    client: httpx.AsyncClient, rooms: Rooms, operator: dict[str, str], origin: str
) -> None:
    assert Hosts(Site(external_url="https://sentinel.example.org")).allows_origin(origin, "127.0.0.1:9788")
    rooms.incidents.stories[1] = incident(1)
    headers = operator | {"Origin": "http://127.0.0.1:9788", "Sec-Fetch-Site": "same-origin"}
    assert (await client.post(ACKNOWLEDGE, headers=headers)).status_code == 200


async def test_a_large_body_is_refused_before_it_is_read(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    answer = await client.post(ACKNOWLEDGE, content=b"x" * (MAX_BODY + 1), headers=operator)
    assert answer.status_code == 413


async def test_a_large_body_of_unknown_length_is_refused(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    assert (await client.post(ACKNOWLEDGE, content=endless(), headers=operator)).status_code == 413


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1/nothing", "/metrics", "/static/nothing.js"])
async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "referrer-policy" in headers


async def test_an_internal_error_says_nothing_of_the_inside(client: httpx.AsyncClient, rooms: Rooms) -> None:
    def broken() -> None:
        raise RuntimeError("password=hunter2 in /etc/sentinel/secrets.toml")

    rooms.alerts.active = broken  # type: ignore[assignment, method-assign]
    for path in ("/", "/api/v1/alerts", "/api/sentinel/v1/alerts"):
        answer = await client.get(path)
        assert answer.status_code == 500
        assert "hunter2" not in answer.text
        assert "secrets" not in answer.text


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", ""),
        ("abc", ""),
        ("Bearer " + "x" * 600, ""),
    ],
)
def test_bearer(header: str, token: str) -> None:
    assert bearer(Headers({"Authorization": header})) == token


def test_no_route_reads_a_websocket_or_hides_behind_a_mount(app: FastAPI) -> None:
    assert not [route for route in app.routes if type(route).__name__ in ("WebSocketRoute", "Mount")]
    assert all(route.methods for route in app.routes if isinstance(route, APIRoute))
