"""The receiver's own metrics; none carries a device's name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class TrapMetrics:
    """What becomes of the datagrams that arrive."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.datagrams = Counter(
            "sentinel_trap_datagrams",
            "Datagrams at the trap receiver, by what became of them: taken, repeated (an inform sent again), "
            "foreign (the sender is not allowed), limited (too many), dropped (the queue was full), malformed, "
            "refused (wrong community, user or key), discovery (an inform's sender asked who we are).",
            ["outcome"],
            registry=registry,
        )
        self.polls = Counter(
            "sentinel_trap_polls", "Polls at once because a notification arrived.", registry=registry
        )
