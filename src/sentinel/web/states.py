"""Alerts, rules and targets as Prometheus shows them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from typing import Any, Final

import orjson

from sentinel.collect.watch import PollStatus
from sentinel.model.alert import Alert, AlertState
from sentinel.model.durations import format_duration
from sentinel.web.formats import format_instant, format_number

TURN: Final = 0.005
"""Seconds of work after which other requests get their turn."""


def alert_json(alert: Alert) -> dict[str, Any]:
    """Prometheus knows no unknown state: such an alert was firing and is not resolved, so it says firing,
    and one field more tells those who ask."""
    is_unknown = alert.state is AlertState.UNKNOWN
    shown: dict[str, Any] = {
        "labels": dict(alert.labels.pairs),
        "annotations": dict(alert.annotations.pairs),
        "state": "firing" if is_unknown else alert.state.value,
        "activeAt": format_instant(alert.active_at),
        "value": _scientific(alert.value),
    }
    return shown | {"sentinelState": "unknown"} if is_unknown else shown


class AlertTexts:
    """Alerts as JSON text, kept until they change: dashboards ask for thousands of them again and again."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Alert, orjson.Fragment]] = {}

    async def of(self, alerts: Iterable[Alert]) -> list[orjson.Fragment]:
        """Many of them, without holding others up."""
        before, kept = self._kept, dict[str, tuple[Alert, orjson.Fragment]]()
        texts = []
        turn = time.monotonic()
        for count, alert in enumerate(alerts):
            known = before.get(alert.fingerprint)
            if known is None or not _looks_alike(known[0], alert):
                known = (alert, orjson.Fragment(orjson.dumps(alert_json(alert))))
            kept[alert.fingerprint] = known
            texts.append(known[1])
            if count % 32 == 0 and time.monotonic() - turn > TURN:
                await asyncio.sleep(0)
                turn = time.monotonic()
        self._kept = kept
        return texts


def _looks_alike(one: Alert, other: Alert) -> bool:
    return one is other or (
        one.labels is other.labels
        and one.annotations is other.annotations
        and one.state is other.state
        and one.value == other.value
        and one.active_at == other.active_at
    )


def _scientific(value: float) -> str:
    """The shortest scientific text, as Go's strconv.FormatFloat(v, 'e', -1, 64)."""
    if not math.isfinite(value):
        return format_number(value)
    # Python's own text is the shortest, too, with its digits in another place.
    digits = repr(value).partition("e")[0].replace(".", "").strip("-0")
    return f"{value:.{max(len(digits) - 1, 0)}e}"


def target_json(status: PollStatus) -> dict[str, Any]:
    source, target = status.source, status.target
    place = target.host if target.port is None else f"{target.host}:{target.port}"
    health = {True: "up", False: "down", None: "unknown"}[status.up]
    return {
        "discoveredLabels": {"__address__": place} | dict(target.labels),
        "labels": dict(source.labels),
        "scrapePool": source.module,
        "scrapeUrl": f"poll://{place}/{source.module}",
        "globalUrl": f"poll://{place}/{source.module}",
        "lastError": "" if status.up else (status.detail or status.reason),
        "lastScrape": format_instant(status.at),
        "lastScrapeDuration": status.duration,
        "health": health,
        "scrapeInterval": format_duration(source.interval),
        "scrapeTimeout": format_duration(target.timeout),
    }
