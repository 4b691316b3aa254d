"""The engine's own metrics; none carries a device's name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class SnmpMetrics:
    """What goes over the sockets, and what is wrong with it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"sentinel_snmp_{name}", text, registry=registry)

        self.requests = counter("requests", "Requests sent, repeated ones included.")
        self.retries = counter("retries", "Requests sent again because no usable answer came.")
        self.malformed = counter("malformed_replies", "Datagrams that are no valid answer.")
        self.late = counter("late_replies", "Answers to requests nobody waits for any more.")
        self.foreign = counter("foreign_replies", "Answers from another address than the one asked.")
        self.walks = counter("walks", "Polls that had to walk a table because its rows were not known.")
        self.reports = Counter(
            "sentinel_snmp_reports",
            "Reports that version 3 agents sent instead of an answer; unknown_engine and not_in_time_window are "
            "usual when a device is met or has restarted.",
            ["report"],
            registry=registry,
        )
