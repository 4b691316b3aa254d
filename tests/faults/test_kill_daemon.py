"""`kill -9` of the whole daemon at random moments while a hundred alerts fire and end; `make test-faults` does it
200 times with a thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.daemon_killing import kill_daemons
from tests.faults.forking import ForkedDaemon
from tests.faults.judging import judge
from tests.faults.rhythm import Rhythm


@pytest.mark.timeout(300)
async def test_kills_lose_nothing_and_repeat_only_what_was_on_its_way(tmp_path: Path) -> None:
    rhythm = Rhythm(alerts=100, shortest=14, longest=20)
    run = await kill_daemons(tmp_path, rhythm, kills=4, seed=20261122, long_every=3, make=ForkedDaemon)
    verdict = judge(run)
    assert not verdict.faults, "\n".join(verdict.faults[:20])
    assert verdict.incidents >= 100
    assert verdict.groups >= 20
    assert verdict.watched
