"""Remote write requests: what is written is read again, and no bytes break the reader."""

from __future__ import annotations

import contextlib
import math

import cramjam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.model.batch import STALE, is_stale
from sentinel.model.labels import Labels
from sentinel.series.remote import wire

_TEXTS = st.text(max_size=12)
_LABELS = st.dictionaries(st.text(min_size=1, max_size=8), _TEXTS, max_size=6).map(Labels)


@given(
    st.lists(st.tuples(_LABELS, st.floats()), max_size=20),
    st.integers(-(1 << 62), 1 << 62),
)
def test_what_is_written_is_read_again(series: list[tuple[Labels, float]], at: int) -> None:
    heads = [wire.head_of(labels) for labels, _ in series]
    values = np.array([value for _, value in series], np.float64)
    body = wire.compressed(b"".join(wire.series_of(heads, values, at)))
    found = list(wire.parse(wire.decompressed(body)))
    assert [one.labels for one in found] == [
        Labels({name: value for name, value in labels.pairs if value}) for labels, _ in series
    ]
    for one, (_, value) in zip(found, series, strict=True):
        ((number, instant),) = one.samples
        assert instant == at
        assert number == value or (math.isnan(number) and math.isnan(value))


def test_a_staleness_marker_keeps_its_bits() -> None:
    body = b"".join(wire.series_of([wire.head_of(Labels(__name__="a"))], np.array([STALE]), 1000))
    (one,) = wire.parse(body)
    assert is_stale(np.array([one.samples[0][0]])).all()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for body in (data, cramjam.snappy.compress_raw(data)):
        try:
            list(wire.parse(wire.decompressed(bytes(body))))
        except wire.WireError:
            continue


@given(st.data())
def test_a_request_that_is_cut_or_changed_is_refused_or_read(data: st.DataObject) -> None:
    heads = [wire.head_of(Labels(__name__="metric", i=str(i))) for i in range(5)]
    body = bytearray(b"".join(wire.series_of(heads, np.arange(5.0), 1_700_000_000_000)))
    place = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        body[place] ^= data.draw(st.integers(1, 255))
    else:
        del body[place:]
    with contextlib.suppress(wire.WireError):
        list(wire.parse(bytes(body)))


def test_a_bomb_is_refused_before_it_is_opened() -> None:
    bomb = bytes(cramjam.snappy.compress_raw(b"\0" * (wire.MAX_BYTES + 1)))
    assert len(bomb) < wire.MAX_BYTES / 10
    with pytest.raises(wire.WireError, match="more than 16 MiB"):
        wire.decompressed(bomb)
