"""The form of a text, learned once: which of its numbers are the values, and of which series.

Texts such as /proc/stat keep their form from poll to poll while the numbers change. A shape knows the text with
every run of digits and of blanks folded, the digits that belong to names (cpu3, sda1), and where the values stand.
While these match, a poll is array work: no lines, no labels, no dictionaries. A text of another form is parsed
in full, which yields the next shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentinel.collect.ssh.text import Field, Outcome, Sample, Text
from sentinel.model.batch import Family, Floats
from sentinel.model.labels import METRIC_NAME, Labels

Places = NDArray[np.intp]

LONGEST = 19
"""Digits that surely fit 64 bits."""

_POWERS = 10 ** np.arange(LONGEST + 1, dtype=np.uint64)
_ZERO = np.uint8(48)
_BLANK = np.uint8(32)


class Tokens:
    """The runs of digits in a text."""

    __slots__ = ("_chars", "_is_digit", "_places", "ends", "lengths", "starts")

    def __init__(self, data: bytes) -> None:
        """`starts` and `ends` are byte offsets of the runs; `lengths` their lengths."""
        self._chars = np.frombuffer(b" " + data + b" ", np.uint8)
        self._is_digit = (self._chars - _ZERO) < 10
        edges = np.flatnonzero(self._is_digit[1:] != self._is_digit[:-1])
        self.starts: Places = edges[0::2]
        self.ends: Places = edges[1::2]
        self.lengths: Places = self.ends - self.starts
        self._places = np.flatnonzero(self._is_digit)

    def __len__(self) -> int:
        return len(self.starts)

    def folded(self) -> bytes:
        """The text with each run of digits as one 0 and each run of blanks as one blank."""
        drop = np.zeros(len(self._chars), np.bool_)
        is_blank = self._chars == _BLANK
        drop[1:] = (self._is_digit[1:] & self._is_digit[:-1]) | (is_blank[1:] & is_blank[:-1])
        folded: NDArray[np.uint8] = np.where(self._is_digit, _ZERO, self._chars)[~drop]
        return folded.tobytes()

    def digits_of(self, chosen: NDArray[np.bool_]) -> bytes:
        """The digits and the lengths of the chosen runs."""
        digits = self._chars[self._places[np.repeat(chosen, self.lengths)]]
        return digits.tobytes() + b"/" + self.lengths[chosen].tobytes()

    def numbers(self) -> Floats:
        """Each run as a number, rounded to float64 once. Runs above 19 digits come out wrong: never take them."""
        if not len(self):
            return np.empty(0)
        weights = _POWERS.take(np.repeat(self.ends + 1, self.lengths) - self._places - 1, mode="clip")
        digits = (self._chars[self._places] - _ZERO) * weights
        return np.add.reduceat(digits, np.cumsum(self.lengths) - self.lengths).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """See the module. Immutable, so hosts whose texts have the same form share one."""

    series: tuple[Labels, ...]
    families: Mapping[str, Family]
    success: Mapping[str, bool]
    """Which collectors found something to read."""
    names: frozenset[str]
    """The metric names of the series."""
    folded: bytes
    is_name: NDArray[np.bool_]
    """Per digit run: it belongs to a name …"""
    name_digits: bytes
    """… and what these are."""
    take: Places
    minus: Places
    """Digit runs to add and to subtract; the index after the last run is a constant zero."""
    times: Floats
    over: Floats
    fixed: Floats
    """What is added to each: all of a value that is no number in the text, such as the 1 of an info metric."""
    decimals: tuple[tuple[int, int], ...]
    """Digit runs with a fraction behind them, as (run of the whole, run of the fraction)."""

    def values(self, data: bytes, tokens: Tokens, folded: bytes) -> Floats | None:
        """The values of a text of this form, or None where it has another."""
        if folded != self.folded or tokens.digits_of(self.is_name) != self.name_digits:
            return None
        numbers = np.append(tokens.numbers(), 0.0)
        for whole, fraction in self.decimals:
            numbers[whole] = float(data[tokens.starts[whole] : tokens.ends[fraction]])
        values: Floats = (numbers[self.take] - numbers[self.minus]) * self.times / self.over + self.fixed
        return values


def learn(data: bytes, tokens: Tokens, folded: bytes, text: Text, outcomes: Iterable[Outcome]) -> Shape:
    """The shape of a text that was parsed in full. A series that comes twice counts once, as it came first."""
    samples: dict[Labels, Sample] = {}
    success: dict[str, bool] = {}
    for outcome in outcomes:
        success[outcome.collector] = outcome.is_success or success.get(outcome.collector, False)
        for sample in outcome.samples:
            samples.setdefault(Labels(sample.labels, __name__=sample.metric.name), sample)
    places = _Runs(tokens)
    rows = [places.row(sample) for sample in samples.values()]
    columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    is_name = places.is_name(text)
    return Shape(
        series=tuple(samples),
        families={sample.metric.name: sample.metric.family for sample in samples.values()},
        success=success,
        names=frozenset(labels[METRIC_NAME] for labels in samples),
        folded=folded,
        is_name=is_name,
        name_digits=tokens.digits_of(is_name),
        take=np.array(columns[0], np.intp),
        minus=np.array(columns[1], np.intp),
        times=np.array(columns[2], np.float64),
        over=np.array(columns[3], np.float64),
        fixed=np.array(columns[4], np.float64),
        decimals=tuple(places.decimals.items()),
    )


class _Runs:
    """Finds the digit runs that samples take."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._index = {int(start): index for index, start in enumerate(tokens.starts)}
        self._taken: set[int] = set()
        self.decimals: dict[int, int] = {}

    def row(self, sample: Sample) -> tuple[int, int, float, float, float]:
        """take, minus, times, over, fixed."""
        nothing = len(self._tokens)
        if not isinstance(sample.value, Field):
            return nothing, nothing, 1.0, 1.0, sample.number()
        run, sign = self._run(sample.value)
        minus = self._run(sample.minus)[0] if sample.minus is not None else nothing
        return run, minus, sign * sample.times, sample.over, sample.plus

    def _run(self, number: Field) -> tuple[int, float]:
        sign = -1.0 if number.startswith("-") else 1.0
        run = self._index[number.start + (sign < 0)]
        self._taken.add(run)
        if "." in number:
            self.decimals[run] = run + 1
            self._taken.add(run + 1)
        return run, sign

    def is_name(self, text: Text) -> NDArray[np.bool_]:
        """Runs that no sample takes and that the parser did not pass over."""
        is_name = np.ones(len(self._tokens), np.bool_)
        is_name[list(self._taken)] = False
        for start, end in text.passed:
            first, last = np.searchsorted(self._tokens.starts, (start, end))
            is_name[first:last] = False
        return is_name
