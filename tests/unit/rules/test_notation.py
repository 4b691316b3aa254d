"""Series as unit tests write them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sentinel.model.batch import is_stale
from sentinel.model.labels import Labels
from sentinel.rules.notation import parse_series, parse_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 2 3", [1, 2, 3]),
        ("0+10x3", [0, 10, 20, 30]),
        ("10-2.5x2", [10, 7.5, 5]),
        ("-1+-2x1", None),
        ("5x2", [5, 5, 5]),
        ("7x0", [7]),
        ("1 _ 3", [1, None, 3]),
        ("1 _x3 2", [1, None, None, None, 2]),
        ("0x10 1", [0] * 11 + [1]),
        ("1e3 -Inf +Inf", [1000, -math.inf, math.inf]),
        ("", []),
    ],
)
def test_values_expand(text: str, values: list[float | None] | None) -> None:
    if values is None:
        with pytest.raises(ValueError, match="notation"):
            parse_values(text)
    else:
        assert parse_values(text) == values


def test_stale_and_nan_are_different_things() -> None:
    values = np.array([value for value in parse_values("stale NaN") if value is not None])
    assert is_stale(values).tolist() == [True, False]


@pytest.mark.parametrize("text", ["1+2", "x", "1x", "1,2", "{{schema:1}}", "1 2 x3", "1x9999999999"])
def test_what_is_not_in_the_notation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"notation|how often|samples"):
        parse_values(text)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("up", {"__name__": "up"}),
        ("up{job=\"a\", instance='b'}", {"__name__": "up", "job": "a", "instance": "b"}),
        ("{__name__=`x`,}", {"__name__": "x"}),
        ('a:b{c="d\\"e\\\\,}"}', {"__name__": "a:b", "c": 'd"e\\,}'}),
        ("{}", {}),
    ],
)
def test_series_are_read(text: str, labels: dict[str, str]) -> None:
    assert parse_series(text) == Labels(labels)


@pytest.mark.parametrize(
    "text", ["", "up{", 'up{a="b"', 'up{a="b" c="d"}', "up{a=b}", 'up{a="1",a="2"}', "1up"]
)
def test_what_is_not_a_series_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"series|twice"):
        parse_series(text)
