"""How rules are doing: for pages and the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sentinel.model.alert import Alert
from sentinel.rules.rule import Rule, RuleGroup

Health = Literal["unknown", "ok", "err"]


@dataclass(frozen=True, slots=True)
class RuleStatus:
    rule: Rule
    health: Health
    last_error: str
    last_evaluation: float | None
    """Unix seconds; None: not yet."""
    duration: float
    """Seconds that the last evaluation took."""
    alerts: tuple[Alert, ...]
    """Pending, firing and unknown ones."""


@dataclass(frozen=True, slots=True)
class GroupStatus:
    group: RuleGroup
    rules: tuple[RuleStatus, ...]
    last_evaluation: float | None
    """Unix seconds; None: not yet."""
    duration: float
    """Seconds that the last tick took."""
