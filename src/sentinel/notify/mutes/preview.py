"""What a silence would mute now, before it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sentinel.model.alert import Alert
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silence import Silence

FEW = 1
"""Alerts that are never too many, however few there are."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Open alerts that a silence or a window concerns, whether it has begun or not."""

    silence: Silence
    """As it would be written."""
    matched: tuple[Alert, ...]
    open: int
    """How many there are."""
    warning: str
    """Why one should think again; empty: no reason."""


def preview(mutes: Mutes, silence: Silence, alerts: Sequence[Alert], share: float) -> Preview:
    """
    Args:
        share: of the open alerts, above which there is a warning.
    """
    compiled = mutes.compiled(silence)
    is_open = [alert for alert in alerts if alert.is_open]
    matched = tuple(alert for alert in is_open if compiled.matches(alert.labels))
    warning = ""
    if len(matched) > max(FEW, share * len(is_open)):
        of = f"{len(matched)} of {len(is_open)} open alerts"
        warning = (
            f"it matches {of} ({len(matched) / len(is_open):.0%}; more than {share:.0%}): is that meant?"
        )
    return Preview(silence, matched, len(is_open), warning)
