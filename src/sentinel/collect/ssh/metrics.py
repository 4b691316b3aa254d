"""Sentinel's own metrics of its SSH connections."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class SshMetrics:
    """No label holds a target's name or words: their number is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge("sentinel_ssh_connections", "Open SSH connections.", registry=registry)
        self.connects = Counter(
            "sentinel_ssh_connects_total",
            "Attempts to connect, by result: ok, or why not.",
            ["result"],
            registry=registry,
        )
        self.shells = Counter(
            "sentinel_ssh_shells_total",
            "Shells started; more than one per connection means that sections got stuck.",
            registry=registry,
        )
        self.failed_sections = Counter(
            "sentinel_ssh_failed_sections_total", "Sections that gave nothing.", ["reason"], registry=registry
        )
        self.received = Counter(
            "sentinel_ssh_received_bytes_total", "Bytes that hosts sent in reply.", registry=registry
        )
        self.parsed = Counter(
            "sentinel_ssh_learned_shapes_total",
            "Texts parsed in full because their form was new.",
            registry=registry,
        )
