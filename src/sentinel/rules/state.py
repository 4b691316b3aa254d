"""The alert state machine: values in, values out.

          seen            seen for `for`         unreadable
inactive ──────▶ pending ───────────────▶ firing ◀─────────▶ unknown
    ▲               │ gone                  │ gone              │ readable and gone
    └───────────────┴───────────────────────┴───────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from sentinel.model.alert import AlertState

PATIENCE = 3600.0
"""Seconds that a pending alert keeps its start while its data cannot be read (Prometheus: outage tolerance)."""


class Sight(Enum):
    """What one evaluation says about one alert."""

    SEEN = "seen"
    GONE = "gone"
    """The expression could return it and does not."""
    UNREADABLE = "unreadable"
    """It is not returned, and what it is made of cannot be read: that says nothing."""
    HELD = "held"
    """It is not returned, but there has not been time to read enough of what it is made of: shortly after a
    restart, or after unreadable data came back."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Of one rule; seconds."""

    hold: float = 0.0
    """`for`."""
    keep: float = 0.0
    """`keep_firing_for`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one alert stands. Instants are Unix seconds."""

    state: AlertState = AlertState.INACTIVE
    active_at: float = 0.0
    fired_at: float | None = None
    missing_at: float | None = None
    """Since when the expression does not return it although it did."""

    def shifted(self, seconds: float) -> Standing:
        """The same after the clock was set forward by that much."""
        return Standing(
            self.state,
            self.active_at + seconds,
            None if self.fired_at is None else self.fired_at + seconds,
            None if self.missing_at is None else self.missing_at + seconds,
        )


NOTHING = Standing()


def step(before: Standing, sight: Sight, at: float, policy: Policy) -> Standing:
    """Where the alert stands after one evaluation at that instant.

    An alert that is held or pending and cannot be read keeps its start, but does not begin to fire.
    """
    if sight is Sight.HELD:
        return before
    match before.state:
        case AlertState.INACTIVE:
            return _ripened(Standing(AlertState.PENDING, at), at, policy) if sight is Sight.SEEN else NOTHING
        case AlertState.PENDING:
            return _pending(before, sight, at, policy)
        case AlertState.FIRING | AlertState.UNKNOWN:
            return _open(before, sight, at, policy)


def _ripened(pending: Standing, at: float, policy: Policy) -> Standing:
    if at - pending.active_at >= policy.hold:
        return Standing(AlertState.FIRING, pending.active_at, fired_at=at)
    return pending


def _pending(before: Standing, sight: Sight, at: float, policy: Policy) -> Standing:
    if sight is Sight.SEEN:
        return _ripened(replace(before, missing_at=None), at, policy)
    if sight is Sight.GONE:
        return NOTHING
    missing_at = at if before.missing_at is None else before.missing_at
    return NOTHING if at - missing_at > PATIENCE else replace(before, missing_at=missing_at)


def _open(before: Standing, sight: Sight, at: float, policy: Policy) -> Standing:
    if sight is Sight.SEEN:
        return replace(before, state=AlertState.FIRING, missing_at=None)
    if sight is Sight.UNREADABLE:
        return replace(before, state=AlertState.UNKNOWN, missing_at=None)
    missing_at = at if before.missing_at is None else before.missing_at
    if at - missing_at < policy.keep:
        return replace(before, missing_at=missing_at)
    return NOTHING
