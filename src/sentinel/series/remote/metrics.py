"""What remote write tells about itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class RemoteMetrics:
    """Labels: `store` is the store's name; results and reasons are bounded words."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sentinel_remote_write_requests",
            "Requests to other stores: ok, refused (given up), failing and unreachable (tried again).",
            ["store", "result"],
            registry=registry,
        )
        self.dropped = Counter(
            "sentinel_remote_write_dropped_samples",
            "Samples given up before they reached the disk.",
            ["store", "reason"],
            registry=registry,
        )
        self.lost_segments = Counter(
            "sentinel_remote_write_dropped_segments",
            "Files of waiting samples given up because there was no room for more.",
            ["store"],
            registry=registry,
        )
        self.waiting = Gauge(
            "sentinel_remote_write_waiting_bytes",
            "Bytes on disk that wait to be sent.",
            ["store"],
            registry=registry,
        )
