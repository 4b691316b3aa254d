"""How alert changes move incidents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from sentinel.incidents.book import Book, Case, one_line, title_of
from sentinel.incidents.correlation import by_target, key_of
from sentinel.incidents.ledger import coalesced
from sentinel.incidents.news import Event
from sentinel.model.alert import AlertChange, AlertState
from sentinel.model.incident import EntryKind, Grade, IncidentState
from sentinel.model.labels import Labels
from tests.unit.incidents.alerts import START, alert, firing, resolved, unknown

CRITICALITY = {"core": 5, "edge": 1}


def ticks(*changes: Iterable[AlertChange]) -> list[Case]:
    """Each tick on its own, as the ledger commits them: cases go through storage in between."""
    cases: list[Case] = []
    for number, tick in enumerate(changes):
        stored = [
            Case(
                replace(case.incident, id=case.incident.id or 10 * number + index + 1),
                case.grouping,
                dict(case.members),
            )
            for index, case in enumerate(cases)
        ]
        book = Book(stored, correlate=by_target, criticality_of=lambda name: CRITICALITY.get(name, 3))
        cases = book.apply(tick)
    return cases


def events(case: Case) -> list[tuple[Event, str]]:
    return [(news.event, news.reason) for news in case.news]


def kinds(case: Case) -> list[EntryKind]:
    return [entry.kind for entry in case.entries]


def test_a_firing_alert_opens_an_incident() -> None:
    (case,) = ticks([firing(summary="sw1 is down")])
    assert case.incident.state is IncidentState.OPEN
    assert (case.incident.title, case.incident.target) == ("sw1 is down", "sw1")
    assert kinds(case) == [EntryKind.OPENED, EntryKind.ALERT_FIRING]
    assert events(case) == [(Event.FIRING, "opened")]


def test_alerts_of_the_same_name_and_target_are_one_incident() -> None:
    (case,) = ticks([firing(ifName="ge-1"), firing(ifName="ge-2")])
    assert len(case.members) == 2
    assert events(case) == [(Event.FIRING, "opened")]
    assert len(case.news[0].fresh) == 2


def test_another_target_is_another_incident() -> None:
    assert len(ticks([firing(), firing(instance="sw2")])) == 2


def test_alerts_without_a_target_stand_for_themselves() -> None:
    bare = Labels(alertname="Full", severity="warning", pool="a")
    assert by_target(replace(alert(), labels=bare)) == Labels(alertname="Full", pool="a")


def test_a_later_alert_joins_and_is_told() -> None:
    (case,) = ticks([firing(ifName="ge-1")], [firing(ifName="ge-2", at=START + 60)])
    assert events(case) == [(Event.FIRING, "1 more alert")]
    assert len(case.news[0].alerts) == 2


def test_an_unknown_alert_leaves_the_incident_open() -> None:
    (case,) = ticks([firing()], [unknown(at=START + 60)])
    assert case.incident.state is IncidentState.OPEN
    assert kinds(case) == [EntryKind.ALERT_UNKNOWN]
    assert events(case) == []


def test_an_unknown_alert_that_fires_again_is_not_told_again() -> None:
    again = firing(before=AlertState.UNKNOWN, at=START)
    (case,) = ticks([firing()], [unknown(at=START + 60)], [again])
    assert kinds(case) == [EntryKind.ALERT_FIRING]
    assert events(case) == []


def test_the_last_resolved_alert_resolves_the_incident() -> None:
    fires = [firing(ifName="ge-1"), firing(ifName="ge-2")]
    (case,) = ticks(fires, [resolved(ifName="ge-1", at=START + 60)])
    assert case.incident.is_live
    assert events(case) == []
    (case,) = ticks(fires, [resolved(ifName="ge-1")], [resolved(ifName="ge-2", at=START + 90)])
    assert case.incident.state is IncidentState.RESOLVED
    assert case.incident.resolved_at == START + 90
    assert events(case) == [(Event.RESOLVED, "all alerts are over")]


def test_an_unknown_alert_can_resolve() -> None:
    (case,) = ticks([firing()], [unknown()], [resolved(before=AlertState.UNKNOWN)])
    assert case.incident.state is IncidentState.RESOLVED


def test_after_a_resolution_the_same_alert_opens_a_new_incident() -> None:
    cases = ticks([firing(), resolved(at=START + 10), firing(at=START + 20)])
    assert [case.incident.state for case in cases] == [IncidentState.RESOLVED, IncidentState.OPEN]


def test_fired_and_resolved_in_one_tick_tells_both_in_order() -> None:
    (case,) = ticks([firing(), resolved(at=START + 1)])
    assert [event for event, _ in events(case)] == [Event.FIRING, Event.RESOLVED]
    assert case.news[0].alerts[0].is_open
    assert not case.news[1].alerts[0].is_open


def _by_hand(case: Case, state: IncidentState) -> Case:
    return Case(replace(case.incident, id=7, state=state), case.grouping, dict(case.members))


def test_acknowledged_stays_acknowledged_when_more_join() -> None:
    (case,) = ticks([firing(ifName="ge-1")])
    book = Book([_by_hand(case, IncidentState.ACKNOWLEDGED)], correlate=by_target)
    (case,) = book.apply([firing(ifName="ge-2", at=START + 60)])
    assert case.incident.state is IncidentState.ACKNOWLEDGED
    assert events(case) == [(Event.FIRING, "1 more alert")]


def test_closed_by_hand_stays_closed_while_its_alerts_still_fire() -> None:
    (case,) = ticks([firing()])
    book = Book([_by_hand(case, IncidentState.RESOLVED)], correlate=by_target)
    changes = [unknown(at=START + 60), firing(before=AlertState.UNKNOWN), resolved(at=START + 90)]
    (case,) = book.apply(changes)
    assert case.incident.state is IncidentState.RESOLVED
    assert case.news == []
    assert case.held == 0


def test_closed_by_hand_reopens_anew_after_its_alert_was_inactive() -> None:
    (case,) = ticks([firing()])
    book = Book([_by_hand(case, IncidentState.RESOLVED)], correlate=by_target)
    old, new = book.apply([resolved(at=START + 60), firing(at=START + 120)])
    assert (old.incident.is_live, new.incident.is_live) == (False, True)


def test_a_second_firing_without_an_end_between_ends_the_first() -> None:
    cases = ticks([firing()], [firing(at=START + 600)])
    assert [case.incident.is_live for case in cases] == [False, True]


def test_a_step_of_the_clock_ends_no_incident() -> None:
    shifted = firing(before=AlertState.UNKNOWN, at=START + 3600)
    (case,) = ticks([firing()], [unknown(at=START + 3600)], [shifted])
    assert case.incident.is_live
    assert events(case) == []


def test_pending_alerts_are_nobodys_incident() -> None:
    pending = AlertChange(
        AlertState.INACTIVE, replace(alert(), state=AlertState.PENDING, fired_at=None), START
    )
    assert ticks([pending]) == []


def test_the_grade_rises_with_what_joins_and_never_falls() -> None:
    (case,) = ticks([firing(instance="edge", severity="warning")])
    assert case.incident.grade is Grade.IV
    (case,) = ticks([firing(instance="core", severity="info")], [firing(instance="core", ifName="x")])
    assert case.incident.grade is Grade.I
    assert "grade raised from III to I" in [entry.text for entry in case.entries]
    (case,) = ticks([firing(instance="core")], [firing(instance="core", ifName="x", severity="info")])
    assert case.incident.grade is Grade.I


def test_text_of_devices_stays_one_bounded_line() -> None:
    hostile = "a\r\nBcc: x@y\x00\u2028" + "é" * 1000
    text = one_line(hostile, 200)
    assert len(text) == 200
    assert text.isprintable()


def test_long_keys_are_bounded_and_distinct() -> None:
    one, two = key_of(Labels(a="x" * 2000)), key_of(Labels(a="x" * 1999 + "y"))
    assert len(one) < 420
    assert one != two


@pytest.mark.parametrize(
    ("course", "kept"),
    [
        ([firing(at=1), resolved(at=2)], 2),
        ([firing(at=1), resolved(at=2), firing(at=3)], 1),
        ([firing(at=1), resolved(at=2), firing(at=3), resolved(at=4)], 2),
        ([firing(at=1), unknown(at=2)], 1),
    ],
)
def test_beyond_the_bound_a_firing_and_its_end_are_kept(course: list[AlertChange], kept: int) -> None:
    left = coalesced(course)
    assert len(left) == kept
    assert left[-1] is course[-1]


def test_an_alert_without_a_name_is_called_by_its_labels() -> None:
    nameless = replace(alert(), labels=Labels(job="node", team="net"))
    assert title_of(nameless) == '{job="node", team="net"}'
