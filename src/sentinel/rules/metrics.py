"""The rule loop's own metrics, named after Prometheus' where those exist."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class RuleMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        group = ["rule_group"]
        self.evaluations = Counter("sentinel_rule_evaluations", "Rules evaluated.", group, registry=registry)
        self.failures = Counter(
            "sentinel_rule_evaluation_failures", "Rule evaluations that failed.", group, registry=registry
        )
        self.iterations = Counter(
            "sentinel_rule_group_iterations", "Ticks of rule groups.", group, registry=registry
        )
        self.missed = Counter(
            "sentinel_rule_group_iterations_missed",
            "Ticks skipped because the one before was still being evaluated.",
            group,
            registry=registry,
        )
        self.duration = Gauge(
            "sentinel_rule_group_last_duration_seconds",
            "Time that the group's last tick took.",
            group,
            registry=registry,
        )
        self.evaluated_at = Gauge(
            "sentinel_rule_group_last_evaluation_timestamp_seconds",
            "When the group was last evaluated.",
            group,
            registry=registry,
        )
        self.interval = Gauge(
            "sentinel_rule_group_interval_seconds", "Time between a group's ticks.", group, registry=registry
        )
        self.rules = Gauge("sentinel_rule_group_rules", "Rules of the group.", group, registry=registry)
        self.samples = Gauge(
            "sentinel_rule_group_last_evaluation_samples",
            "Samples that the group's last tick gave.",
            group,
            registry=registry,
        )
        self.alerts = Gauge("sentinel_alerts", "Alerts by state.", ["state"], registry=registry)
        self.expansion_failures = Counter(
            "sentinel_template_expansion_failures",
            "Label and annotation templates that could not be expanded.",
            registry=registry,
        )

    def remove(self, group: str) -> None:
        """Forget a group that is gone."""
        for metric in (
            self.evaluations,
            self.failures,
            self.iterations,
            self.missed,
            self.duration,
            self.evaluated_at,
            self.interval,
            self.rules,
            self.samples,
        ):
            metric.remove(group)
