"""Functions of one sample at a time: mathematics and the calendar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from sentinel.model.batch import Floats
from sentinel.promql.frame import Context, Frame, Nameless, Node, scalar, vector

Function = Callable[..., Floats]


class Elementwise:
    """f(vector, scalars…): keeps the series, drops the metric name."""

    def __init__(self, function: Function, argument: Node, parameters: Sequence[Node]) -> None:
        self.function = function
        self.argument = argument
        self.parameters = parameters
        self._nameless = Nameless()

    def evaluate(self, context: Context) -> Frame:
        frame = vector(self.argument.evaluate(context))
        parameters = [scalar(node.evaluate(context)) for node in self.parameters]
        values = self.function(frame.values, *parameters)
        return self._nameless.checked(Frame(self._nameless(frame.table), values, frame.present))


def _round(values: Floats, nearest: float = 1.0) -> Floats:
    inverse = np.float64(1.0) / nearest
    result: Floats = np.floor(values * inverse + 0.5) / inverse
    return result


def _clamp(values: Floats, least: float, greatest: float) -> Floats:
    if np.isnan(least) or np.isnan(greatest):
        return np.full_like(values, np.nan)
    result: Floats = np.where(np.isnan(values), values, np.maximum(least, np.minimum(greatest, values)))
    return result


def _clamp_min(values: Floats, least: float) -> Floats:
    result: Floats = np.maximum(values, least)
    return result


def _clamp_max(values: Floats, greatest: float) -> Floats:
    result: Floats = np.minimum(values, greatest)
    return result


def _civil(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Year, month and day of Unix seconds, in UTC.

    Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """
    days = np.floor(values / 86400.0) + 719468
    era = np.floor(days / 146097)
    day_of_era = days - era * 146097
    year_of_era = np.floor(
        (
            day_of_era
            - np.floor(day_of_era / 1460)
            + np.floor(day_of_era / 36524)
            - np.floor(day_of_era / 146096)
        )
        / 365
    )
    day_of_year = day_of_era - (365 * year_of_era + np.floor(year_of_era / 4) - np.floor(year_of_era / 100))
    shifted = np.floor((5 * day_of_year + 2) / 153)
    day = day_of_year - np.floor((153 * shifted + 2) / 5) + 1
    month = np.where(shifted < 10, shifted + 3, shifted - 9)
    year = year_of_era + era * 400 + (month <= 2)
    return year, month, day


def _is_leap(year: Floats) -> Floats:
    leap: Floats = ((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))).astype(np.float64)
    return leap


def _days_in_month(values: Floats) -> Floats:
    year, month, _ = _civil(values)
    known = np.isfinite(month)
    lengths = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.float64)
    days = lengths[np.where(known, month, 1).astype(np.intp) - 1] + (month == 2) * _is_leap(year)
    return np.where(known, days, np.nan)


def _day_of_year(values: Floats) -> Floats:
    year, month, day = _civil(values)
    before = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.float64)
    known = np.isfinite(month)
    start = before[np.where(known, month, 1).astype(np.intp) - 1]
    return np.where(known, start + day + (month > 2) * _is_leap(year), np.nan)


def _seconds(values: Floats) -> Floats:
    whole: Floats = np.floor(values)
    return whole


DATES: Final[dict[str, Function]] = {
    "year": lambda v: _civil(_seconds(v))[0],
    "month": lambda v: _civil(_seconds(v))[1],
    "day_of_month": lambda v: _civil(_seconds(v))[2],
    "day_of_week": lambda v: (np.floor(v / 86400) + 4) % 7,
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "hour": lambda v: np.floor(v % 86400 / 3600),
    "minute": lambda v: np.floor(v % 3600 / 60),
}

FUNCTIONS: Final[dict[str, Function]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": np.sign,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "sin": np.sin,
    "sinh": np.sinh,
    "tan": np.tan,
    "tanh": np.tanh,
    "deg": np.degrees,
    "rad": np.radians,
    "round": _round,
    "clamp": _clamp,
    "clamp_min": _clamp_min,
    "clamp_max": _clamp_max,
    **DATES,
}


class Clamp:
    """clamp(v, min, max): empty when the limits contradict each other."""

    def __init__(self, argument: Node, least: Node, greatest: Node) -> None:
        self.inner = Elementwise(_clamp, argument, (least, greatest))

    def evaluate(self, context: Context) -> Frame:
        least, greatest = (scalar(node.evaluate(context)) for node in self.inner.parameters)
        frame = self.inner.evaluate(context)
        if least > greatest:
            return Frame(frame.table, frame.values, np.zeros(len(frame), np.bool_))
        return frame
