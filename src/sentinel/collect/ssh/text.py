"""Text from a host, cut into fields that remember where they stand.

The places let `shape` learn which number of the text became which sample, so that the next text of the same
form is read without cutting it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sentinel.model.batch import Family, MetricType

_WORD = re.compile(r"[^ \t\r\f\v]+")
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,19})?")


class Field(str):
    """A piece of a text; `start` is its offset in the whole."""

    start: int

    def __new__(cls, content: str, start: int) -> Field:
        made = super().__new__(cls, content)
        made.start = start
        return made

    @property
    def end(self) -> int:
        return self.start + len(self)

    def part(self, start: int, end: int | None = None) -> Field:
        return Field(self[start:end], self.start + start)

    def fields(self) -> list[Field]:
        """The words between blanks."""
        return [Field(match[0], self.start + match.start()) for match in _WORD.finditer(self)]

    def lines(self) -> Iterator[Field]:
        start = 0
        for line in self.split("\n"):
            yield Field(line, self.start + start)
            start += len(line) + 1

    @property
    def is_number(self) -> bool:
        """A decimal number of sane length, such as 12, -1 or 0.25."""
        return _NUMBER.fullmatch(self) is not None

    @property
    def label(self) -> str:
        """As a label value: the bytes read as UTF-8."""
        return self.encode("latin-1").decode("utf-8", "replace")


class Text(Field):
    """A whole text. One character is one byte, so places are byte offsets; `Field.label` gives the real characters.

    `passed` are places whose numbers do not matter: they may change without changing what the samples are.
    Every other number that no sample takes is part of a name, and a text in which it differs has another form.
    """

    passed: list[tuple[int, int]]

    def __new__(cls, content: str, start: int = 0) -> Text:
        made = super().__new__(cls, content, start)
        assert isinstance(made, cls)
        made.passed = []
        return made

    @classmethod
    def of(cls, data: bytes) -> Text:
        return cls(data.decode("latin-1"))

    def within(self, start: int, end: int) -> Text:
        """A region that is read by itself and shares what is passed over."""
        region = Text(self[start:end], self.start + start)
        region.passed = self.passed
        return region

    def below(self, headers: re.Pattern[str]) -> dict[str, Text]:
        """The regions below each header line, by the header's first group."""
        found = list(headers.finditer(self))
        starts = [header.start() for header in found[1:]] + [len(self)]
        return {header[1]: self.within(header.end(), end) for header, end in zip(found, starts, strict=False)}

    def skip(self, what: Field) -> None:
        """Numbers in there do not matter."""
        self.passed.append((what.start, what.end))


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric name and what it means."""

    name: str
    family: Family

    @classmethod
    def of(cls, name: str, kind: MetricType, text: str) -> Metric:
        return cls(name, Family(kind, text))


@dataclass(frozen=True, slots=True)
class Sample:
    """A series, and where its value stands: (value - minus) * times / over + plus."""

    metric: Metric
    value: Field | float
    labels: Mapping[str, str] = field(default_factory=dict)
    times: float = 1.0
    over: float = 1.0
    minus: Field | None = None
    plus: float = 0.0

    def number(self) -> float:
        """The value as this text has it."""
        value = float(self.value) - (float(self.minus) if self.minus is not None else 0.0)
        return value * self.times / self.over + self.plus


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one collector gave: node_exporter's word for a part of the host."""

    collector: str
    samples: tuple[Sample, ...]
    is_absent: bool = False
    """The host has nothing of the kind: no samples, and nothing wrong with that."""

    @property
    def is_success(self) -> bool:
        return bool(self.samples) or self.is_absent
