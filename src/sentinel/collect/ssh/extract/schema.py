"""The key `read` of a section: how its command's text becomes metrics.

    read:
      format: key_value
      separator: ":"
      metrics:
        - name: redis_connected_clients
          help: Clients connected now.
          value: connected_clients

A text is cut into records of named fields (`format`); each metric takes its value and labels from fields. What is
not there, or is no number, is left out.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sentinel.config.document import Written
from sentinel.model.pattern import Pattern

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = ("instance", "job")

Unit = Literal["number", "bytes", "percent", "duration", "timestamp", "boolean"]


def _metric_name(name: str) -> str:
    if not _METRIC.fullmatch(name):
        raise ValueError("not a metric name: use letters, digits and underscores")
    return name


def _label_name(name: str) -> str:
    if not _LABEL.fullmatch(name) or name.startswith("__"):
        raise ValueError(f"'{name}' is not a label name: use letters, digits and underscores")
    if name in _RESERVED:
        raise ValueError(f"'{name}' is the target's own label: choose another")
    return name


def _field_or_number(written: object) -> object:
    """A number stands in YAML as text, like everything else."""
    try:
        return float(str(written))
    except ValueError:
        return written


def _pattern(text: str) -> Pattern:
    return Pattern.of(text)


Name = Annotated[str, AfterValidator(_metric_name)]
LabelName = Annotated[str, AfterValidator(_label_name)]
Regex = Annotated[str, AfterValidator(lambda text: (_pattern(text), text)[1])]
"""RE2; checked here, compiled where it is used."""


class WrittenMetric(Written):
    """One metric."""

    name: Name
    type: Literal["gauge", "counter"] = "gauge"
    help: Annotated[str, Field(min_length=1)]
    value: Annotated[str | float, BeforeValidator(_field_or_number)] = "value"
    """The field that holds it; a number stands for itself."""
    keys: Regex | None = None
    """Every field whose name matches, instead of one; its named groups are fields too, and so is `value`."""
    pattern: Regex | None = None
    """Where in the field the value is: the group `value`; other named groups are fields too."""
    unit: Unit = "number"
    """How the value is written; what comes out is bytes, a ratio of 1, seconds, Unix seconds, or 0 and 1."""
    map: dict[str, float] = Field(default_factory=dict)
    """Numbers for words. A value that is not among them is left out."""
    scale: float = 1.0
    labels: dict[LabelName, str] = Field(default_factory=dict)
    """Label: field."""
    fixed: dict[LabelName, str] = Field(default_factory=dict)
    """Label: its text, the same in every sample."""
    states: dict[LabelName, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    """One label and the words that it may have: a sample for each, 1 for the word that the value is, else 0."""
    where: dict[str, Regex] = Field(default_factory=dict)
    """Only records whose fields match."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.keys is not None and self.value != "value":
            raise ValueError("keys: takes the value of each key that matches; leave 'value' out")
        if self.map and self.unit != "number":
            raise ValueError("map: gives numbers for words; leave 'unit' out")
        if self.states and (len(self.states) > 1 or self.map or self.unit != "number"):
            raise ValueError("states: one label, and neither 'map' nor 'unit' beside it")
        twice = [name for name in (*self.fixed, *self.states) if name in self.labels]
        twice += [name for name in self.states if name in self.fixed]
        if twice:
            raise ValueError(f"label '{twice[0]}' is given twice")
        return self


class WrittenRead(Written):
    """How a text becomes records, and the metrics made of them."""

    format: Literal["key_value", "columns", "regex", "json"]
    separator: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """key_value: between key and value ("=" unless given). columns: between columns (blanks unless given)."""
    fields: Annotated[list[str], Field(min_length=1)] | None = None
    """columns: their names, where the text has no line of headings."""
    skip: Annotated[int, Field(ge=0, le=1000)] = 0
    """columns: lines before the first row, or before the headings."""
    pattern: Regex | None = None
    """regex: a record for each match in a line; named groups are its fields."""
    items: str = ""
    """json: where the list of records stands, such as `data.containers`; the whole document unless given."""
    metrics: Annotated[list[WrittenMetric], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_the_format(self) -> Self:
        if (self.pattern is not None) != (self.format == "regex"):
            raise ValueError("format regex needs 'pattern', and only that one")
        if self.fields is not None and self.format != "columns":
            raise ValueError("'fields' belongs to format columns")
        if self.items and self.format != "json":
            raise ValueError("'items' belongs to format json")
        if self.separator is not None and self.format not in ("key_value", "columns"):
            raise ValueError("'separator' belongs to format key_value and columns")
        if self.format == "regex" and any(metric.keys for metric in self.metrics):
            raise ValueError("'keys' does not go with format regex")
        return self
