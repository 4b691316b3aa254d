"""What a receiver's settings say about its messages, apart from how they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sentinel.config.receivers import AnyReceiver
from sentinel.incidents.news import Event


@dataclass(frozen=True, slots=True)
class Policy:
    fallback: str = ""
    """Receiver that is told instead; empty: none."""
    fallback_after: float = 300.0
    """Seconds that a message waits before the fallback is told too."""
    events: frozenset[str] = frozenset(Event)
    """What it wants to hear of."""


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
        events=frozenset(Event) - unwanted,
    )
