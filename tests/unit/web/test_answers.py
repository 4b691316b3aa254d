from __future__ import annotations

import math

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.model.labels import Labels
from sentinel.promql.evaluation import Matrix, Track
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import LabelTable
from sentinel.web.answers import format_samples, format_time, matrix_items, pieces_of, track_items
from sentinel.web.formats import format_sample
from sentinel.web.label_texts import json_of, sorted_rows, texts_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "-0"),
        (1e16, "10000000000000000"),
        (9.5e20, "950000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-07"),
        (-1e-7, "-1e-07"),
        (0.00001234, "0.00001234"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
        (10.05, "10.05"),
        (100.0, "100"),
    ],
)
def test_samples_look_as_in_prometheus(value: float, text: str) -> None:
    assert format_sample(value) == text
    assert format_samples(np.array([2.5, value, 1.0])) == ["2.5", text, "1"]


@given(st.lists(st.floats()))
def test_many_samples_are_written_as_one(values: list[float]) -> None:
    assert format_samples(np.array(values, np.float64)) == [format_sample(v) for v in values]


@pytest.mark.parametrize(
    ("at", "text"), [(5.0, "5"), (1435781451.781, "1435781451.781"), (0.5, "0.500"), (-1.5, "-1.500")]
)
def test_times(at: float, text: str) -> None:
    assert format_time(at) == text


def test_a_matrix_is_sorted_and_has_no_empty_series() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    present = np.array([[True, True], [False, False], [False, True]])
    matrix = Matrix(
        LabelTable.of(Symbols(), [Labels(a="z"), Labels(a="y"), Labels(a="x")]),
        np.array([10.0, 20.5]),
        values,
        present,
    )
    assert [orjson.loads(item) for item in matrix_items(matrix, 0)] == [
        {"metric": {"a": "x"}, "values": [[20.5, "6"]]},
        {"metric": {"a": "z"}, "values": [[10, "1"], [20.5, "2"]]},
    ]
    assert len(list(matrix_items(matrix, 1))) == 1


_LABELS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "1", "10", "2", '"\n\\é', "\ud800"]))


@given(st.lists(_LABELS, unique_by=lambda labels: Labels(labels).pairs))
def test_labels_of_a_table_are_written_and_sorted_as_one_by_one(rows: list[dict[str, str]]) -> None:
    labels = [Labels(row) for row in rows]
    table = LabelTable.of(Symbols(), labels)
    assert texts_of(table) == [json_of(one) for one in labels]
    assert [table[row] for row in sorted_rows(table).tolist()] == sorted(labels)
    for text, one in zip(texts_of(table), labels, strict=True):
        assert orjson.loads(text) == {name: value.replace("\ud800", "?") for name, value in one.items()}


def test_half_characters_do_not_spoil_an_answer() -> None:
    track = Track(Labels(a="x\ud800"), np.array([1.0]), np.array([2.0]))
    (item,) = track_items([track], 0)
    assert orjson.loads(item)["metric"] == {"a": "x?"}


def test_nothing_is_an_empty_list() -> None:
    body = b"".join(pieces_of(iter([]), "vector", {"warnings": [], "infos": ["so"]}))
    assert orjson.loads(body) == {
        "status": "success",
        "data": {"resultType": "vector", "result": []},
        "infos": ["so"],
    }
