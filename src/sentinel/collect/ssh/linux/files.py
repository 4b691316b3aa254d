"""Texts that hold several files, each below a line `==> PATH <==`, as `head` prints more than one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sentinel.collect.ssh.text import Field, Metric, Sample, Text
from sentinel.model.batch import MetricType

HEADER = re.compile(r"^==> (/[^\n]*|[a-z]+) <==\n", re.MULTILINE)
_UNCLEAN = re.compile("[^a-z0-9:_]")

Files = Mapping[str, Text]
Devices = dict[str, dict[str, Text]]


def read_files(text: Text) -> dict[str, Text]:
    """By path."""
    return text.below(HEADER)


def of(files: Files, name: str, parse: Callable[[Text], Iterator[Sample]]) -> Iterator[Sample]:
    """The samples of one file, none where it is not there."""
    if name in files:
        yield from parse(files[name])


def devices(files: Files, pattern: re.Pattern[str]) -> Devices:
    """Files grouped by the pattern's first group, as (second group: content)."""
    found: Devices = {}
    for path, text in files.items():
        match = pattern.fullmatch(path)
        if match is not None:
            found.setdefault(match[1], {})[match[2]] = text
    return found


def first_line(text: Text | None) -> Field:
    if text is None:
        return Field("", 0)
    return next(text.lines())


def number(text: Text | None) -> Field | None:
    """The number that the file begins with; none where there is no such file, or it holds something else."""
    for word in first_line(text).fields()[:1]:
        if word.is_number:
            return word
    return None


def content(text: Text | None) -> str:
    """The first line as a label value."""
    return first_line(text).label.strip()


def label(name: str) -> str:
    """Part of a path as a label value."""
    return Field(name, 0).label


def cleaned(name: str) -> str:
    """As node_exporter makes a name out of any text."""
    return _UNCLEAN.sub("_", name.lower()).strip("_")


def skip_rest(text: Text, fields: list[Field], after: int) -> None:
    """The numbers from that field on do not matter."""
    for field in fields[after:]:
        text.skip(field)


@dataclass(frozen=True, slots=True)
class Property:
    """A file that holds one number, and the series it becomes."""

    metric: Metric
    times: float = 1.0
    over: float = 1.0

    @classmethod
    def of(
        cls, name: str, text: str, *, kind: MetricType = "gauge", times: float = 1.0, over: float = 1.0
    ) -> Property:
        return cls(Metric.of(name, kind, text), times, over)

    def sample(self, value: Field | float, labels: Mapping[str, str]) -> Sample:
        return Sample(self.metric, value, labels, times=self.times, over=self.over)


def properties(
    found: Mapping[str, Text], table: Mapping[str, Property], labels: Mapping[str, str]
) -> Iterator[Sample]:
    """What the files of one device say, as the table names it. Numbers that are in no table do not matter."""
    for name, text in found.items():
        value = number(text)
        if name in table and value is not None:
            yield table[name].sample(value, labels)
