"""Packed samples come back bit for bit."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sentinel.model.batch import ABSENT_BITS, STALE_BITS, Floats
from sentinel.series.columns.packed import Packed

_BITS = st.one_of(
    st.sampled_from([STALE_BITS, ABSENT_BITS, 0x7FF8000000000000, 1 << 63, 0x7FF << 52, 0xFFF << 52, 0]),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 1 << 53).map(lambda number: struct.unpack("<Q", struct.pack("<d", float(number)))[0]),
)


def _same(one: Floats, other: Floats) -> bool:
    return one.shape == other.shape and bool((one.view(np.uint64) == other.view(np.uint64)).all())


@given(hnp.arrays(np.uint64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=_BITS))
def test_any_bits_come_back(bits: np.ndarray[tuple[int, int], np.dtype[np.uint64]]) -> None:
    values = bits.view(np.float64)
    before = values.copy()
    assert _same(Packed.of(values).unpack(), values)
    assert _same(values, before)


@given(
    hnp.arrays(np.uint64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=_BITS),
    st.sets(st.integers(0, 8)),
)
def test_some_rows_come_back_alone(
    bits: np.ndarray[tuple[int, int], np.dtype[np.uint64]], rows: set[int]
) -> None:
    values = bits.view(np.float64)
    chosen = np.array(sorted(row for row in rows if row < len(values)), np.intp)
    assert _same(Packed.of(values).unpack(chosen), values[chosen])


@pytest.mark.parametrize(
    ("kind", "most"),
    [("constant", 0.2), ("counter", 3.5), ("percent", 2.0), ("seldom", 0.7), ("absent", 0.2)],
)
def test_typical_series_take_a_few_bytes_a_sample(kind: str, most: float) -> None:
    rng = np.random.default_rng(7)
    shape = (16, 4096)
    values = {
        "constant": np.tile(rng.integers(0, 9, 4096).astype(float), (16, 1)),
        "counter": np.cumsum(rng.integers(0, 1 << 20, shape), axis=0)
        + rng.integers(0, 1 << 44, 4096).astype(float),
        "percent": np.round(rng.normal(40, 5, shape), 2),
        "seldom": np.cumsum(rng.poisson(0.05, shape), axis=0).astype(float),
        "absent": np.full(shape, np.uint64(ABSENT_BITS).view(np.float64)),
    }[kind]
    packed = Packed.of(values)
    assert _same(packed.unpack(), values)
    assert packed.nbytes / values.size < most
