"""What the history tells about itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class HistoryMetrics:
    """Labels are bounded words."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.samples = Counter(
            "sentinel_history_samples", "Samples written to the journal.", registry=registry
        )
        self.dropped = Counter(
            "sentinel_history_dropped_samples",
            "Samples that are not in the history: disk (they could not be written), memory (too many waited).",
            ["reason"],
            registry=registry,
        )
        self.failures = Counter(
            "sentinel_history_failures",
            "What went wrong: write (to the journal), pack (into files), read, delete.",
            ["step"],
            registry=registry,
        )
        self.damaged = Counter(
            "sentinel_history_damaged",
            "Files, segments of the journal and parts of them that were not what had been written.",
            ["kind"],
            registry=registry,
        )
        self.is_paused = Gauge(
            "sentinel_history_paused", "1 while samples cannot be written to the history.", registry=registry
        )
        self.nbytes = Gauge(
            "sentinel_history_bytes", "Bytes on disk, by kind: files, journal.", ["kind"], registry=registry
        )
        self.files = Gauge("sentinel_history_files", "Files of packed samples.", registry=registry)
        self.behind = Gauge(
            "sentinel_history_behind_seconds",
            "Age of the oldest sample that is not on disk yet.",
            registry=registry,
        )
        self.oldest = Gauge(
            "sentinel_history_oldest_timestamp_seconds", "The oldest sample on disk.", registry=registry
        )
        self.restored = Gauge(
            "sentinel_history_restore_seconds", "How long it took to fill the head again.", registry=registry
        )
        for reason in ("disk", "memory"):
            self.dropped.labels(reason)
        for step in ("write", "pack", "read", "delete"):
            self.failures.labels(step)
        for kind in ("file", "segment"):
            self.damaged.labels(kind)
