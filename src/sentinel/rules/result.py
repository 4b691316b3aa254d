"""What an evaluation of a rule's expression gives."""

from __future__ import annotations

import numpy as np

from sentinel.model.labels import EMPTY
from sentinel.promql.value import SeriesSet, Value, Vector

SCALAR = SeriesSet((EMPTY,))
"""The series of a result without labels."""


class RuleError(Exception):
    """This evaluation of the rule cannot be used; its alerts stay as they are."""


def vector_of(value: Value) -> Vector:
    """A result as a vector: a scalar is one sample without labels.

    Raises:
        RuleError: it is a string.
    """
    if isinstance(value, Vector):
        return value
    if isinstance(value, str):
        raise RuleError("the result is neither a vector nor a scalar")
    return Vector(SCALAR, np.zeros(1, np.intp), np.array([value]))
