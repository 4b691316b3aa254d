"""What a receiver's settings say about its messages, apart from how they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sentinel.config.receivers import AnyReceiver
from sentinel.incidents.news import Event
from sentinel.notify.pace import Limit


@dataclass(frozen=True, slots=True)
class Policy:
    fallback: str = ""
    """Receiver that is told instead; empty: none."""
    fallback_after: float = 300.0
    """Seconds that a message waits before the fallback is told too."""
    expires_after: float | None = None
    """Seconds after which an alert that waits makes no sense any more; None: never."""
    cap: Limit | None = None
    """More than this is put together into digests."""
    events: frozenset[str] = frozenset(Event)
    """What it wants to hear of."""

    def expiry(self, event: str, at: float) -> float | None:
        """When a message committed at this instant makes no sense any more."""
        is_alert = event == Event.FIRING.value
        return at + self.expires_after if is_alert and self.expires_after is not None else None


Policies = Mapping[str, Policy]
"""By receiver; only those that are configured now."""


def policies_of(receivers: Iterable[AnyReceiver]) -> Policies:
    return {one.name: _policy(one) for one in receivers}


def _policy(receiver: AnyReceiver) -> Policy:
    unwanted = set()
    if not receiver.send_resolved:
        unwanted.add(Event.RESOLVED)
    if not receiver.send_acknowledged:
        unwanted.add(Event.ACKNOWLEDGED)
    return Policy(
        fallback=receiver.fallback,
        fallback_after=receiver.fallback_after,
        expires_after=receiver.expires_after,
        cap=Limit(receiver.cap.messages, receiver.cap.per) if receiver.cap else None,
        events=frozenset(Event) - unwanted,
    )
