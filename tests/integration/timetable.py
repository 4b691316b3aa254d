"""A timetable of alerts, silences and inhibitions, drawn by dice: the same for an Alertmanager and for Sentinel."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

WAIT, INTERVAL, REPEAT = 0.7, 1.9, 5.3
"""Seconds. They meet nowhere near whole seconds for as long as a timetable lasts, or those that do are redrawn."""
LASTS = 24
"""Seconds."""
SPARE = 0.15
"""Seconds between an event and a look at a group: so close the order of the two is anybody's."""

ROUTE: dict[str, Any] = {
    "receiver": "top",
    "group_by": ["site"],
    "group_wait": "700ms",
    "group_interval": "1900ms",
    "repeat_interval": "5300ms",
    "routes": [
        {
            "receiver": "pairs",
            "matchers": ['kind="pair"'],
            "group_by": ["alertname", "site"],
            "continue": True,
        },
        {"receiver": "each", "matchers": ['kind=~"pair|single"'], "group_by": ["..."]},
        {"receiver": "closed", "matchers": ['kind="night"'], "mute_time_intervals": ["always"]},
        {"receiver": "open", "matchers": ['kind="day"'], "active_time_intervals": ["always"]},
        {
            "receiver": "quiet",
            "matchers": ['kind="quiet"'],
            "routes": [{"matchers": ['alertname="A"'], "group_by": ["instance"], "group_wait": "2300ms"}],
        },
    ],
}
INTERVALS = [
    {"name": "always", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]}
]
INHIBIT = [
    {"source_matchers": ['alertname="Site"'], "target_matchers": ['alertname=~"A|B"'], "equal": ["site"]}
]
RECEIVERS = ("top", "pairs", "each", "closed", "open", "quiet")
SILENT = ("quiet",)
"""Receivers that do not want recoveries."""


@dataclass(frozen=True, slots=True)
class Event:
    at: float
    labels: Mapping[str, str]
    """Of an alert; of a silence: the labels that it matches."""
    what: str
    """fires, ends, or silence."""
    until: float = 0.0
    """When the silence ends."""


def drawn(seed: int) -> list[Event]:
    """Alerts that come and go, sources of inhibitions among them, and silences; in their order.

    Nothing ends while it is muted: what Sentinel does then, Alertmanager does not. Nothing fires again soon after
    its end: how long an Alertmanager keeps a group that is empty, up to 30 s, depends on when it was started.
    """
    dice = random.Random(seed)
    sites = [f"s{number}" for number in range(6)]
    kinds = ["pair", "single", "night", "day", "quiet", "other"]
    events: list[Event] = []
    for number in range(36):
        labels = {
            "alertname": dice.choice("ABC"),
            "site": dice.choice(sites),
            "kind": dice.choice(kinds),
            "instance": f"i{number}",
        }
        at = dice.randrange(0, 10)
        events.append(Event(float(at), labels, "fires"))
        if dice.random() < 0.6:
            end = at + dice.randrange(2, 12)
            events.append(Event(float(end), labels, "ends"))
    for site in dice.sample(sites, 2):
        at = dice.randrange(2, 8)
        events.append(Event(float(at), {"alertname": "Site", "site": site, "kind": "other"}, "fires"))
        events.append(Event(float(at + 5), {"alertname": "Site", "site": site, "kind": "other"}, "ends"))
    for site in dice.sample(sites, 2):
        at = dice.randrange(1, 9)
        events.append(Event(float(at), {"site": site, "alertname": dice.choice("ABC")}, "silence", at + 6.0))
    events = [event for event in events if event.at < LASTS - 3]
    return [
        event
        for event in sorted(events, key=lambda one: one.at)
        if event.what != "ends" or not _is_muted(event, events)
    ]


def _is_muted(event: Event, events: Sequence[Event]) -> bool:
    """Whether something keeps its end from being told, now or until the group has been looked at."""
    labels, at = event.labels, event.at
    for other in events:
        if other.what == "silence":
            hits = all(labels.get(name) == value for name, value in other.labels.items())
            lasts = other.until - other.at
        else:
            hits = other.labels["alertname"] == "Site" and other.what == "fires"
            hits = hits and labels["alertname"] in "AB" and other.labels["site"] == labels["site"]
            lasts = 5.0
        if hits and other.at - 4 <= at <= other.at + lasts + 4:
            return True
    return labels["kind"] == "night"


def apart(events: Sequence[Event], looks: Sequence[float]) -> list[Event]:
    """Each a little later where it comes too close to a look at a group; without ends of what does not fire."""
    kept: list[Event] = []
    firing: set[tuple[tuple[str, str], ...]] = set()
    for event in events:
        moved = next((one for one in _later(event) if _is_clear(one, looks)), None)
        key = tuple(sorted(event.labels.items()))
        if moved is None or (event.what == "ends" and key not in firing):
            continue
        if event.what == "fires":
            firing.add(key)
        elif event.what == "ends":
            firing.discard(key)
        kept.append(moved)
    return sorted(kept, key=lambda one: one.at)


def _later(event: Event) -> Iterator[Event]:
    for step in range(10):
        pause = step * SPARE / 2
        yield replace(event, at=event.at + pause, until=event.until + pause if event.until else 0.0)


def _is_clear(event: Event, looks: Sequence[float]) -> bool:
    moments = (event.at, event.until) if event.what == "silence" else (event.at,)
    return not any(abs(look - moment) <= SPARE for look in looks for moment in moments)
