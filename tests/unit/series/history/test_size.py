"""What `make bench-history` shows of days and large fleets, small enough for every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.history import LONGEST_RESTORE, MOST_BYTES, Site
from bench.history_data import START

from sentinel.promql.engine import Engine
from tests.unit.series.feeding import named


@pytest.mark.asyncio
@pytest.mark.parametrize("interval", [15.0, 60.0])
async def test_a_sample_at_rest_takes_three_bytes_at_most(tmp_path: Path, interval: float) -> None:
    site = Site(tmp_path, START)
    cost = await site.fill(500, interval, int(7200 / interval))
    await site.finish()
    assert site.file_bytes / cost.samples <= MOST_BYTES
    # The journal's share is bounded by the head's memory.
    assert site.journal_bytes / cost.samples < 9


@pytest.mark.asyncio
async def test_a_query_over_head_and_history_is_one(tmp_path: Path) -> None:
    site = Site(tmp_path, START)
    await site.fill(200, 60.0, 300)
    engine = Engine(site.head, archive=site.history.reader)
    assert site.head.since > START + 3600
    tracks = engine.compile("count(mix_octets_total)").range(START + 60, START + 300 * 60, 60.0)
    assert [len(track.times) for track in tracks] == [300]
    assert set(tracks[0].values.tolist()) == {20.0}
    rates = engine.compile("sum(rate(mix_octets_total[5m]))").range(START + 300, START + 300 * 60, 60.0)
    (rate,) = rates
    assert len(rate.values) == 296
    assert (np.diff(rate.times) == 60).all()
    assert (rate.values > 0).all()


@pytest.mark.asyncio
async def test_a_restart_is_quick(tmp_path: Path) -> None:
    site = Site(tmp_path, START)
    await site.fill(2_000, 15.0, 240, care=False)
    await site.history.close()
    again = Site(tmp_path, site.clock.now())
    assert again.head.series == site.head.series
    took = again.restored_in
    assert took < LONGEST_RESTORE
    at = site.clock.now()
    one, two = (head.select(named("mix_octets_total")).instant(at, 300.0) for head in (site.head, again.head))
    assert np.sort(one[0]).tolist() == np.sort(two[0]).tolist()
