"""The one decision: every combination of what may stand in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sentinel.config.notify import RouteSettings
from sentinel.model.incident import IncidentState
from sentinel.notify.decision import Circumstances, Matter, Obstacle, Question, Why, decide
from sentinel.notify.tree import Route
from tests.unit.incidents.alerts import START, alert
from tests.unit.notify.news import news

ROUTE = Route.of(RouteSettings(receiver="ops"))
ASKED = {
    Why.SILENCE: "mutes",
    Why.MAINTENANCE: "mutes",
    Why.INHIBITION: "inhibitions",
    Why.DEPENDENCY: "dependencies",
    Why.UPLINK: "uplink",
    Why.TIME: "times",
    Why.FLAPPING: "flapping",
}
"""Who is asked about what."""

REASONS = st.frozensets(st.sampled_from(list(ASKED)))
MATTERS = st.sampled_from(list(Matter))


def circumstances(reasons: frozenset[Why]) -> Circumstances:
    asked: dict[str, Callable[..., Any]] = {}
    for name in set(ASKED.values()):
        found = [Obstacle(why, "") for why in sorted(reasons) if ASKED[why] == name]
        asked[name] = lambda *_, found=found: found
    return Circumstances(**asked)


def question(
    matter: Matter, *, acknowledged: bool = False, in_tree: bool = True, by_incident: bool = True
) -> Question:
    incident = news().incident
    if acknowledged:
        incident = replace(incident, state=IncidentState.ACKNOWLEDGED, acknowledged_by="li.wei")
    return Question(alert(), incident, matter, ROUTE if in_tree else None, by_incident)


def expected(asked: Question, reasons: frozenset[Why]) -> set[Why]:
    """Said the other way round: what each reason does not keep from being told."""
    found = set(reasons)
    if asked.matter is Matter.RECOVERY:
        found -= {Why.DEPENDENCY, Why.UPLINK}
    if asked.matter is Matter.REPEAT or not asked.by_incident:
        found.discard(Why.FLAPPING)
    if asked.route is None:
        found.discard(Why.TIME)
    if asked.matter is Matter.REPEAT and asked.incident.state is IncidentState.ACKNOWLEDGED:
        found.add(Why.ACKNOWLEDGED)
    return found


@given(REASONS, MATTERS, st.booleans(), st.booleans(), st.booleans())
def test_every_combination(
    reasons: frozenset[Why], matter: Matter, acknowledged: bool, in_tree: bool, by_incident: bool
) -> None:
    asked = question(matter, acknowledged=acknowledged, in_tree=in_tree, by_incident=by_incident)
    found = decide(asked, START, circumstances(reasons))
    assert {one.why for one in found} == expected(asked, reasons)
    assert len(found) == len({one.why for one in found})


@given(REASONS, REASONS, MATTERS)
def test_a_further_reason_never_lets_anything_pass(
    reasons: frozenset[Why], more: frozenset[Why], matter: Matter
) -> None:
    asked = question(matter)
    few = decide(asked, START, circumstances(reasons))
    many = decide(asked, START, circumstances(reasons | more))
    assert {one.why for one in few} <= {one.why for one in many}


def test_nothing_in_the_way_by_default() -> None:
    for matter in Matter:
        assert decide(question(matter), START, Circumstances()) == ()


def test_an_acknowledgement_keeps_only_repeats() -> None:
    for matter in Matter:
        found = decide(question(matter, acknowledged=True), START, Circumstances())
        assert bool(found) == (matter is Matter.REPEAT)
    (one,) = decide(question(Matter.REPEAT, acknowledged=True), START, Circumstances())
    assert str(one) == "acknowledged: li.wei"
