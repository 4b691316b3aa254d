"""The queue on disk: nothing lost over restarts, damage skipped, room bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.series.remote import spool as module
from sentinel.series.remote.spool import Spool


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 200)


def _drained(spool: Spool) -> list[bytes]:
    found = []
    while (content := spool.peek()) is not None:
        found.append(content)
        spool.take()
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=120), st.sampled_from(["take", "restart"])), max_size=40))
def test_records_come_out_in_order_whatever_happens_between(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes | str]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool, expected = Spool(folder, 1 << 20), []
    for step in steps:
        if isinstance(step, bytes):
            spool.put(step)
            expected.append(step)
        elif step == "restart":
            spool.close()
            spool = Spool(folder, 1 << 20)
        elif expected:
            assert spool.peek() == expected.pop(0)
            spool.take()
    assert _drained(spool) == expected
    assert spool.is_empty
    assert spool.damaged == 0
    spool.close()


def test_a_cut_or_flipped_record_costs_the_rest_of_its_segment_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    for number in range(9):
        spool.put(bytes([number]) * 90)
    spool.close()
    first, second, *_ = sorted(tmp_path.glob("*.segment"))
    first.write_bytes(first.read_bytes()[:-5])
    flipped = bytearray(second.read_bytes())
    flipped[20] ^= 1
    second.write_bytes(flipped)
    again = Spool(tmp_path, 1 << 20)
    found = [content[0] for content in _drained(again)]
    assert found == [0, 1, 6, 7, 8]
    assert again.damaged == 2
    again.put(b"next")
    assert _drained(again) == [b"next"]


def test_room_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    for number in range(100):
        spool.put(bytes([number]) * 90)
        assert sum(file.stat().st_size for file in tmp_path.glob("*.segment")) <= 1200
    found = [content[0] for content in _drained(spool)]
    assert found == list(range(found[0], 100))
    assert len(found) >= 7
    assert spool.dropped > 0


def test_a_place_that_cannot_be_right_is_not_believed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    spool.put(b"one")
    spool.close()
    (tmp_path / "sent").write_bytes(b"nonsense")
    assert _drained(Spool(tmp_path, 1000)) == [b"one"]
