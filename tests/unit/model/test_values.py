"""Values that every room shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.model.batch import STALE, is_stale
from sentinel.model.durations import format_duration, parse_duration
from sentinel.model.labels import Labels


def test_labels_are_equal_whatever_their_order() -> None:
    assert Labels(b="2", a="1") == Labels([("a", "1"), ("b", "2")])
    assert len({Labels(b="2", a="1"), Labels(a="1", b="2")}) == 1


def test_an_empty_label_does_not_exist() -> None:
    assert Labels(a="1", b="") == Labels(a="1")
    assert Labels(a="1").updated({"a": ""}) == Labels()


def test_fingerprints_tell_neighbouring_texts_apart() -> None:
    assert Labels(a="bc").fingerprint() != Labels(ab="c").fingerprint()
    assert Labels(a="1").fingerprint() == Labels(a="1").fingerprint()


def test_labels_print_as_prometheus_prints_them() -> None:
    assert str(Labels(__name__="up", instance='a"\n\\')) == 'up{instance="a\\"\\n\\\\"}'


def test_a_stale_marker_is_told_from_an_ordinary_nan() -> None:
    assert is_stale(np.array([STALE, np.nan, 1.0])).tolist() == [True, False, False]


@given(st.integers(0, 10**12))
def test_durations_read_back_as_written(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "m", "5m1h", "1.5h", "-5m", "5 m", "5x"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)
