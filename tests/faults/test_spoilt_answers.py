"""Spoilt SNMP answers raise what is declared, and nothing else; `make test-faults` sends twenty times as many."""

from __future__ import annotations

from tests.faults.spoiling import DEADLINE, spoil_polls, spoil_version_3


async def test_spoilt_answers_end_polls_in_a_reading_or_an_error_that_says_why() -> None:
    found = await spoil_polls(5000, seed=20261)
    assert found.answers >= 5000
    assert found.polls["read"] > 0
    assert found.polls["partial"] > 0
    assert set(found.polls) <= {"read", "partial", "malformed", "timeout", "error_status", "not_increasing"}
    assert found.waiting == 0
    assert found.slowest < DEADLINE * 2
    assert found.grown < 20


def test_spoilt_answers_of_version_3_are_not_believed() -> None:
    assert spoil_version_3(2000, seed=20261) == 0
