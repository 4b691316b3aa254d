"""Alertmanager's orders of label sets and alerts.

Source: prometheus/common model/labelset.go (LabelSet.Before), Alertmanager types.AlertSlice.Less.
"""

from __future__ import annotations

from functools import cmp_to_key
from itertools import zip_longest

from sentinel.model.labels import Labels


def _before(one: Labels, other: Labels) -> int:
    """Fewer labels first; then the first label in which they differ decides: who lacks it comes first."""
    if len(one) != len(other):
        return len(one) - len(other)
    for mine, theirs in zip_longest(one.pairs, other.pairs):
        if mine != theirs:
            if mine[0] != theirs[0]:
                return 1 if mine[0] < theirs[0] else -1
            return -1 if mine[1] < theirs[1] else 1
    return 0


by_labels = cmp_to_key(_before)


def _alert(one: Labels, other: Labels) -> int:
    for name in ("job", "instance"):
        mine, theirs = one.get(name), other.get(name)
        if mine == theirs:
            continue
        if mine is None:
            return 1
        if theirs is None:
            return -1
        return -1 if mine < theirs else 1
    return _before(one, other)


by_alert = cmp_to_key(_alert)
