"""Alerts and their groups as Alertmanager shows them: those that fire, whoever found them out.

Source: Alertmanager api/v2/api.go (getAlertsHandler, getAlertGroupsHandler, alertFilter), api/v2/compat.go
(AlertToOpenAPIAlert), dispatch/dispatch.go (Groups).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.responses import Response

from sentinel.incidents.correlation import by_target
from sentinel.model.alert import Alert
from sentinel.model.labels import Labels
from sentinel.model.signature import signature
from sentinel.notify.intervals import Intervals
from sentinel.notify.tree import ALL, INCIDENT, Route
from sentinel.web.alertmanager.filters import Wanted
from sentinel.web.alertmanager.order import by_alert, by_labels
from sentinel.web.formats import MAX_INSTANT, format_instant
from sentinel.web.seams.telling import Arrangement

TURN: Final = 0.005
"""Seconds of work after which other requests get their turn."""
MAX_KNOWN: Final = 100_000
"""Label sets whose signature is kept."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert on its way into an answer."""

    alert: Alert
    signature: str
    silenced_by: Sequence[str]
    inhibited_by: Sequence[str]
    routes: Sequence[Route]
    """Those that take it."""

    @property
    def is_suppressed(self) -> bool:
        return bool(self.silenced_by or self.inhibited_by)

    def json(self, receivers: Iterable[str], muted_by: Sequence[str], at: float, believed: float) -> bytes:
        """
        Args:
            believed: seconds for which an alert of ours counts from its last evaluation on.
        """
        alert = self.alert
        updated_at = alert.last_seen_at if alert.last_seen_at is not None else at
        sent = alert.sent
        state = "suppressed" if self.is_suppressed or muted_by else "active"
        body: dict[str, Any] = {
            "annotations": dict(alert.annotations.pairs),
            "endsAt": format_instant(min(sent.ends_at if sent is not None else at + believed, MAX_INSTANT)),
            "fingerprint": self.signature,
            "receivers": [{"name": name} for name in receivers],
            "startsAt": format_instant(starts_at(alert)),
            "status": {
                "inhibitedBy": self.inhibited_by,
                "mutedBy": muted_by,
                "silencedBy": self.silenced_by,
                "state": state,
            },
            "updatedAt": format_instant(updated_at),
            "labels": dict(alert.labels.pairs),
        }
        if sent is not None and sent.generator_url:
            body["generatorURL"] = sent.generator_url
        return orjson.dumps(body)


def starts_at(alert: Alert) -> float:
    if alert.sent is not None:
        return alert.active_at
    return alert.fired_at if alert.fired_at is not None else alert.active_at


class Listing:
    """Knows signatures, as they cost more than the rest."""

    def __init__(self) -> None:
        self._signatures: dict[Labels, str] = {}
        self._intervals: tuple[object, Intervals] | None = None

    async def alerts(
        self, alerts: Sequence[Alert], wanted: Wanted, around: Arrangement, at: float
    ) -> Response:
        """Every alert that is wanted, by fingerprint."""
        found = []
        async for shown in self._shown(alerts, wanted, around, at):
            receivers = [route.receiver for route in shown.routes]
            if wanted.names(receivers):
                found.append((shown.signature, shown.json(receivers, (), at, around.resolve_timeout)))
        found.sort()
        return _list(text for _, text in found)

    async def groups(
        self, alerts: Sequence[Alert], wanted: Wanted, around: Arrangement, at: float
    ) -> Response:
        """Every group of the routing tree with its alerts that are wanted, by labels and receiver."""
        groups: dict[tuple[str, str, Labels], list[Shown]] = {}
        routes: dict[str, Route] = {}
        receivers: dict[str, list[str]] = {}
        async for shown in self._shown(alerts, wanted, around, at):
            for route in shown.routes:
                if not wanted.names((route.receiver,)):
                    continue
                routes[route.grouping.id] = route
                key = (route.grouping.id, route.receiver, _group_labels(route, shown.alert))
                groups.setdefault(key, []).append(shown)
                receivers.setdefault(shown.signature, []).append(route.receiver)
        for names in receivers.values():
            names.sort()
        parts: list[bytes] = []
        turn = time.monotonic()
        order = sorted(groups, key=lambda key: (by_labels(key[2]), key[1]))
        for id_, receiver, labels in order:
            muted_by = self._closed(routes[id_], around, at)
            if muted_by and not wanted.muted:
                continue
            members = sorted(groups[id_, receiver, labels], key=lambda one: by_alert(one.alert.labels))
            texts = []
            for one in members:
                texts.append(one.json(receivers[one.signature], muted_by, at, around.resolve_timeout))
                if time.monotonic() - turn > TURN:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
            parts.append(
                b'{"alerts":[%b],"labels":%b,"receiver":%b}'
                % (b",".join(texts), orjson.dumps(dict(labels.pairs)), orjson.dumps({"name": receiver}))
            )
        return _list(parts)

    async def _shown(
        self, alerts: Sequence[Alert], wanted: Wanted, around: Arrangement, at: float
    ) -> AsyncIterator[Shown]:
        """The alerts that are wanted whoever is told of them; of those with the same labels the first."""
        by_fingerprint = {alert.fingerprint: alert for alert in alerts}
        seen: set[Labels] = set()
        turn = time.monotonic()
        for alert in alerts:
            if time.monotonic() - turn > TURN:
                await asyncio.sleep(0)
                turn = time.monotonic()
            if not alert.is_open or alert.labels in seen:
                continue
            seen.add(alert.labels)
            if not all(matcher.matches(alert.labels) for matcher in wanted.matchers):
                continue
            shown = self._one(alert, by_fingerprint, around, at)
            if (
                (wanted.active or shown.is_suppressed)
                and (wanted.silenced or not shown.silenced_by)
                and (wanted.inhibited or not shown.inhibited_by)
            ):
                yield shown

    def _one(self, alert: Alert, alerts: Mapping[str, Alert], around: Arrangement, at: float) -> Shown:
        circumstances = around.circumstances
        silenced_by = sorted(one.source for one in circumstances.mutes(alert.labels, at))
        sources = [alerts.get(one.source) for one in circumstances.inhibitions(alert)]
        inhibited_by = dict.fromkeys(self._signature(one.labels) for one in sources if one is not None)
        routes = around.route.match(alert.labels) if around.route is not None else ()
        return Shown(alert, self._signature(alert.labels), silenced_by, list(inhibited_by), routes)

    def _signature(self, labels: Labels) -> str:
        known = self._signatures.get(labels)
        if known is None:
            if len(self._signatures) >= MAX_KNOWN:
                self._signatures.clear()
            known = self._signatures[labels] = signature(labels)
        return known

    def _closed(self, route: Route, around: Arrangement, at: float) -> Sequence[str]:
        """Names of the time intervals because of which a route tells nothing now."""
        if self._intervals is None or self._intervals[0] is not around.settings:
            settings = around.settings
            self._intervals = settings, Intervals.of(settings.time_interval, settings.daemon.timezone)
        return [name for one in self._intervals[1].closed(route.grouping, at) for name in one.intervals]


def _group_labels(route: Route, alert: Alert) -> Labels:
    by = route.grouping.by
    if by is INCIDENT:
        return by_target(alert)
    return alert.labels if by is ALL else alert.labels.only(*by)


def _list(texts: Iterable[bytes]) -> Response:
    return Response(b"[%b]\n" % b",".join(texts), media_type="application/json")
