"""Time servers: what their packets say, and what is not believed."""

from __future__ import annotations

import struct
import time

import pytest

from sentinel.collect.probes.ntp import UNIX, read
from tests.servers.outside import answering, ntp
from tests.unit.probes.asking import ask, module

COOKIE = bytes(range(8))


def packet(stamp: float, *, first: int = 0o44, origin: bytes = COOKIE) -> bytes:
    instant = struct.pack("!II", int(stamp + UNIX) & 0xFFFFFFFF, int(stamp % 1 * 2**32))
    return (
        struct.pack("!BBbbII4s", first, 2, 6, -20, 0x8000, 0x4000, b"GPS\0")
        + instant
        + origin
        + instant
        + instant
    )


@pytest.mark.parametrize("now", [1_700_000_000.25, 2_085_978_495.5, 2_085_978_496.5, 4_000_000_000.75])
def test_the_second_era_begins_in_2036(now: float) -> None:
    answer = read(packet(now), COOKIE, now + 100)
    assert answer is not None
    assert answer.received == pytest.approx(now, abs=1e-6)
    assert (answer.stratum, answer.root_delay, answer.root_dispersion) == (2, 0.5, 0.25)


@pytest.mark.parametrize(
    "wrong",
    [
        packet(0.0)[:47],
        packet(0.0, first=0o43),
        packet(0.0, origin=bytes(8)),
        b"",
    ],
)
def test_what_is_no_answer_to_the_question_is_passed_over(wrong: bytes) -> None:
    assert read(wrong, COOKIE, 0.0) is None


async def test_a_clock_that_runs_ahead() -> None:
    async with answering(ntp(lambda: time.time() + 30)) as port:
        answer = await ask(module("ntp"), f"127.0.0.1:{port}")
        assert answer["probe_success"] == 1
        assert answer["probe_ntp_offset_seconds"] == pytest.approx(30, abs=0.2)
        assert 0 <= answer["probe_ntp_round_trip_seconds"] < 0.5
        assert answer["probe_ntp_stratum"] == 2
        assert answer["probe_ntp_reference_timestamp_seconds"] == pytest.approx(time.time() - 30, abs=1)
        strict = await ask(module("ntp", max_offset="1s"), f"127.0.0.1:{port}")
        assert (strict.reason, strict["probe_success"]) == ("offset", 0)
        near = await ask(module("ntp", max_stratum=1), f"127.0.0.1:{port}")
        assert near.reason == "stratum"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"first": 3 << 6 | 4 << 3 | 4}, "unsynchronized"),
        ({"stratum": 16}, "unsynchronized"),
        ({"stratum": 0, "code": b"RATE"}, "kiss_of_death"),
    ],
)
async def test_a_server_that_should_not_be_asked(how: dict[str, int], reason: str) -> None:
    async with answering(ntp(time.time, **how)) as port:  # type: ignore[arg-type]
        answer = await ask(module("ntp"), f"127.0.0.1:{port}")
    assert answer.reason == reason
    assert answer["probe_ntp_stratum"] == how.get("stratum", 2)


async def test_an_answer_to_another_question_counts_as_none() -> None:
    async with answering(lambda data: packet(time.time())) as port:
        assert (await ask(module("ntp"), f"127.0.0.1:{port}", timeout=0.2)).reason == "timeout"


async def test_nobody_there() -> None:
    answer = await ask(module("ntp"), "127.0.0.1:1")
    assert (answer.reason, answer["probe_success"]) == ("refused", 0)
