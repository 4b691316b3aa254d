"""What is received, as metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ReceivedMetrics:
    """Labels: `sender` is the name of the token; results are bounded words."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.posts = Counter(
            "sentinel_received_alert_posts",
            "Alerts in requests of others: firing, resolved, invalid, full (beyond [intake] max_alerts).",
            ["sender", "result"],
            registry=registry,
        )
        self.open = Gauge(
            "sentinel_received_alerts_firing", "Alerts from others that fire.", registry=registry
        )
        self.expired = Counter(
            "sentinel_received_alerts_expired",
            "Alerts from others that ended because their senders said nothing more of them.",
            registry=registry,
        )
