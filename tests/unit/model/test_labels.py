"""Label sets and annotations."""

from __future__ import annotations

from sentinel.model.labels import Labels


def test_an_empty_annotation_exists_and_an_empty_label_does_not() -> None:
    assert dict(Labels.annotations({"b": "", "a": "x"})) == {"a": "x", "b": ""}
    assert dict(Labels({"b": "", "a": "x"})) == {"a": "x"}
    assert Labels.annotations({"a": "x"}) == Labels({"a": "x"})
