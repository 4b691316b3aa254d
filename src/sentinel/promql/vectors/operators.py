"""Arithmetic and comparison of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from sentinel.model.batch import Floats

Arithmetic = Callable[[Any, Any], Any]

ARITHMETIC: Final[dict[str, Arithmetic]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISON: Final[dict[str, Arithmetic]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SETS: Final = frozenset({"and", "or", "unless"})


def of_scalars(operator: str, left: float, right: float) -> float:
    if operator in ARITHMETIC:
        return float(ARITHMETIC[operator](np.float64(left), np.float64(right)))
    return float(COMPARISON[operator](left, right))


def of_arrays(operator: str, left: Floats | float, right: Floats | float) -> Floats:
    result: Floats = ARITHMETIC[operator](left, right)
    return result
