"""News and facts, short to write."""

from __future__ import annotations

from collections.abc import Sequence

from sentinel.incidents.news import Event, News
from sentinel.model.alert import Alert
from sentinel.model.incident import Grade, Incident, IncidentState
from sentinel.model.labels import Labels
from sentinel.notify.facts import facts_of
from sentinel.notify.receiver import Delivery
from tests.unit.incidents.alerts import START, alert


def news(
    event: Event = Event.FIRING,
    alerts: Sequence[Alert] | None = None,
    *,
    fresh: Sequence[Alert] | None = None,
    title: str = "sw1 is down",
) -> News:
    everything = tuple(alerts if alerts is not None else [alert()])
    state = IncidentState.RESOLVED if event is Event.RESOLVED else IncidentState.OPEN
    ended = START + 60 if event is Event.RESOLVED else None
    incident = Incident(7, 'Down{instance="sw1"}', state, Grade.II, title, "sw1", START, resolved_at=ended)
    new = everything if fresh is None else fresh
    return News(
        event,
        START,
        incident,
        Labels(alertname="Down", instance="sw1"),
        everything,
        frozenset(one.fingerprint for one in new),
        "opened",
    )


def delivery(of: News, **more: object) -> Delivery:
    facts = facts_of(of, of.alerts, external_url="https://sentinel.example.org")
    return Delivery(1, "k" * 32, of.incident.id, "ops", of.event.value, facts, **more)  # type: ignore[arg-type]
