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

    __slots__ = ("_above", "_chars", "_is_digit", "ends", "lengths", "starts")

    def __init__(self, data: bytes) -> None:
        """`starts` and `ends` are byte offsets of the runs; `lengths` their lengths."""
        self._chars = np.frombuffer(b" " + data + b" ", np.uint8)
        self._above = self._chars - _ZERO
        self._is_digit = self._above < 10
        edges = (self._is_digit[1:] != self._is_digit[:-1]).nonzero()[0]
        self.starts: Places = edges[0::2]
        self.ends: Places = edges[1::2]
        self.lengths: Places = self.ends - self.starts

    def __len__(self) -> int:
        return len(self.starts)

    def folded(self) -> bytes:
        """The text with each run of digits as one 0 and each run of blanks as one blank."""
        chars: NDArray[np.uint8] = self._chars - self._above * self._is_digit.view(np.uint8)
        keeps = np.ones(len(chars), np.bool_)
        later = chars[1:]
        np.logical_or(later != chars[:-1], (later != _ZERO) & (later != _BLANK), out=keeps[1:])
        return chars[keeps].tobytes()

    def digits_of(self, chosen: Places) -> bytes:
        """The digits and the lengths of the chosen runs."""
        lengths = self.lengths[chosen]
        return self._chars[self._places(chosen, lengths)[0]].tobytes() + b"/" + lengths.tobytes()

    def numbers(self, chosen: Places) -> Floats:
        """The chosen runs as numbers, rounded to float64 once; they have at most 19 digits."""
        if not len(chosen):
            return np.empty(0)
        lengths = self.lengths[chosen]
        places, firsts = self._places(chosen, lengths)
        weights = _POWERS[(self.ends[chosen]).repeat(lengths) - places]
        return np.add.reduceat(self._above[places] * weights, firsts).astype(np.float64)

    def longest(self, chosen: Places) -> int:
        """Digits of the longest of the chosen runs."""
        return int(self.lengths[chosen].max(initial=0))

    def _places(self, chosen: Places, lengths: Places) -> tuple[Places, Places]:
        """Where the chosen runs' digits stand in `_chars`, run after run, and where each run begins in that."""
        after = lengths.cumsum()
        firsts = after - lengths
        count = int(after[-1]) if len(after) else 0
        return np.arange(count) + (self.starts[chosen] + 1 - firsts).repeat(lengths), firsts


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
    named: Places
    """Digit runs that belong to names …"""
    name_digits: bytes
    """… and what these are."""
    wanted: Places
    """Digit runs that values are made of."""
    take: Places
    minus: Places
    """Which of the wanted ones to add and to subtract; the index after the last is a constant zero."""
    times: Floats
    over: Floats
    fixed: Floats
    """What is added to each: all of a value that is no number in the text, such as the 1 of an info metric."""
    decimals: tuple[tuple[int, int, int], ...]
    """Wanted ones with a fraction behind them, as (which, run of the whole, run of the fraction)."""

    def values(self, data: bytes, tokens: Tokens, folded: bytes) -> Floats | None:
        """The values of a text of this form, or None where it has another."""
        if folded != self.folded or tokens.digits_of(self.named) != self.name_digits:
            return None
        if tokens.longest(self.wanted) > LONGEST:
            return None
        numbers = np.zeros(len(self.wanted) + 1)
        numbers[:-1] = tokens.numbers(self.wanted)
        for which, whole, fraction in self.decimals:
            numbers[which] = float(data[tokens.starts[whole] : tokens.ends[fraction]])
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
    named = places.named(text)
    take, minus = np.array(columns[0], np.intp), np.array(columns[1], np.intp)
    # Runs by their place among the wanted ones; the zero, which stands for none, is the last.
    wanted, which = np.unique(np.concatenate([take, minus, [len(tokens)]]), return_inverse=True)
    return Shape(
        series=tuple(samples),
        families={sample.metric.name: sample.metric.family for sample in samples.values()},
        success=success,
        names=frozenset(labels[METRIC_NAME] for labels in samples),
        folded=folded,
        named=named,
        name_digits=tokens.digits_of(named),
        wanted=wanted[:-1],
        take=which[: len(take)],
        minus=which[len(take) : -1],
        times=np.array(columns[2], np.float64),
        over=np.array(columns[3], np.float64),
        fixed=np.array(columns[4], np.float64),
        decimals=tuple(
            (int(np.searchsorted(wanted, whole)), whole, fraction)
            for whole, fraction in places.decimals.items()
        ),
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

    def named(self, text: Text) -> Places:
        """Runs that no sample takes and that the parser did not pass over."""
        is_name = np.ones(len(self._tokens), np.bool_)
        is_name[list(self._taken)] = False
        for start, end in text.passed:
            first, last = np.searchsorted(self._tokens.starts, (start, end))
            is_name[first:last] = False
        return np.flatnonzero(is_name)
