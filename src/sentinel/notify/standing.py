"""The alerts that fire now, as far as they keep others from being told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sentinel.config.inhibition import InhibitSettings
from sentinel.incidents.book import one_line, title_of
from sentinel.model.alert import Alert, AlertChange
from sentinel.notify.decision import Obstacle, Why
from sentinel.notify.inhibition import Inhibitor

MAX_TEXT = 200


class Standing:
    def __init__(self, rules: Sequence[InhibitSettings] = ()) -> None:
        self._alerts: dict[str, Alert] = {}
        self._rules = tuple(rules)
        self._inhibitor = Inhibitor(self._rules)

    def use(self, rules: Sequence[InhibitSettings]) -> None:
        """Other rules from now on."""
        if tuple(rules) == self._rules:
            return
        self._rules, self._inhibitor = tuple(rules), Inhibitor(rules)
        for alert in self._alerts.values():
            self._inhibitor.add(alert)

    def restore(self, alerts: Iterable[Alert]) -> None:
        """These fire."""
        for alert in alerts:
            if alert.is_open:
                self._alerts[alert.fingerprint] = alert
                self._inhibitor.add(alert)

    def observe(self, changes: Sequence[AlertChange]) -> None:
        for change in changes:
            alert = change.alert
            if alert.is_open:
                self._alerts[alert.fingerprint] = alert
                self._inhibitor.add(alert)
            elif self._alerts.pop(alert.fingerprint, None) is not None:
                self._inhibitor.remove(alert)

    def open_alerts(self) -> Sequence[Alert]:
        return list(self._alerts.values())

    def inhibitions(self, alert: Alert) -> Sequence[Obstacle]:
        return [
            Obstacle(Why.INHIBITION, one_line(self._text(found.source), MAX_TEXT), source=found.source)
            for found in self._inhibitor.inhibitions(alert.labels)
        ]

    def _text(self, source: str) -> str:
        alert = self._alerts.get(source)
        return title_of(alert) if alert is not None else source
