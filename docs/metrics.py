"""The reference of Sentinel's own metrics, from the objects that count them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from sentinel.collect.drivers import Drivers
from sentinel.collect.failed import FAMILIES as FAILED
from sentinel.collect.failed import METRIC as FAILED_METRIC
from sentinel.collect.poll import PollMetrics
from sentinel.collect.traps.metrics import TrapMetrics
from sentinel.collect.traps.tally import FAMILIES as TRAPS
from sentinel.collect.traps.tally import METRIC as TRAP_METRIC
from sentinel.collect.uplink.uplink import UplinkMetrics
from sentinel.db.care import CareMetrics
from sentinel.incidents.ledger import LedgerMetrics
from sentinel.incidents.received.metrics import ReceivedMetrics
from sentinel.notify.heartbeat.beat import HeartbeatMetrics
from sentinel.notify.mutes.watch import SilenceMetrics
from sentinel.notify.sender import SenderMetrics
from sentinel.reload import ReloadMetrics
from sentinel.rules.metrics import RuleMetrics
from sentinel.runtime.clock import SystemClock
from sentinel.runtime.follow import LoopMetrics
from sentinel.runtime.supervise import Supervisor
from sentinel.series.head import Head
from sentinel.series.history.metrics import HistoryMetrics
from sentinel.series.remote.metrics import IntakeMetrics, RemoteMetrics
from sentinel.sweeps import SweepMetrics
from sentinel.vitals import VitalMetrics
from sentinel.web.live import LiveMetrics

_PARTS: tuple[tuple[str, Callable[[CollectorRegistry], object]], ...] = (
    ("Polls", PollMetrics),
    ("Drivers", lambda registry: Drivers(SystemClock(), registry)),
    ("Traps and informs", TrapMetrics),
    ("Uplink", UplinkMetrics),
    ("Rules", RuleMetrics),
    ("Alerts and incidents in the database", LedgerMetrics),
    ("Alerts from others", ReceivedMetrics),
    ("Notifications", SenderMetrics),
    ("Silences and maintenance windows", SilenceMetrics),
    ("Heartbeats", HeartbeatMetrics),
    ("Backup and retention", CareMetrics),
    ("History", HistoryMetrics),
    ("Remote write", RemoteMetrics),
    ("Samples from others", IntakeMetrics),
    ("Configuration", ReloadMetrics),
    ("Sweeps", SweepMetrics),
    ("Pages", LiveMetrics),
    (
        "The daemon",
        lambda registry: (Supervisor(SystemClock(), registry), LoopMetrics(registry), VitalMetrics(registry)),
    ),
)
"""Heading → what registers the metrics. Nothing is started."""


class _Noting(CollectorRegistry):
    """Keeps what was registered, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Any] = []

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self.noted.append(collector)


def metrics_reference() -> str:
    """docs/reference/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "What Sentinel says of itself. `/metrics?scope=self` gives it to Prometheus; the module `sentinel`, polled",
        'by itself every 15 s, puts the same series into the head with `job="sentinel"`, where rules judge them',
        "(`rules/sentinel.yml`). No label holds a target's name or words, so their number is bounded. What is read",
        "from targets has the names of node_exporter and of the MIBs: [SSH modules](ssh-modules.md),",
        "[SNMP modules](snmp-modules.md).",
        "",
        "A histogram `x` is the series `x_bucket{le}`, `x_sum` and `x_count`.",
        "",
        "## Of every target",
        "",
        "With each poll, for each target and module, with `instance`, `job` and the target's own labels.",
        "",
        *_heading(),
    ]
    for name, family in sorted(Head().families().items()):
        lines.append(_row(name, family.type, ["instance", "job"], family.help))
    failed = FAILED[FAILED_METRIC]
    lines.append(_row(FAILED_METRIC, failed.type, ["instance", "job", "reason"], failed.help))
    lines += ["", "## Of every device that sends traps", "", *_heading()]
    kind = TRAPS[TRAP_METRIC]
    lines.append(_row(TRAP_METRIC, kind.type, ["instance", "job", "trap"], kind.help))
    for title, register in _PARTS:
        registry = _Noting()
        register(registry)
        lines += ["", f"## {title}", "", *_heading(), *_rows(registry)]
    return "\n".join(lines) + "\n"


def _heading() -> tuple[str, str]:
    return "| metric | type | labels | meaning |", "|---|---|---|---|"


def _rows(registry: _Noting) -> Iterator[str]:
    for collector in registry.noted:
        (family,) = collector.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield _row(name, family.type, list(collector._labelnames), family.documentation)


def _row(name: str, kind: str, labels: list[str], meaning: str) -> str:
    return f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels) or '–'} | {meaning} |"
