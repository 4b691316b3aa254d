"""What remote write tells about itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from sentinel.series.remote.verdict import Verdict


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


class IntakeMetrics:
    """Labels: `sender` is the name of the token; reasons are bounded words."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sentinel_received_requests",
            "Remote write requests from others: ok, partial (something was refused), unreadable.",
            ["sender", "result"],
            registry=registry,
        )
        self.samples = Counter(
            "sentinel_received_samples", "Samples taken from others.", ["sender"], registry=registry
        )
        self.refused = Counter(
            "sentinel_received_refused_samples",
            "Samples from others that were refused.",
            ["sender", "reason"],
            registry=registry,
        )
        self.conflicts = Counter(
            "sentinel_received_conflicting_samples",
            "Samples from others dropped because a poll of ours gives the same series.",
            registry=registry,
        )
        self.series = Gauge(
            "sentinel_received_series", "Series from others that are kept.", registry=registry
        )
        self.sources = Gauge(
            "sentinel_received_sources", "Groups of these series that are sent together.", registry=registry
        )

    def count(self, verdict: Verdict, sender: str) -> None:
        self.samples.labels(sender).inc(verdict.stored)
        for reason, count in verdict.refused.items():
            self.refused.labels(sender, reason).inc(count)
        if verdict.histograms:
            self.refused.labels(sender, "native histogram").inc(verdict.histograms)
