"""/api/v1/write: who may send, in which protocol, how much, and what is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import cramjam
import httpx
import pytest
from prometheus_client import CollectorRegistry

from sentinel.model.labels import Labels
from sentinel.series.remote import wire
from sentinel.series.remote.verdict import Verdict
from sentinel.web.app import create_app
from sentinel.web.guard import MAX_BODY, MAX_SAMPLES_BODY
from tests.unit.web.fakes import SENDER_TOKEN, Rooms

HEADERS = {
    "Authorization": f"Bearer {SENDER_TOKEN}",
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@dataclass
class FakeIntake:
    verdict: Verdict = field(default_factory=Verdict)
    taken: list[tuple[bytes, str]] = field(default_factory=list)

    async def take(self, body: bytes, sender: str) -> Verdict:
        wire.decompressed(body)
        self.taken.append((body, sender))
        return self.verdict


@pytest.fixture
def intake() -> FakeIntake:
    return FakeIntake()


@pytest.fixture
async def sender(rooms: Rooms, intake: FakeIntake) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(replace(rooms.faces(), receiving=intake), CollectorRegistry())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://mon.internal:9788", headers=HEADERS
    ) as client:
        yield client


def body_of(size: int = 10) -> bytes:
    return bytes(cramjam.snappy.compress_raw(bytes(size)))


async def test_samples_are_taken_in_the_name_of_the_token(
    sender: httpx.AsyncClient, intake: FakeIntake
) -> None:
    answer = await sender.post("/api/v1/write", content=body_of())
    assert (answer.status_code, answer.content) == (204, b"")
    assert intake.taken == [(body_of(), "prometheus")]


async def test_what_was_refused_is_said_and_not_asked_for_again(
    sender: httpx.AsyncClient, intake: FakeIntake
) -> None:
    intake.verdict.refuse("out of order", 2, Labels(__name__="up", job="x"), 1_700_000_000_500)
    answer = await sender.post("/api/v1/write", content=body_of())
    assert answer.status_code == 400
    assert answer.text == '2 samples refused: out of order (up{job="x"} at 1700000000.500)\n'


async def test_without_a_token_or_with_a_wrong_one_nothing_is_taken(
    sender: httpx.AsyncClient, intake: FakeIntake
) -> None:
    for header in ("", "Bearer wrong"):
        answer = await sender.post("/api/v1/write", content=body_of(), headers={"Authorization": header})
        assert answer.status_code == 401
    assert not intake.taken


async def test_a_senders_token_opens_nothing_else(sender: httpx.AsyncClient) -> None:
    for path in ("/-/reload", "/api/sentinel/v1/incidents/1/resolve", "/api/v1/writes"):
        answer = await sender.post(path, headers={"Host": "127.0.0.1:9788"})
        assert answer.status_code == 401, path


async def test_an_operators_token_will_do(sender: httpx.AsyncClient, operator: dict[str, str]) -> None:
    assert (await sender.post("/api/v1/write", content=body_of(), headers=operator)).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/x-protobuf;proto=prometheus.WriteRequest"}, 204),
        ({"Content-Type": "application/x-protobuf; proto=io.prometheus.write.v2.Request"}, 415),
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Encoding": "zstd"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "SNAPPY"}, 204),
    ],
)
async def test_protocols(sender: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    answer = await sender.post("/api/v1/write", content=body_of(), headers=headers)
    assert answer.status_code == status
    assert (status != 415) or "not spoken here" in answer.text


async def test_requests_that_cannot_be_read_are_not_to_be_sent_again(sender: httpx.AsyncClient) -> None:
    assert (await sender.post("/api/v1/write", content=b"\xff\xff nonsense")).status_code == 400
    assert (await sender.post("/api/v1/write", content=body_of(wire.MAX_BYTES + 1))).status_code == 413


async def test_samples_may_be_more_than_other_bodies_but_not_without_end(sender: httpx.AsyncClient) -> None:
    plain = bytes(range(256)) * (MAX_BODY // 128)
    answer = await sender.post("/api/v1/write", content=bytes(cramjam.snappy.compress_raw(plain)))
    assert answer.status_code in (204, 400)
    assert (await sender.post("/api/v1/write", content=bytes(MAX_SAMPLES_BODY + 1))).status_code == 413


async def test_where_samples_are_not_taken_that_is_said(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    answer = await client.post("/api/v1/write", content=body_of(), headers=HEADERS)
    assert answer.status_code == 404
    assert "[intake] enabled" in answer.text
    assert (await client.get("/api/v1/write")).status_code == 404
