"""From a module's `read` to a parser.

A text is first rewritten as one line per sample, the series as JSON and the value in decimal. That form stays the
same from poll to poll, so reading it costs what reading any learned shape does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Final

from sentinel.collect.ssh.extract.records import Cut, Record, cut
from sentinel.collect.ssh.extract.schema import WrittenMetric, WrittenRead
from sentinel.collect.ssh.extract.values import read_value
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Metric, Outcome, Sample, Text
from sentinel.model.pattern import Pattern

MAX_SAMPLES: Final = 5_000
"""Of one section."""

MAX_LABEL: Final = 1_024
"""Characters of a label value."""

_PLAIN: Final = re.compile("[A-Za-z0-9_-]+")

_LONGEST_KEY: Final = 100
_LARGEST: Final = 1e18
_SMALLEST: Final = 1e-9


def parser_of(name: str, read: WrittenRead) -> Parser:
    """
    Args:
        name: of the section, with its module.
    """
    metrics = tuple(_Made.of(metric) for metric in read.metrics)
    rewrite = _Rewrite(cut(read), _Choice.of(metrics))
    kinds = {metric.name: Metric.of(metric.name, metric.type, metric.help) for metric in read.metrics}
    digest = hashlib.blake2b(read.model_dump_json().encode(), digest_size=8).hexdigest()
    return Parser(
        f"{name} {digest}",
        (),
        lambda text: [Outcome(name, tuple(_samples(text, kinds)))],
        frozenset(kinds),
        rewrite,
    )


def _samples(text: Text, kinds: dict[str, Metric]) -> Iterator[Sample]:
    for line in text.lines():
        place = line.rfind(" ")
        if place > 0:
            name, labels = json.loads(line[:place])
            yield Sample(kinds[name], line.part(place + 1), labels)


@dataclass(frozen=True, slots=True)
class _Made:
    """A metric with its expressions compiled."""

    written: WrittenMetric
    keys: Pattern | None
    pattern: Pattern | None
    where: tuple[tuple[str, Pattern], ...]

    @classmethod
    def of(cls, written: WrittenMetric) -> _Made:
        return cls(
            written,
            Pattern.of(written.keys) if written.keys else None,
            Pattern.of(written.pattern) if written.pattern else None,
            tuple((field, Pattern.of(text)) for field, text in written.where.items()),
        )

    def samples(self, record: Record) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and values of the metric in one record."""
        if all(pattern.matches(record.get(field, "")) for field, pattern in self.where):
            for fields in self._fields(record):
                labels = dict(self.written.fixed)
                for label, field in self.written.labels.items():
                    if fields.get(field):
                        labels[label] = fields[field][:MAX_LABEL]
                yield from self._of(fields, labels)

    def _of(self, fields: Record, labels: dict[str, str]) -> Iterator[tuple[dict[str, str], float]]:
        for label, words in self.written.states.items():
            word = self._text(fields)
            if word is not None:
                for each in words:
                    yield {**labels, label: each}, float(each == word.strip())
            return
        value = self._value(fields)
        if value is not None:
            yield labels, value * self.written.scale

    def _fields(self, record: Record) -> Iterator[Record]:
        """The record, once for each key or match that the metric asks for, with what its expressions found."""
        if self.keys is not None:
            found: list[Record] = [
                {**record, **groups, "value": value}
                for key, value in record.items()
                if (groups := _key_groups(self.keys, key)) is not None
            ]
        else:
            found = [record]
        if self.pattern is None:
            yield from found
            return
        for fields in found:
            for groups in self.pattern.groups_in(fields.get(str(self.written.value), "")):
                yield {**fields, **groups}

    def _value(self, fields: Record) -> float | None:
        written = self.written
        if isinstance(written.value, int | float):
            return float(written.value)
        text = self._text(fields)
        return None if text is None else read_value(text, written.unit, written.map)

    def _text(self, fields: Record) -> str | None:
        return fields.get("value" if self.pattern is not None else str(self.written.value))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which metrics a record may give. Where `where` asks a field for a plain word, that word finds them."""

    field: str
    by_word: Mapping[str, tuple[_Made, ...]]
    others: tuple[_Made, ...]

    @classmethod
    def of(cls, metrics: tuple[_Made, ...]) -> _Choice:
        fields = Counter(field for made in metrics for field in _plain_words(made))
        field = fields.most_common(1)[0][0] if fields else ""
        words = {word: None for made in metrics if (word := _plain_words(made).get(field))}
        return cls(
            field,
            {
                word: tuple(made for made in metrics if _plain_words(made).get(field) == word)
                for word in words
            },
            tuple(made for made in metrics if field not in _plain_words(made)),
        )

    def __call__(self, record: Record) -> Iterable[_Made]:
        return chain(self.by_word.get(record.get(self.field, ""), ()), self.others)


@lru_cache(maxsize=50_000)
def _known_groups(pattern: str, key: str) -> Record | None:
    return Pattern.of(pattern).groups(key)


def _key_groups(pattern: Pattern, key: str) -> Record | None:
    """Keys are the same from poll to poll, and there are few of them."""
    return _known_groups(pattern.text, key) if len(key) <= _LONGEST_KEY else pattern.groups(key)


def _plain_words(made: _Made) -> dict[str, str]:
    return {field: text for field, text in made.written.where.items() if _PLAIN.fullmatch(text)}


@dataclass(frozen=True, slots=True)
class _Rewrite:
    """See the top of the file."""

    cut: Cut
    chosen: _Choice

    def __call__(self, data: bytes) -> bytes:
        lines: dict[str, str] = {}
        text = data.decode("utf-8", "replace").replace("\0", "")
        for record in self.cut(text):
            for metric in self.chosen(record):
                for labels, value in metric.samples(record):
                    if len(lines) >= MAX_SAMPLES:
                        break
                    number = _decimal(value)
                    if number:
                        lines.setdefault(json.dumps([metric.written.name, labels]), number)
        return "\n".join(f"{series} {number}" for series, number in sorted(lines.items())).encode()


def _decimal(value: float) -> str:
    """With at most 19 digits on either side of the point, which is always there: the form must not change with the
    value. Nothing where that is not possible.
    """
    if abs(value) < _SMALLEST:
        return "0.0"
    if abs(value) >= _LARGEST:
        return ""
    whole, _, rest = f"{Decimal(repr(value)):f}".partition(".")
    return f"{whole}.{rest[:19] or '0'}"
