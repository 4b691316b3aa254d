"""Facts of a digest, and the words for it."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from sentinel.incidents.news import Event, News
from sentinel.model.alert import AlertState
from sentinel.model.incident import Grade, IncidentState
from sentinel.notify.facts import MAX_ALERTS, Facts, facts_of
from sentinel.notify.sending.digest import Part, digest_of
from sentinel.notify.story import title_of
from sentinel.notify.texts import Language
from tests.unit.incidents.alerts import START, alert
from tests.unit.notify.news import news

QUEUE = "digest/1"


def told(
    number: int, event: Event = Event.FIRING, *, grade: Grade = Grade.III, count: int = 1, at: float = START
) -> Facts:
    """Facts of incident NUMBER with so many alerts."""
    alerts = [alert(instance=f"sw{number}", ifName=f"eth{port}") for port in range(count)]
    if event is Event.RESOLVED:
        alerts = [replace(one, state=AlertState.INACTIVE, resolved_at=at) for one in alerts]
    of = news(event, alerts)
    state = IncidentState.RESOLVED if event is Event.RESOLVED else IncidentState.OPEN
    incident = replace(of.incident, id=number, grade=grade, state=state, target=f"sw{number}")
    made: News = replace(of, incident=incident, at=at)
    return facts_of(made, alerts, external_url="https://s.example.org")


def digest(*facts: Facts) -> Facts:
    parts = [Part(number, f"incident/{one['incident']}", one) for number, one in enumerate(facts, 1)]
    return digest_of(parts, QUEUE, START + 90)


def test_the_gravest_come_first_and_what_is_over_last() -> None:
    made = digest(
        told(1, grade=Grade.IV),
        told(2, Event.RESOLVED, grade=Grade.I),
        told(3, grade=Grade.II),
        told(4, grade=Grade.III),
    )
    assert [one["labels"]["instance"] for one in made["alerts"]] == ["sw3", "sw4", "sw1", "sw2"]
    assert (made["incident"], made["grade"], made["incidents"]) == (3, "II", [1, 2, 4])
    assert (made["event"], made["target"], made["opened_at"]) == ("firing", "", START)
    assert made["title"] == "4 alerts in 4 groups"


def test_more_alerts_than_a_message_carries_are_counted() -> None:
    made = digest(*(told(number, count=30) for number in range(1, 6)))
    assert (len(made["alerts"]), made["truncated"], made["total"]) == (MAX_ALERTS, 50, 150)
    truncated = told(9, count=MAX_ALERTS + 20)
    assert digest(truncated, told(8))["total"] == MAX_ALERTS + 21


def test_a_group_stands_as_its_last_message_has_it() -> None:
    made = digest(told(1), told(1, Event.RESOLVED), told(2), told(2, count=2), told(2, Event.ACKNOWLEDGED))
    assert [one["status"] for one in made["alerts"]] == ["firing", "firing", "resolved"]
    assert "digest" in made
    assert (made["digest"]["alerts"], made["digest"]["over"], made["digest"]["groups"]) == (3, 1, 2)
    assert made["event"] == "firing"
    assert digest(told(1), told(1, Event.ACKNOWLEDGED))["event"] == "firing"  # nobody had heard of it


@pytest.mark.parametrize(
    ("events", "event"),
    [
        ([Event.FIRING, Event.RESOLVED, Event.ACKNOWLEDGED], "firing"),
        ([Event.RESOLVED, Event.ACKNOWLEDGED], "resolved"),
        ([Event.ACKNOWLEDGED, Event.ACKNOWLEDGED], "acknowledged"),
    ],
)
def test_it_fires_as_long_as_anything_does(events: list[Event], event: str) -> None:
    made = digest(*(told(number, one) for number, one in enumerate(events, 1)))
    assert made["event"] == event
    assert (made["resolved_at"] is not None) is (event == "resolved")


@pytest.mark.parametrize(
    ("language", "events", "title"),
    [
        ("en", [Event.FIRING] * 2, "2 alerts in 2 groups since 06:13"),
        ("en", [Event.FIRING, Event.RESOLVED], "2 alerts in 2 groups since 06:13, 1 of them over"),
        ("en", [Event.RESOLVED], "1 alert in 1 group since 06:13, all over"),
        ("zh-CN", [Event.FIRING] * 2, "06:13 以来 2 组共 2 条告警"),
        ("zh-CN", [Event.FIRING, Event.RESOLVED], "06:13 以来 2 组共 2 条告警,其中 1 条已恢复"),
        ("zh-CN", [Event.RESOLVED], "06:13 以来 1 组共 1 条告警,已全部恢复"),
        ("zh-CN", [Event.ACKNOWLEDGED], "06:13 以来 1 组共 1 条告警,已确认"),
    ],
)
def test_its_title_counts_in_the_receivers_language_and_zone(
    language: Language, events: list[Event], title: str
) -> None:
    made = digest(*(told(number, one) for number, one in enumerate(events, 1)))
    assert title_of(made, language, ZoneInfo("Asia/Shanghai")) == title


def test_what_began_on_another_day_says_which() -> None:
    made = digest(told(1, at=START - 86400), told(2))
    assert "since 2023-11-13 22:13" in title_of(made, "en", ZoneInfo("UTC"))
