"""A chart before it is drawn: series, span, scales and words. Pure; instants are Unix seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from sentinel.model.batch import Floats
from sentinel.model.durations import format_duration

MOST_SERIES: Final = 4
MAX_TEXT: Final = 400
_STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_TICKS: Final = 7
_PREFIXES: Final = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    times: Floats
    values: Floats

    def pieces(self, step: float) -> Iterator[tuple[Floats, Floats]]:
        """Its parts between gaps."""
        breaks = np.flatnonzero(np.diff(self.times) > 1.5 * step) + 1
        yield from zip(np.split(self.times, breaks), np.split(self.values, breaks), strict=True)


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    curves: tuple[Curve, ...]
    start: float
    end: float
    step: float
    zone: ZoneInfo
    threshold: float | None = None
    fired_at: float | None = None
    ended_at: float | None = None
    fired_word: str = "firing"

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value shown, with some air."""
        values = [value for curve in self.curves for value in (curve.values.min(), curve.values.max())]
        if self.threshold is not None and math.isfinite(self.threshold):
            values.append(self.threshold)
        low, high = float(min(values)), float(max(values))
        if 0 <= low <= 0.4 * high:
            low = 0.0
        air = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
        return (low if low == 0 < high else low - air), high + air

    @property
    def value_ticks(self) -> Sequence[float]:
        low, high = self.bounds
        raw = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
        first = math.ceil(low / step)
        return [number * step for number in range(first, math.floor(high / step) + 1)][:12]

    @property
    def time_ticks(self) -> Sequence[tuple[float, str]]:
        """On round local times."""
        span = self.end - self.start
        step = next((one for one in _STEPS if span / one <= _TICKS), _STEPS[-1])
        offset = datetime.fromtimestamp(self.start, self.zone).utcoffset()
        shift = offset.total_seconds() if offset is not None else 0.0
        first = math.ceil((self.start + shift) / step) * step - shift
        ticks = [first + number * step for number in range(int((self.end - first) // step) + 1)]
        return [(at, datetime.fromtimestamp(at, self.zone).strftime("%H:%M")) for at in ticks[:16]]

    @property
    def description(self) -> str:
        """The same in words, for those who do not see it."""
        values = [(curve.name, short(float(curve.values[-1]))) for curve in self.curves]
        parts = [f"{name}: {value}" if name else value for name, value in values]
        if self.threshold is not None:
            parts.append(f"threshold {short(self.threshold)}")
        text = f"{self.title}, {format_duration(round(self.end - self.start))}: {'; '.join(parts)}"
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def short(value: float) -> str:
    """A number in at most some six characters."""
    size = abs(value)
    for unit, prefix in _PREFIXES:
        if size >= unit:
            return f"{value / unit:.3g}{prefix}" if size < 1000 * unit else f"{value:.2e}"
    return f"{value:.4g}" if size >= 1e-3 or size == 0 else f"{value:.1e}"


def names_of(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """What tells the series apart; of a single one nothing."""
    if len(labels) < 2:
        return [""] * len(labels)
    every = dict.fromkeys(name for one in labels for name in one if name != "__name__")
    telling = [name for name in every if len({one.get(name, "") for one in labels}) > 1]
    return [", ".join(f"{name}={one[name]}" for name in telling if name in one) for one in labels]
